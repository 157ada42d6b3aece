//! The latch: two copies and a sequence.

use std::sync::Arc;

use curricle_core::latch::Latch;
use curricle_core::modelled;
use curricle_core::words::Word;
use loom::sync::Mutex;
use loom::thread;

use crate::{exhaust, explore};

/// A latch over two words a copy, which are equal in all that was published.
struct Place {
    sequence: Word,
    copies: [Word; 4],
    lock: Mutex<()>,
}

impl Place {
    fn new() -> Arc<Self> {
        let place = Self {
            sequence: Word::default(),
            copies: Default::default(),
            lock: Mutex::default(),
        };
        let place = Arc::new(place);
        modelled::watch(place.copies.iter().chain([&place.sequence]), []);
        place
    }

    fn latch(&self) -> Latch<'_> {
        Latch::new(&self.sequence, &self.copies)
    }

    /// Counts one up in both words.
    fn count(&self) {
        let _guard = self.lock.lock();
        let latch = self.latch();
        let value = latch.owned()[0].get() + 1;
        let next = latch.stage(|copy| copy.iter().for_each(|word| word.set(value)));
        latch.publish(next);
    }

    /// The value, which must be whole.
    fn read(&self) -> u64 {
        let [one, other] = self.latch().read(|copy| [copy[0].get(), copy[1].get()]);
        assert_eq!(one, other, "torn");
        one
    }

    /// Looks several times, and never sees less than before.
    fn read_forward(&self, times: u64) {
        let mut last = 0;
        for _ in 0..times {
            let value = self.read();
            assert!(value >= last, "went back from {last} to {value}");
            last = value;
        }
    }
}

/// The work of some writers, who count `writes` up each, and readers, who look `reads` times.
fn count_beside_readers(writers: usize, writes: u64, readers: usize, reads: u64) {
    let place = Place::new();
    let start = |count: usize, work: fn(&Place, u64), times: u64| {
        let spawn = |_| {
            let place = place.clone();
            thread::spawn(move || work(&place, times))
        };
        (0..count).map(spawn).collect::<Vec<_>>()
    };
    let threads = [
        start(
            writers,
            |place, times| (0..times).for_each(|_| place.count()),
            writes,
        ),
        start(readers, Place::read_forward, reads),
    ];
    for thread in threads.into_iter().flatten() {
        thread.join().unwrap();
    }
    assert_eq!(place.read(), writers as u64 * writes);
}

#[test]
fn a_writer_and_a_reader() {
    exhaust(|| count_beside_readers(1, 2, 1, 2));
}

/// Three writes: a copy that is being read is filled again and published again.
#[test]
fn three_writes_and_a_reader() {
    exhaust(|| count_beside_readers(1, 3, 1, 1));
}

#[test]
fn two_writers_and_a_reader() {
    exhaust(|| count_beside_readers(2, 1, 1, 1));
}

#[test]
fn two_writers_and_two_readers() {
    explore(2, || count_beside_readers(2, 1, 2, 1));
}
