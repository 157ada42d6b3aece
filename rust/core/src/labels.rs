//! Interned label strings, shared by all processes.
//!
//! Label 0 is "no label"; the last one is [`OTHER`], into which inactive labels are folded.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};
use crate::layout::{LABEL_WORDS, MAX_LABEL_BYTES};
use crate::limits::{self, Limits};
use crate::record::LABEL_RANGE;
use crate::steering::Act;
use crate::structure::{Plan, StructureGuard};
use crate::sync::fence;
use crate::table::Table;
use crate::words::Word;

/// The label that stands for folded ones.
pub const OTHER: &str = "other";

const LENGTH: u64 = 0xff;

/// Low bits of a sample counter that count; the others name the last label that was folded.
const SAMPLE_BITS: u32 = 48;
const SAMPLES: u64 = (1 << SAMPLE_BITS) - 1;

/// Checks a label's length.
///
/// # Errors
/// `Value` naming length and limit.
pub fn check_label(label: &str) -> Result<()> {
    if (1..=MAX_LABEL_BYTES).contains(&label.len()) {
        return Ok(());
    }
    let start: String = label.chars().take(20).collect();
    let cut = if start.len() < label.len() { "..." } else { "" };
    Err(Error::Value(format!(
        "label {start:?}{cut} has {} bytes; {LABEL_RANGE}",
        label.len()
    )))
}

/// What the counter of a label is marked with once the label is folded; never 0, which is no mark.
#[inline]
fn mark_of(serial: u64) -> u64 {
    (1 + serial % (u64::MAX >> SAMPLE_BITS)) << SAMPLE_BITS
}

pub(crate) fn hash(label: &str) -> u64 {
    xxh3_64(label.as_bytes()) | 1
}

/// Changes a word that others count up meanwhile.
fn change(word: &Word, new: impl Fn(u64) -> u64) {
    let mut current = word.get();
    while let Err(found) = word.exchange(current, new(current)) {
        current = found;
    }
}

impl Table {
    /// Number of the label that stands for folded ones.
    #[must_use]
    pub fn other_label(&self) -> usize {
        self.layout.labels - 1
    }

    /// The text of a label; `None` for label 0 and for a free one.
    #[must_use]
    pub fn label_text(&self, label: usize) -> Option<String> {
        let words = self.label_words(label);
        loop {
            let state = words[0].observe();
            if state == 0 {
                return None;
            }
            let bytes: Vec<u8> = words[1..]
                .iter()
                .flat_map(|w| w.get().to_le_bytes())
                .collect();
            fence(Ordering::Acquire);
            if words[0].get() == state {
                let length = usize::try_from(state & LENGTH).expect("one byte");
                return Some(String::from_utf8_lossy(&bytes[..length]).into_owned());
            }
        }
    }

    /// The number of a label that is interned.
    #[must_use]
    pub fn find_label(&self, label: &str) -> Option<u32> {
        let wanted = hash(label);
        self.label_hashes()
            .iter()
            .enumerate()
            .find(|(number, word)| {
                word.get() == wanted && self.label_text(*number).as_deref() == Some(label)
            })
            .map(|(number, _)| u32::try_from(number).expect("at most 2^16 labels"))
    }

    /// Writes a label into a free place. Only for the holder of the structure lock.
    pub(crate) fn set_label_text(&self, number: usize, label: &str) {
        let words = self.label_words(number);
        words[0].publish(0);
        fence(Ordering::Release);
        let mut bytes = [0; (LABEL_WORDS - 1) * 8];
        bytes[..label.len()].copy_from_slice(label.as_bytes());
        for (word, chunk) in words[1..].iter().zip(bytes.as_chunks::<8>().0) {
            word.set(u64::from_le_bytes(*chunk));
        }
        let serial = self.header().intent.next_label.add(1) + 1;
        // Before the store that takes the place: one cut off in between has left it free.
        self.label_hashes()[number].publish(hash(label));
        words[0].publish((serial << 8) | label.len() as u64);
    }

    /// Number of a label's text, of all that were ever interned; 0 where there is none.
    #[inline]
    pub(crate) fn label_serial(&self, label: usize) -> u64 {
        self.label_words(label)[0].get() >> 8
    }

