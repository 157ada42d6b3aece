//! What a session writes down for its next sync with other machines: every episode, and every
//! change of the set of tasks, in the same commit as the change itself.
//!
//! Each stripe has a sequence of entries of its own, written under its lock, in chunks that all
//! stripes take from one stock. An entry is filled first; the length that takes it in is part of
//! the commit: noted before the commit is armed, published with the rest, by a recovery as well.
//! So a task's record and the journal always agree.
//!
//! A chunk for the entry after the next one is had before anything is written. What was planned
//! under the structure lock can therefore be finished after a death, though others have filled
//! the journal meanwhile.

mod check;
mod release;

use crate::commit::StripeGuard;
use crate::error::{Error, Result};
use crate::segment::Shared;
use crate::structure::StructureGuard;
use crate::table::Table;
use crate::unique::unique;
use crate::words::Word;

/// Entries of a chunk.
pub const CHUNK_ENTRIES: usize = 64;
/// Words of an entry: kind, task, and two of the kind's own.
pub const ENTRY_WORDS: usize = 4;

/// Bits of an entry's first word that name its kind; the others are the serial of a label.
const KIND_BITS: u32 = 8;

/// The journal's own words.
#[repr(C, align(64))]
pub struct JournalHeader {
    /// Names this journal among those of other machines; another one after a load.
    pub(crate) uid: Word,
    /// Number of the sync whose state the session has, and whether it is being brought to the
    /// next one: in one word, because a death between two would leave a lie.
    standing: Word,
    /// Number of the last offer, the sync that it is for, and the last offer that was taken.
    pub(crate) offered: Word,
    pub(crate) offered_for: Word,
    pub(crate) settled: Word,
    /// Number of the last change of the set of tasks.
    order: Word,
    /// Where to look for a free chunk.
    hint: Word,
    /// About how many chunks are taken.
    taken: Word,
}

/// A stripe's part of the journal. Positions count from the last time that it was emptied as a
/// whole.
#[repr(C, align(64))]
pub struct JournalStripe {
    /// Entries written so far, and as many as there are after the commit in progress.
    pub(crate) length: Word,
    staged: Word,
    /// Entries before this one are settled.
    pub(crate) base: Word,
    /// Entries before this one belong to the last offer.
    pub(crate) mark: Word,
    /// The first chunk, and those of even and of odd number that were taken last: number of the
    /// chunk in the stripe and in the journal, both from 1.
    first: Word,
    places: [Word; 2],
    _rest_of_line: Word,
}

// SAFETY: words only.
unsafe impl Shared for JournalHeader {}
// SAFETY: words only.
unsafe impl Shared for JournalStripe {}

/// Whether a session is being brought to the state of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Adopting {
    /// The session has the state of a sync, and its own episodes since.
    Not,
    /// It has it in parts: some process died over it.
    Torn,
    /// The holder of the structure lock is at it.
    Now,
}

/// Bits of [`JournalHeader::standing`] that say so.
const ADOPTING_BITS: u32 = 2;

/// What a commit writes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Note {
    /// Nothing: what it does is this machine's own, or comes from a sync.
    Nothing,
    /// The last score of a task.
    Episode,
    /// A task moved in.
    Created,
    /// A task was evicted.
    Evicted,
    /// A task was removed otherwise.
    Removed,
    /// A task has another label.
    Labelled,
    /// A task has another threshold of success.
    Threshold,
}

impl Note {
    const ALL: [Self; 7] = [
        Self::Nothing,
        Self::Episode,
        Self::Created,
        Self::Evicted,
        Self::Removed,
        Self::Labelled,
        Self::Threshold,
    ];

    /// Whether it changes the set of tasks, or their labels: under the structure lock.
    pub(crate) fn is_structural(self) -> bool {
        !matches!(self, Self::Nothing | Self::Episode | Self::Threshold)
    }
}

/// An entry as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) note: Note,
    pub(crate) task_id: i64,
    /// Serial number of the label, of [`Note::Created`] and [`Note::Labelled`]; 0 for none.
    pub(crate) label: u64,
    /// Bits of the score or threshold, or the number of the change.
    pub(crate) value: u64,
    /// Environment steps.
    pub(crate) env_steps: u64,
}

fn place(number: u64, chunk: usize) -> u64 {
    ((number + 1) << 32) | (chunk as u64 + 1)
}

/// Number of the chunk in its stripe, if the word names it.
fn is_place_of(word: u64, number: u64) -> bool {
    word >> 32 == number + 1
}

/// The chunk that a place or a link names.
fn chunk_of(word: u64) -> Option<usize> {
    ((word & u64::from(u32::MAX)) as usize).checked_sub(1)
}

