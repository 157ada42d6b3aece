//! Two copies and a sequence word: a read without a lock, a write under one.
//!
//! The lowest bit of the sequence names the copy that readers use. The writer fills the other one
//! and publishes it by a single store, so a writer that is stopped or killed in between changes
//! nothing that a reader sees. A reader that meets a new sequence after its copy starts again:
//! somebody has completed a write meanwhile.

use std::sync::atomic::Ordering;

use crate::sync::{fence, spin_loop, yield_now};
use crate::words::Word;

/// A latch over `2 * n` words of copies; `n` is the length of each copy.
#[derive(Clone, Copy)]
pub struct Latch<'a> {
    sequence: &'a Word,
    copies: &'a [Word],
}

impl<'a> Latch<'a> {
    /// A view of one latch. `copies` holds both copies, one after the other.
    #[inline]
    pub fn new(sequence: &'a Word, copies: &'a [Word]) -> Self {
        Self { sequence, copies }
    }

    #[inline]
    fn copy(&self, sequence: u64) -> &'a [Word] {
        let (even, odd) = self.copies.split_at(self.copies.len() / 2);
        if sequence & 1 == 0 { even } else { odd }
    }

    /// Whether nothing was ever published.
    #[inline]
    pub fn is_untouched(&self) -> bool {
        self.sequence.get() == 0
    }

    /// The sequence that is published.
    #[inline]
    pub fn sequence(&self) -> u64 {
        self.sequence.get()
    }

    /// The sequence, to be read by [`Self::copy_of`], an acquire fence, and compared again.
    #[inline]
    pub fn observe(&self) -> u64 {
        self.sequence.observe()
    }

    /// The copy that a sequence published.
    #[inline]
    pub fn copy_of(&self, sequence: u64) -> &'a [Word] {
        self.copy(sequence)
    }

    /// Calls `read` on the published copy until no write was completed meanwhile.
    #[inline]
    pub fn read<T>(&self, read: impl Fn(&[Word]) -> T) -> T {
        self.read_by(|sequence| read(self.copy(sequence)))
    }

    /// As [`Self::read`], by the sequence instead of the copy that it names.
    #[inline(always)]
    pub fn read_by<T>(&self, mut read: impl FnMut(u64) -> T) -> T {
        let mut attempts = 0_u32;
        loop {
            let before = self.sequence.observe();
            let value = read(before);
            fence(Ordering::Acquire);
            if self.sequence.get() == before {
                return value;
            }
            attempts += 1;
            if attempts.is_multiple_of(64) {
                yield_now();
            } else {
                spin_loop();
            }
        }
    }

    /// The published copy, for the holder of the lock that guards writes.
    #[inline]
    pub fn owned(&self) -> &'a [Word] {
        self.copy(self.sequence.get())
    }

    /// Fills the unpublished copy through `fill`; returns the sequence that publishes it.
    ///
    /// Only for the holder of the lock that guards writes.
    #[inline]
    pub fn stage(&self, fill: impl FnOnce(&[Word])) -> u64 {
        let published = self.begin();
        fill(self.copy(published + 1));
        published + 1
    }

    /// Begins a write as [`Self::stage`] does: the published sequence. The next one names the
    /// copy that may be filled from now on, and publishes it.
    #[inline(always)]
    pub fn begin(&self) -> u64 {
        let published = self.sequence.get();
        // Orders the stores that follow after the publication that made their copy the unpublished
        // one: a reader that sees one of them sees that its sequence has moved on.
        fence(Ordering::Release);
        published
    }

    /// Publishes what was staged. Storing the same sequence again changes nothing, so a recovery
    /// may repeat it.
    #[inline]
    pub fn publish(&self, sequence: u64) {
        self.sequence.publish(sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(n: usize) -> Vec<Word> {
        (0..n).map(|_| Word::default()).collect()
    }

    #[test]
    fn staged_words_are_invisible_until_published() {
        let (sequence, copies) = (Word::default(), words(4));
        let latch = Latch::new(&sequence, &copies);
        let next = latch.stage(|copy| copy.iter().for_each(|word| word.set(7)));
        assert_eq!(latch.read(|copy| copy[0].get()), 0);
        latch.publish(next);
        assert_eq!(latch.read(|copy| (copy[0].get(), copy[1].get())), (7, 7));
    }

    #[test]
    fn readers_never_see_half_a_write() {
        let (sequence, copies) = (Word::default(), words(16));
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let latch = Latch::new(&sequence, &copies);
                for value in 1..=200_000 {
                    let next = latch.stage(|copy| copy.iter().for_each(|word| word.set(value)));
                    latch.publish(next);
                }
            });
            while !writer.is_finished() {
                let values = Latch::new(&sequence, &copies)
                    .read(|copy| copy.iter().map(Word::get).collect::<Vec<_>>());
                assert!(
                    values.iter().all(|value| *value == values[0]),
                    "torn: {values:?}"
                );
            }
        });
    }
}
