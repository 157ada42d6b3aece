//! Cost of the tracker's parts and calls, by number of tasks.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

mod draw;
mod latch;
mod lock;
mod read;
mod scans;
mod sessions;
mod totals;
mod update;

const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

fn parts(criterion: &mut Criterion) {
    lock::bench(criterion);
    latch::bench(criterion);
}

fn calls(criterion: &mut Criterion) {
    for tasks in SIZES {
        let session = sessions::pool(&sessions::name("tracker"), tasks);
        read::bench(criterion, &session, tasks);
        update::bench(criterion, &session, tasks);
        draw::bench(criterion, &session, tasks);
        totals::bench(criterion, &session, tasks);
        scans::bench(criterion, &session, tasks);
    }
}

criterion_group!(
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = parts, calls
);
criterion_main!(benches);