/// What a chunk belongs to, and the next chunk of the same stripe.
fn owned(stripe: usize, next: Option<usize>) -> u64 {
    ((stripe as u64 + 1) << 32) | next.map_or(0, |next| next as u64 + 1)
}

impl JournalHeader {
    /// Of a new session.
    pub(crate) fn begin(&self) {
        self.uid.set(unique());
    }

    /// Number of the sync whose state the session has.
    pub(crate) fn number(&self) -> u64 {
        self.standing.get() >> ADOPTING_BITS
    }

    /// Whether the session is on its way to the next one.
    pub(crate) fn adopting(&self) -> Adopting {
        match self.standing.get() & ((1 << ADOPTING_BITS) - 1) {
            0 => Adopting::Not,
            2 => Adopting::Now,
            _ => Adopting::Torn,
        }
    }

    /// Whether the word that says where the session stands is one that a session writes.
    fn stands(&self) -> bool {
        let standing = self.standing.get();
        standing == (self.number() << ADOPTING_BITS | self.adopting() as u64)
    }

    /// Under the structure lock, as all that says where a session stands.
    pub(crate) fn stand(&self, number: u64, adopting: Adopting) {
        self.standing
            .publish(number << ADOPTING_BITS | adopting as u64);
    }

    /// Whether an offer was made of which the session does not know that it was taken.
    pub(crate) fn has_open_offer(&self) -> bool {
        self.offered.get() != self.settled.get()
    }
}

impl Table {
    /// Refuses a batch for which there is no room, before any of it is written.
    pub(crate) fn check_journal_room(&self, entries: usize) -> Result<()> {
        let Some(journal) = self.journal() else {
            return Ok(());
        };
        let taken = usize::try_from(journal.taken.get()).unwrap_or(usize::MAX);
        let free = self.layout.chunks.saturating_sub(taken) * CHUNK_ENTRIES;
        // Each stripe may leave the rest of one chunk unused.
        if entries + self.layout.stripes * CHUNK_ENTRIES <= free {
            return Ok(());
        }
        let unwritten = |stripe| {
            let stripe = self.journal_stripe(stripe);
            CHUNK_ENTRIES as u64 - 1 - (stripe.length.get() % CHUNK_ENTRIES as u64)
        };
        if (0..self.layout.stripes).all(|stripe| unwritten(stripe) > entries as u64) {
            return Ok(());
        }
        Err(self.journal_is_full())
    }

    #[cold]
    fn journal_is_full(&self) -> Error {
        Error::Journal {
            episodes: self.layout.shape.sync_episodes,
        }
    }

    /// Refuses what no journal could tell other machines.
    pub(crate) fn refuse_beside_journal(&self, what: &str) -> Result<()> {
        if !self.has_journal() {
            return Ok(());
        }
        Err(Error::Session(format!(
            "{what} is not possible in a session that syncs (sync_episodes = {}): its statistics \
             come from episodes alone; report scores, or load a checkpoint",
            self.layout.shape.sync_episodes
        )))
    }

    /// Whether a chunk belongs to a stripe.
    fn is_owned(&self, chunk: usize, stripe: usize) -> bool {
        self.chunks()[chunk].get() >> 32 == stripe as u64 + 1
    }

    fn next_chunk(&self, chunk: usize) -> Option<usize> {
        chunk_of(self.chunks()[chunk].get())
    }

    /// Takes a chunk for a stripe.
    #[cold]
    fn take_chunk(&self, stripe: usize) -> Option<usize> {
        let journal = self.journal()?;
        let (chunks, start) = (self.chunks(), journal.hint.get() as usize);
        for at in 0..chunks.len() {
            let chunk = (start + at) % chunks.len();
            let word = &chunks[chunk];
            while word.get() == 0 {
                // The exchange may fail without a reason.
                if word.exchange(0, owned(stripe, None)).is_ok() {
                    journal.hint.set(chunk as u64 + 1);
                    journal.taken.add(1);
                    return Some(chunk);
                }
            }
        }
        None
    }
}

