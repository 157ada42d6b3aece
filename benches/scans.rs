//! What looks at every task: probabilities, the choice of whom to evict, a snapshot.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use curricle_core::Session;

pub fn bench(criterion: &mut Criterion, session: &Session, tasks: usize) {
    let mut group = criterion.benchmark_group("scans");
    group.sample_size(10);
    group.throughput(Throughput::Elements(tasks as u64));
    group.bench_function(BenchmarkId::new("probabilities", tasks), |bench| {
        bench.iter(|| black_box(session.probabilities()));
    });
    group.bench_function(BenchmarkId::new("eviction choice", tasks), |bench| {
        bench.iter(|| black_box(session.table().choose_eviction(3, 0.4)));
    });
    group.bench_function(BenchmarkId::new("snapshot", tasks), |bench| {
        bench.iter(|| black_box(session.snapshot()));
    });
    group.finish();
}
