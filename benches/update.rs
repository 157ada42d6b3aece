//! One score of a task: alone, and in a batch.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use curricle_core::{Session, Stream};

const BATCH: usize = 1024;

pub fn bench(criterion: &mut Criterion, session: &Session, tasks: usize) {
    let mut stream = Stream::new(3, 0);
    let mut scored = || (stream.below(tasks as u64) as i64, stream.next_f64());
    let mut group = criterion.benchmark_group("update");
    group.bench_function(BenchmarkId::new("any task", tasks), |bench| {
        bench.iter(|| {
            let (id, score) = scored();
            black_box(session.update(id, score, 10))
        });
    });
    group.bench_function(BenchmarkId::new("one task", tasks), |bench| {
        bench.iter(|| black_box(session.update(black_box(7), 0.5, 10)));
    });
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function(BenchmarkId::new("1,024 tasks in a batch", tasks), |bench| {
        bench.iter_batched(
            || (0..BATCH).map(|_| scored()).unzip(),
            |(ids, scores): (Vec<_>, Vec<_>)| session.update_many(&ids, &scores, &[]),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}
