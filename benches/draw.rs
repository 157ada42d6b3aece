//! Choosing a task: a draw, and an episode's draw and report.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use curricle_core::{Session, Stream};

pub fn bench(criterion: &mut Criterion, session: &Session, tasks: usize) {
    let mut stream = Stream::new(4, 0);
    let mut group = criterion.benchmark_group("draw");
    group.bench_function(BenchmarkId::new("draw and report", tasks), |bench| {
        bench.iter(|| {
            let ticket = session.draw(Some(&mut stream)).expect("tasks");
            black_box(session.report(&ticket, stream.next_f64(), 10))
        });
    });
    // Last: its tickets stay open, as those of abandoned episodes.
    group.bench_function(BenchmarkId::new("draw", tasks), |bench| {
        bench.iter(|| black_box(session.draw(Some(&mut stream))));
    });
    group.finish();
}
