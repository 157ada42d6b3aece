//! Reads without a lock, and the writes that make them possible.

use std::hint::black_box;

use criterion::Criterion;
use curricle_core::latch::Latch;
use curricle_core::layout::FIELD_WORDS;
use curricle_core::words::Word;

pub fn bench(criterion: &mut Criterion) {
    let sequence = Word::default();
    let copies: [Word; 2 * FIELD_WORDS] = std::array::from_fn(|_| Word::default());
    let latch = || Latch::new(black_box(&sequence), black_box(&copies));
    let mut group = criterion.benchmark_group("latch");
    group.bench_function("read of a record", |bench| {
        bench.iter(|| {
            latch().read(|copy| -> [u64; FIELD_WORDS] { std::array::from_fn(|at| copy[at].get()) })
        });
    });
    group.bench_function("read of a field", |bench| {
        bench.iter(|| latch().read(|copy| copy[7].get()));
    });
    group.bench_function("write of a record", |bench| {
        bench.iter(|| {
            let latch = latch();
            let next = latch.stage(|copy| copy.iter().for_each(|word| word.set(1)));
            latch.publish(next);
        });
    });
    group.finish();
}
