//! Cost of the tracker's calls beside the lock that they cannot do without, by number of tasks.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use curricle_core::segment::Mode;
use curricle_core::{NewTask, Rules, Session, SessionOptions, Stream};

const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];

fn session(tasks: usize) -> Session {
    let session = Session::open(&SessionOptions {
        capacity: Some(tasks),
        rules: Some(Rules {
            floor: 0.1,
            ..Rules::default()
        }),
        max_labels: 32,
        max_inactive_labels: 8,
        seed: 0,
        mode: Mode::Create,
        lock_timeout: Duration::from_secs(10),
        ..SessionOptions::default()
    })
    .expect("a process-local session");
    let labels: Vec<String> = (0..32).map(|label| format!("label {label}")).collect();
    for task in 0..tasks {
        let label = Some(labels[task % labels.len()].as_str());
        let new = NewTask {
            label,
            ..NewTask::default()
        };
        session.create(task as i64, &new).expect("room");
    }
    session
}

fn calls(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tracker");
    group.measurement_time(Duration::from_secs(2));
    group.warm_up_time(Duration::from_secs(1));
    for tasks in SIZES {
        let session = session(tasks);
        let mut ids = Stream::new(3, 4);
        let mut next = move || ids.below(tasks as u64) as i64;
        let name = |call: &str| BenchmarkId::new(call, tasks);
        group.bench_function(name("lock and unlock"), |bench| {
            bench.iter(|| drop(black_box(session.table().lock_stripe(0))));
        });
        group.bench_function(name("look up"), |bench| {
            bench.iter(|| black_box(session.table().find(next())));
        });
        group.bench_function(name("read"), |bench| {
            bench.iter(|| black_box(session.read(next())));
        });
        group.bench_function(name("update"), |bench| {
            bench.iter(|| black_box(session.update(next(), 0.5, 10)));
        });
        let mut stream = Stream::new(1, 2);
        group.bench_function(name("draw"), |bench| {
            bench.iter(|| black_box(session.draw(Some(&mut stream))));
        });
        group.bench_function(name("draw and report"), |bench| {
            bench.iter(|| {
                let ticket = session.draw(Some(&mut stream)).expect("tasks");
                black_box(session.report(&ticket, 1.0, 10))
            });
        });
        group.bench_function(name("label totals"), |bench| {
            bench.iter(|| black_box(session.label_totals()));
        });
        group.sample_size(10);
        group.bench_function(name("probabilities"), |bench| {
            bench.iter(|| black_box(session.probabilities()));
        });
        group.bench_function(name("choose eviction"), |bench| {
            bench.iter(|| black_box(session.table().choose_eviction(5, 0.4)));
        });
        group.bench_function(name("snapshot"), |bench| {
            bench.iter(|| black_box(session.snapshot()));
        });
        group.sample_size(100);
    }
    group.finish();
}

criterion_group!(benches, calls);
criterion_main!(benches);