    /// Counts a draw for the label that had this serial number, or for "other" if that label is
    /// folded by now: its place may be another label's.
    #[inline]
    pub(crate) fn count_sample(&self, stripe: usize, label: usize, serial: u64) {
        let word = self.sample_word(stripe, label);
        let mark = mark_of(serial);
        let mut count = word.get();
        while count & !SAMPLES != mark {
            match word.exchange(count, count + 1) {
                Ok(_) => return,
                Err(found) => count = found,
            }
        }
        self.sample_word(stripe, self.other_label()).add(1);
    }

    /// Draws of tasks of a label in a stripe.
    pub(crate) fn sample_count(&self, stripe: usize, label: usize) -> u64 {
        self.sample_word(stripe, label).get() & SAMPLES
    }

    /// Refuses labels that do not all find room, even when every label without tasks gives its own.
    ///
    /// # Errors
    /// `Labels`.
    pub(crate) fn check_room_for<'a>(&self, labels: impl Iterator<Item = &'a str>) -> Result<()> {
        let wanted: HashSet<&str> = labels.collect();
        if wanted.iter().all(|label| self.find_label(label).is_some()) {
            return Ok(());
        }
        let missing = wanted
            .iter()
            .filter(|label| match self.find_label(label) {
                Some(number) => self.is_inactive(number as usize),
                None => true,
            })
            .count();
        let room = (1..self.other_label())
            .filter(|&label| self.is_inactive(label))
            .take(missing)
            .count();
        if room < missing {
            return Err(Error::Labels {
                limit: self.layout.shape.max_labels,
            });
        }
        Ok(())
    }

    /// Whether a label may be folded: it has neither tasks nor limits.
    pub(crate) fn is_inactive(&self, label: usize) -> bool {
        self.label_limits()[label].get() == 0 && self.fold_label(label).live.tasks == 0
    }

    pub(crate) fn free_label(&self, number: usize) {
        self.label_limits()[number].set(0);
        self.label_hashes()[number].publish(0);
        self.label_words(number)[0].publish(0);
    }
}

