//! Reading entries, and letting go of them.

use super::{CHUNK_ENTRIES, Entry, chunk_of, place};
use crate::commit::StripeGuard;

impl StripeGuard<'_> {
    /// The entries from a position up to another one.
    pub(crate) fn entries(&self, from: u64, to: u64) -> Vec<Entry> {
        let (table, words) = (self.table, self.journal());
        let first = words.first.get();
        let (Some(mut chunk), true) = (chunk_of(first), from < to) else {
            return Vec::new();
        };
        let mut number = (first >> 32) - 1;
        let mut entries = Vec::with_capacity((to - from) as usize);
        for position in from..to {
            while number < position / CHUNK_ENTRIES as u64 {
                chunk = table.next_chunk(chunk).expect("the chunk of an entry");
                number += 1;
            }
            entries.push(Entry::load(table.entry_words(chunk, position)));
        }
        entries
    }

    /// Lets go of the entries of the last offer.
    pub(crate) fn settle_entries(&self) {
        let (table, words) = (self.table, self.journal());
        words.base.publish(words.mark.get());
        let first = words.first.get();
        let Some(mut chunk) = chunk_of(first) else {
            return;
        };
        let mut number = (first >> 32) - 1;
        let last = words.places[0].get().max(words.places[1].get());
        while number < words.base.get() / CHUNK_ENTRIES as u64 && place(number, chunk) < last {
            chunk = table.next_chunk(chunk).expect("not the last one");
            number += 1;
        }
        words.first.publish(place(number, chunk));
        self.free_chunks();
    }

    /// Gives back the chunks that the stripe's own do not lead to, those of the dead among them.
    fn free_chunks(&self) {
        let (table, words) = (self.table, self.journal());
        let stripe = self.number();
        let last = chunk_of(words.places[0].get().max(words.places[1].get()));
        let mut kept = Vec::new();
        let mut next = chunk_of(words.first.get());
        while let Some(chunk) = next {
            kept.push(chunk);
            next = table.next_chunk(chunk).filter(|_| Some(chunk) != last);
        }
        kept.sort_unstable();
        for (chunk, word) in table.chunks().iter().enumerate() {
            if table.is_owned(chunk, stripe) && kept.binary_search(&chunk).is_err() {
                word.publish(0);
                if let Some(journal) = table.journal() {
                    journal.taken.add(u64::MAX);
                }
            }
        }
    }

    /// Empties the stripe's part. May be repeated.
    pub(crate) fn wipe_journal(&self) {
        if !self.table.has_journal() {
            return;
        }
        let words = self.journal();
        for word in [
            &words.mark,
            &words.base,
            &words.staged,
            &words.length,
            &words.first,
            &words.places[0],
            &words.places[1],
        ] {
            word.publish(0);
        }
        self.free_chunks();
    }
}
