//! What the journal of a session that was found in a file must hold before anybody follows its
//! words.

use super::{CHUNK_ENTRIES, chunk_of, place};
use crate::table::Table;
use crate::words::Word;

impl Table {
    /// Checks the words of a journal in a file, which lead from chunk to chunk.
    pub(crate) fn check_journal(&self) -> std::result::Result<(), String> {
        let Some(journal) = self.journal().filter(|_| !self.is_loading()) else {
            return Ok(());
        };
        if !journal.stands() || journal.settled.get() > journal.offered.get() {
            return Err("the words of the journal".to_owned());
        }
        for stripe in 0..self.layout.stripes {
            self.check_journal_stripe(stripe)
                .ok_or_else(|| format!("the journal of stripe {stripe}"))?;
        }
        Ok(())
    }

    fn check_journal_stripe(&self, stripe: usize) -> Option<()> {
        let words = self.journal_stripe(stripe);
        let [length, staged, base, mark] =
            [&words.length, &words.staged, &words.base, &words.mark].map(Word::get);
        let sound = |holds: bool| holds.then_some(());
        sound(base <= mark && mark <= length && length < u64::MAX / 2)?;
        sound(staged == length || staged == length + 1)?;
        let places = [&words.places[0], &words.places[1]].map(Word::get);
        let last = places.into_iter().max()?;
        let first = words.first.get();
        if first == 0 {
            return sound(last == 0 && staged == 0);
        }
        let (start, mut chunk) = ((first >> 32) - 1, chunk_of(first)?);
        sound(start <= base / CHUNK_ENTRIES as u64)?;
        let mut chain = Vec::new();
        loop {
            sound(chunk < self.layout.chunks && chain.len() < self.layout.chunks)?;
            sound(self.is_owned(chunk, stripe))?;
            let word = place(start + chain.len() as u64, chunk);
            chain.push(word);
            match self.next_chunk(chunk) {
                Some(next) if word < last => chunk = next,
                _ => break,
            }
        }
        sound(places.iter().all(|word| *word == 0 || chain.contains(word)))?;
        sound(staged <= (start + chain.len() as u64) * CHUNK_ENTRIES as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ADOPTING_BITS, Adopting};
    use crate::options::SessionOptions;
    use crate::session::Session;

    #[test]
    fn a_session_that_stands_nowhere_is_refused() {
        let session = Session::open(&SessionOptions {
            capacity: Some(4),
            sync_episodes: 100,
            ..SessionOptions::default()
        })
        .unwrap();
        let (table, spoilt) = (session.table(), (1 << ADOPTING_BITS) - 1);
        let journal = table.journal().unwrap();
        for adopting in [Adopting::Not, Adopting::Torn, Adopting::Now] {
            journal.stand(7, adopting);
            assert_eq!(table.check_journal(), Ok(()), "{adopting:?}");
        }
        journal.standing.set(7 << ADOPTING_BITS | spoilt);
        assert!(table.check_journal().is_err());
    }
}
