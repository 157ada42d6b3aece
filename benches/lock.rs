//! The mutex that survives its holder's death: what no update can do without.

use std::hint::black_box;
use std::sync::Mutex;

use criterion::Criterion;
use curricle_core::words::Word;

use crate::sessions;

/// Words of 128 bytes, about what an update changes in a record.
const WRITTEN: usize = 16;

pub fn bench(criterion: &mut Criterion) {
    let session = sessions::create(&sessions::name("lock"), 1_000);
    let table = session.table();
    let mut group = criterion.benchmark_group("lock");
    let private = Mutex::new(());
    group.bench_function("std::sync::Mutex", |bench| {
        bench.iter(|| drop(black_box(private.lock())));
    });
    group.bench_function("robust", |bench| {
        bench.iter(|| drop(black_box(table.lock_stripe(0))));
    });
    let record: [Word; WRITTEN] = Default::default();
    group.bench_function("robust, with a write of 128 bytes", |bench| {
        bench.iter(|| {
            let _held = table.lock_stripe(0).expect("a free lock");
            black_box(&record).iter().for_each(|word| word.set(1));
        });
    });
    group.finish();
}