impl StripeGuard<'_> {
    fn journal(&self) -> &JournalStripe {
        self.table.journal_stripe(self.number())
    }

    /// Takes what room `entries` more of the stripe need, and one beyond them for what a dead
    /// holder of the structure lock may have left to be written down.
    ///
    /// # Errors
    /// `Journal`.
    fn reserve(&self, entries: u64) -> Result<()> {
        let length = self.journal().length.get();
        (length..=length + entries).try_for_each(|position| self.have_chunk(position))
    }

    /// Sees to it that there is a chunk for an entry.
    #[inline]
    fn have_chunk(&self, position: u64) -> Result<()> {
        let number = position / CHUNK_ENTRIES as u64;
        if is_place_of(self.journal().places[(number & 1) as usize].get(), number) {
            return Ok(());
        }
        self.add_chunk(number)
    }

    #[cold]
    fn add_chunk(&self, number: u64) -> Result<()> {
        let (table, words) = (self.table, self.journal());
        let chunk = table
            .take_chunk(self.number())
            .ok_or_else(|| table.journal_is_full())?;
        let before = words.places[(number & 1 ^ 1) as usize].get();
        if number > 0 && is_place_of(before, number - 1) {
            let before = chunk_of(before).expect("a place");
            table.chunks()[before].publish(owned(self.number(), Some(chunk)));
        } else {
            words.first.publish(place(number, chunk));
        }
        words.places[(number & 1) as usize].publish(place(number, chunk));
        Ok(())
    }

    /// Fills the next entry with what is staged over the record in a slot, and notes the length that
    /// a commit publishes with it.
    ///
    /// # Errors
    /// `Journal`; nothing is published then.
    pub(crate) fn stage_note(&self, note: Note, slot: usize) -> Result<()> {
        let words = self.journal();
        let length = words.length.get();
        if note == Note::Nothing {
            words.staged.set(length);
            return Ok(());
        }
        // What was begun under the structure lock has its room already, also after a death.
        if !(note.is_structural() && self.have_chunk(length).is_ok()) {
            self.reserve(1)?;
        }
        let record = self.table.record(slot);
        let (old, new) = (record.load_owned().1, record.load_staged());
        let serial = match note {
            Note::Created | Note::Labelled if new.label != 0 => {
                self.table.label_serial(new.label as usize)
            }
            _ => 0,
        };
        let value = match note {
            Note::Episode => new.last_score.to_bits(),
            Note::Threshold => new.success_threshold.to_bits(),
            _ => self
                .table
                .journal()
                .map_or(0, |journal| journal.order.add(1)),
        };
        let entry = self.table.entry_words(self.chunk_at(length), length);
        entry[0].set(note as u64 | serial << KIND_BITS);
        entry[1].set(new.task_id.cast_unsigned());
        entry[2].set(value);
        entry[3].set(new.env_steps.wrapping_sub(old.env_steps));
        words.staged.set(length + 1);
        Ok(())
    }

    /// The chunk of the entry that is written next.
    fn chunk_at(&self, length: u64) -> usize {
        let number = length / CHUNK_ENTRIES as u64;
        chunk_of(self.journal().places[(number & 1) as usize].get()).expect("it was reserved")
    }

    /// A commit that changes no record.
    pub(crate) fn stage_no_note(&self) {
        if self.table.has_journal() {
            self.journal().staged.set(self.journal().length.get());
        }
    }

    /// Publishes the length that was noted. May be repeated.
    #[inline]
    pub(crate) fn publish_notes(&self) {
        let words = self.journal();
        words.length.publish(words.staged.get());
    }
}

impl Table {
    /// The words of an entry in its chunk.
    fn entry_words(&self, chunk: usize, position: u64) -> &[Word] {
        let at = chunk * CHUNK_ENTRIES + position as usize % CHUNK_ENTRIES;
        &self.entries()[at * ENTRY_WORDS..][..ENTRY_WORDS]
    }
}

impl Entry {
    fn load(words: &[Word]) -> Self {
        let kind = words[0].get();
        let note = (kind & ((1 << KIND_BITS) - 1)) as usize;
        Self {
            note: *Note::ALL.get(note).unwrap_or(&Note::Nothing),
            task_id: words[1].get().cast_signed(),
            label: kind >> KIND_BITS,
            value: words[2].get(),
            env_steps: words[3].get(),
        }
    }
}

impl StructureGuard<'_> {
    /// What a change of the set of tasks writes down: nothing while a sync brings it.
    pub(crate) fn noted(&self, note: Note) -> Note {
        match self.table.journal() {
            Some(journal) if journal.adopting() != Adopting::Now => note,
            _ => Note::Nothing,
        }
    }

    /// Takes the room for changes of the set of tasks before they are begun, unless a sync brings
    /// them: that goes on in a full journal, which only it empties.
    pub(crate) fn reserve(&self, guard: &StripeGuard, entries: u64) -> Result<()> {
        match self.noted(Note::Created) {
            Note::Nothing => Ok(()),
            _ => guard.reserve(entries),
        }
    }

    /// Begins another journal, for a session that is emptied.
    pub(crate) fn begin_journal(&self) {
        if let Some(journal) = self.table.journal() {
            journal.uid.add(1);
            journal.offered.set(0);
            journal.offered_for.set(0);
            journal.settled.set(0);
            journal.stand(0, Adopting::Not);
        }
    }
}