impl StructureGuard<'_> {
    /// The number of a label, interned if it is new.
    ///
    /// # Errors
    /// `Value` for a label that is too long; `Labels` for a full table.
    pub fn intern(&self, label: Option<&str>) -> Result<u32> {
        let Some(label) = label else { return Ok(0) };
        check_label(label)?;
        if let Some(number) = self.table.find_label(label) {
            return Ok(number);
        }
        let free =
            || (1..self.table.other_label()).find(|&n| self.table.label_words(n)[0].get() == 0);
        let number = match free() {
            Some(number) => number,
            None => {
                self.fold_inactive()?;
                free().ok_or(Error::Labels {
                    limit: self.table.layout.shape.max_labels,
                })?
            }
        };
        self.table.set_label_text(number, label);
        Ok(u32::try_from(number).expect("at most 2^16 labels"))
    }

    /// Limits the share of the draws that a label gets; the label is interned if it is new.
    ///
    /// # Errors
    /// `Value` for limits that are none, or least shares that add up to more than 1; `Labels`.
    pub fn set_limits(&self, label: &str, new: Limits) -> Result<()> {
        let word = new.validate()?.to_word();
        let table = self.table;
        let words = table.label_limits();
        let known = table.find_label(label).map(|number| number as usize);
        let others = words
            .iter()
            .enumerate()
            .filter(|(number, _)| Some(*number) != known);
        limits::check_sum(others.map(|(_, word)| word.get()).chain([word])).map_err(|sum| {
            Error::Value(format!(
                "{sum} with least = {:?} for {label:?}: they are at most 1; take a smaller share, \
                 or lower another label's",
                new.least
            ))
        })?;
        let limited = &table.header().limited;
        if new != Limits::NONE {
            // First, so that nobody passes limits by that are there.
            limited.publish(1);
        } else if known.is_none() {
            return check_label(label);
        }
        let number = self.intern(Some(label))? as usize;
        if words[number].get() != word {
            words[number].publish(word);
            self.note(&Act::LimitShare(label.to_owned(), new));
        }
        self.note_limits();
        Ok(())
    }

    /// Lets draws pass limits by where there are none.
    pub(crate) fn note_limits(&self) {
        let table = self.table;
        let any = table.label_limits().iter().any(|word| word.get() != 0);
        table.header().limited.publish(any.into());
    }

    /// Folds the oldest labels without live tasks into "other": those beyond the number to be
    /// retained, and at least one where there is any, since keeping it would refuse a new label.
    fn fold_inactive(&self) -> Result<()> {
        let table = self.table;
        // A label whose first task came in a commit that was cut off is in use.
        table.finish_commits()?;
        let mut inactive: Vec<usize> = (1..table.other_label())
            .filter(|&label| table.is_inactive(label))
            .collect();
        inactive.sort_by_key(|&label| table.label_words(label)[0].get());
        let retained =
            usize::try_from(table.header().max_inactive_labels.get()).unwrap_or(usize::MAX);
        let excess = inactive
            .len()
            .saturating_sub(retained)
            .max(inactive.len().min(1));
        for &label in &inactive[..excess] {
            self.fold(label)?;
        }
        Ok(())
    }

    /// Moves the totals of a label without live tasks to "other" and frees it. May be repeated.
    pub(crate) fn fold(&self, label: usize) -> Result<()> {
        self.begin(Plan::Fold, 0, label);
        let table = self.table;
        let serial = table.label_serial(label);
        for stripe in 0..table.layout.stripes {
            table.lock_stripe(stripe)?.fold_label(label);
            // Without a serial the label is free already.
            if serial != 0 {
                self.fold_samples(stripe, label, serial);
            }
        }
        table.header().intent.label_generation.add(1);
        table.free_label(label);
        self.finish();
        Ok(())
    }

    /// Moves the draws of a label to "other", the former counter first: what is counted from then on
    /// goes to "other" by itself. The mark tells which counter was changed, so that a repetition
    /// does the rest.
    fn fold_samples(&self, stripe: usize, label: usize, serial: u64) {
        let mark = mark_of(serial);
        let table = self.table;
        let moved = &table.header().intent.scheduled;
        let [from, to] = [label, table.other_label()].map(|label| table.sample_word(stripe, label));
        let mut count = from.get();
        while count & !SAMPLES != mark {
            moved.publish(count & SAMPLES);
            count = match from.exchange(count, mark) {
                Ok(_) => break,
                Err(found) => found,
            };
        }
        change(to, |word| {
            if word & !SAMPLES == mark {
                word
            } else {
                mark | ((word & SAMPLES) + moved.get())
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::options::SessionOptions;
    use crate::session::Session;
    use crate::structure::NewTask;

    fn create(session: &Session, task_id: i64, label: &str) -> usize {
        let new = NewTask {
            label: Some(label),
            ..NewTask::default()
        };
        session.create(task_id, &new).unwrap();
        session.table().find_label(label).unwrap() as usize
    }

    /// A session whose label "a" was drawn three times and then gave its place to "b"; the place
    /// and the serial number of "a".
    fn replaced() -> (Session, usize, u64) {
        let session = Session::open(&SessionOptions {
            capacity: Some(4),
            max_labels: 1,
            max_inactive_labels: 0,
            ..SessionOptions::default()
        })
        .unwrap();
        let place = create(&session, 1, "a");
        let serial = session.table().label_serial(place);
        for _ in 0..3 {
            session.draw(None).unwrap();
        }
        session.remove(1, true).unwrap();
        assert_eq!(create(&session, 2, "b"), place);
        (session, place, serial)
    }

    #[test]
    fn draws_of_a_folded_label_move_to_other() {
        let (session, place, _) = replaced();
        let table = session.table();
        assert_eq!(table.samples(place), 0);
        assert_eq!(table.samples(table.other_label()), 3);
    }

    #[test]
    fn a_draw_that_is_counted_after_the_fold_is_not_the_next_labels() {
        let (session, place, serial) = replaced();
        let table = session.table();
        for stripe in 0..table.layout.stripes {
            table.count_sample(stripe, place, serial);
        }
        let late = table.layout.stripes as u64;
        assert_eq!(table.samples(place), 0);
        assert_eq!(table.samples(table.other_label()), 3 + late);
        table.count_sample(0, place, table.label_serial(place));
        assert_eq!(table.samples(place), 1);
    }
}
