//! Totals of the session and of its labels: the same cost at any number of tasks.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use curricle_core::Session;

pub fn bench(criterion: &mut Criterion, session: &Session, tasks: usize) {
    let mut group = criterion.benchmark_group("totals");
    group.bench_function(BenchmarkId::new("session", tasks), |bench| {
        bench.iter(|| black_box(session.totals()));
    });
    group.bench_function(BenchmarkId::new("32 labels", tasks), |bench| {
        bench.iter(|| black_box(session.label_totals()));
    });
    group.finish();
}
