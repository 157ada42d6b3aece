//! From a task's id to its slot and to its record.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use curricle_core::{Session, Stream};

pub fn bench(criterion: &mut Criterion, session: &Session, tasks: usize) {
    let mut ids = Stream::new(2, 0);
    let mut any = move || ids.below(tasks as u64) as i64;
    let mut group = criterion.benchmark_group("read");
    group.bench_function(BenchmarkId::new("index lookup", tasks), |bench| {
        bench.iter(|| black_box(session.table().find(any())));
    });
    group.bench_function(BenchmarkId::new("record of any task", tasks), |bench| {
        bench.iter(|| black_box(session.read(any())));
    });
    group.bench_function(BenchmarkId::new("record of one task", tasks), |bench| {
        bench.iter(|| black_box(session.read(black_box(7))));
    });
    group.finish();
}
