//! Where everything lies in a session's memory.
//!
//! ```text
//! preamble | header | stripes | label names | label hashes | label limits | tallies of labels | samples of labels
//!          | index heads | free-slot bits | block weights | block counts | drawn words | LP words | task ids | records | open tickets
//!          | journal, its stripes, chunks and entries (only where the session has one)
//! ```
//!
//! Slots are dealt to stripes in turn (slot = local * stripes + stripe), so neighbours in order of
//! creation have different locks. Records, and the dense arrays that draws scan, are stripe by
//! stripe instead: a block belongs to one stripe, and its sums to that stripe's lock. What is
//! written under one lock shares no cache line with what is written under another.

use crate::error::{Error, Result};
use crate::journal::{CHUNK_ENTRIES, ENTRY_WORDS, JournalHeader, JournalStripe};
use crate::lock::RobustLock;
use crate::record::MAX_COLUMNS;
use crate::rules::RULES_WORDS;
use crate::segment::{PREAMBLE, Shared};
use crate::steering::Steering;
use crate::tally::COPY_WORDS;
use crate::words::Word;

/// Version of everything in this file; sessions carry it.
pub const LAYOUT_VERSION: u64 = 8;
/// Most tasks that a session can hold.
pub const MAX_CAPACITY: usize = 1 << 26;
/// Most episodes that may lie between two syncs.
pub const MAX_SYNC_EPISODES: usize = 1 << 32;
/// Most labels that a session can hold.
pub const MAX_LABELS: usize = 1 << 16;
/// Stripes of a session that is large enough for them.
pub const MAX_STRIPES: usize = 16;
/// Longest label, in bytes of UTF-8.
pub const MAX_LABEL_BYTES: usize = 120;
/// Longest column name, in bytes of UTF-8.
pub const MAX_COLUMN_NAME_BYTES: usize = 31;
/// Longest description of what a session is for, in bytes of UTF-8.
pub const MAX_CONTENT_BYTES: usize = 120;
/// Longest path of a checkpoint whose load survives its loader, in bytes.
pub const MAX_PATH_BYTES: usize = 4096;
/// Tickets that a session remembers as open, a power of two.
pub const OPEN_TICKETS: usize = 1 << 16;
/// Words of one label name: its state and its text.
pub const LABEL_WORDS: usize = 1 + MAX_LABEL_BYTES / 8;
/// Words of a record's copy before the algorithm's columns.
pub const FIELD_WORDS: usize = 20;
/// Words of a record before its copies: sequence, scheduled, last scheduled, link, task id.
pub const RECORD_HEAD_WORDS: usize = 5;

const CACHE_LINE: usize = 64;
/// Words of a cache line.
pub(crate) const LINE_WORDS: usize = CACHE_LINE / 8;

/// The session's own facts and the words that everybody shares.
#[repr(C, align(64))]
pub struct Header {
    /// [`LAYOUT_VERSION`].
    pub version: Word,
    /// Number of tasks that fit.
    pub capacity: Word,
    /// Number of columns.
    pub columns: Word,
    /// Number of labels that fit.
    pub max_labels: Word,
    /// Labels without live tasks that are kept when the table is full.
    pub max_inactive_labels: Word,
    /// Episodes that may lie between two syncs; 0 for a session without a journal.
    pub sync_episodes: Word,
    /// Seed of the session's streams.
    pub seed: Word,
    /// 0 while no label has limits.
    pub limited: Word,
    /// What the session is for, in the words of its maker, zero-padded.
    pub content: [Word; MAX_CONTENT_BYTES / 8],
    /// The rules.
    pub rules: [Word; RULES_WORDS],
    /// Column names, zero-padded.
    pub column_names: [[Word; (MAX_COLUMN_NAME_BYTES + 1) / 8]; MAX_COLUMNS],
    /// Lowest and highest score seen (f64); NaN before the first.
    pub score_range: [Word; 2],
    /// Path of the checkpoint that is being loaded.
    pub loading: [Word; MAX_PATH_BYTES / 8],
    /// Words that change.
    pub counters: Counters,
    /// Guards creation, removal, labels and loading.
    pub structure: RobustLock,
    /// What the holder of `structure` is about to do.
    pub intent: StructureIntent,
    /// How the session is steered.
    pub steering: Steering,
}

/// Counters without a lock; each is exact by itself.
#[repr(C, align(64))]
pub struct Counters {
    /// Streams allotted so far.
    pub streams: Word,
    /// Reports whose task was evicted meanwhile.
    pub late_reports: Word,
    /// Locks had after the death of their holder.
    pub recoveries: Word,
    /// Times that a taker went to sleep.
    pub lock_waits: Word,
    /// Serial number of the last ticket.
    pub tickets: Word,
}

/// What is needed to finish a structure change after a death; see `structure`.
#[repr(C, align(64))]
pub struct StructureIntent {
    /// 0 for nothing, otherwise a `Plan`.
    pub plan: Word,
    /// The task.
    pub task_id: Word,
    /// Its slot, or the label that is folded.
    pub subject: Word,
    /// Draws of a task when it was frozen for its removal, or of a label that is folded.
    pub scheduled: Word,
    /// Advanced before a chain of the index changes.
    pub index_version: Word,
    /// Lower bound of the lowest word of the free-slot bits with a free slot.
    pub free_hint: Word,
    /// Serial number of the next label.
    pub next_label: Word,
    /// Advanced when a label's number comes to mean something else.
    pub label_generation: Word,
}

/// One stripe: its lock, what its holder is committing, its totals.
#[repr(C, align(64))]
pub struct Stripe {
    /// Guards the records of the stripe and everything in it.
    pub lock: RobustLock,
    /// What is needed to finish a commit after a death.
    pub intent: CommitIntent,
    /// Sequence of the totals' latch.
    pub sequence: Word,
    /// Both copies of the totals.
    pub totals: [Word; 2 * COPY_WORDS],
}

/// A commit in progress. `armed` is the one store that decides whether it happens.
#[repr(C, align(64))]
pub struct CommitIntent {
    /// 0 or 1.
    pub armed: Word,
    /// The slot that is changing.
    pub slot: Word,
    /// Sequence that publishes its record.
    pub record: Word,
    /// Sequence that publishes the stripe's totals.
    pub totals: Word,
    /// Label of the record before (0 for none) and the sequence of its totals.
    pub old_label: [Word; 2],
    /// Label of the record after, likewise.
    pub new_label: [Word; 2],
}

// SAFETY: words and locks only.
unsafe impl Shared for Header {}
// SAFETY: words and locks only.
unsafe impl Shared for Stripe {}

const _: () = assert!(size_of::<CommitIntent>() == CACHE_LINE);
const _: () = assert!(size_of::<Counters>() == CACHE_LINE);
const _: () = assert!(size_of::<StructureIntent>() == CACHE_LINE);
const _: () = assert!(align_of::<Header>() == CACHE_LINE && PREAMBLE.is_multiple_of(CACHE_LINE));

/// The sizes that a session is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Number of tasks.
    pub capacity: usize,
    /// Number of columns.
    pub columns: usize,
    /// Number of labels.
    pub max_labels: usize,
    /// Episodes that may lie between two syncs; 0 for no journal.
    pub sync_episodes: usize,
}

impl Shape {
    /// Checks the limits.
    ///
    /// # Errors
    /// `Value` naming the number and its range.
    pub fn validate(self) -> Result<Self> {
        let within = |name: &str, value: usize, low: usize, high: usize| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(Error::Value(format!(
                    "{name} {value} is not in the range {low} to {high}"
                )))
            }
        };
        within("capacity", self.capacity, 1, MAX_CAPACITY)?;
        within("number of columns", self.columns, 0, MAX_COLUMNS)?;
        within("max_labels", self.max_labels, 1, MAX_LABELS)?;
        within("sync_episodes", self.sync_episodes, 0, MAX_SYNC_EPISODES)?;
        Ok(self)
    }
}

/// Offsets, in bytes, and the numbers that follow from a [`Shape`].
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// What it was made from.
    pub shape: Shape,
    /// Number of stripes, a power of two; each has at least one slot.
    pub stripes: usize,
    /// Slots of a stripe, a multiple of the words of a cache line; some belong to no task where the
    /// capacity is no multiple of them all.
    pub per_stripe: usize,
    /// Slots of a block, a power of two.
    pub block: usize,
    /// Blocks of a stripe.
    pub blocks: usize,
    /// Words from a stripe's first block to the next stripe's.
    pub block_span: usize,
    /// Words of a record.
    pub record_words: usize,
    /// Labels including "none" (0) and "other" (the last).
    pub labels: usize,
    /// Offset of the header.
    pub header: usize,
    /// Offset of the stripes.
    pub stripes_at: usize,
    /// Offset of the label names.
    pub label_names_at: usize,
    /// Offset of the labels' hashes.
    pub label_hashes_at: usize,
    /// Offset of the limits of the labels' shares.
    pub label_limits_at: usize,
    /// Offset of the labels' totals, stripe by stripe.
    pub label_totals_at: usize,
    /// Offset of the labels' sample counters, stripe by stripe.
    pub label_samples_at: usize,
    /// Offset of the index heads.
    pub heads_at: usize,
    /// Offset of the free-slot bits.
    pub used_at: usize,
    /// Offset of the blocks' weight sums.
    pub block_weights_at: usize,
    /// Offset of the blocks' task counts.
    pub block_counts_at: usize,
    /// Offset of the drawn words (liveness, presentations, weight), stripe by stripe.
    pub drawn_at: usize,
    /// Offset of the tasks' LP, stripe by stripe.
    pub progress_at: usize,
    /// Offset of the tasks' ids, stripe by stripe.
    pub task_ids_at: usize,
    /// Offset of the records.
    pub records_at: usize,
    /// Offset of the ring of open tickets.
    pub open_tickets_at: usize,
    /// Chunks of the journal; 0 without one.
    pub chunks: usize,
    /// Offset of the journal's own words.
    pub journal_at: usize,
    /// Offset of the stripes' parts of the journal.
    pub journal_stripes_at: usize,
    /// Offset of the chunks' owners and links.
    pub chunks_at: usize,
    /// Offset of the journal's entries.
    pub entries_at: usize,
    /// Bytes in all.
    pub bytes: usize,
}

impl Layout {
    /// Lays a session out.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        // A power of two, with at least one slot each.
        let stripes = MAX_STRIPES.min(1 << shape.capacity.ilog2());
        let per_stripe = shape
            .capacity
            .div_ceil(stripes)
            .next_multiple_of(LINE_WORDS);
        let block = (per_stripe.isqrt().max(1)).next_power_of_two();
        let blocks = per_stripe.div_ceil(block);
        let block_span = blocks.next_multiple_of(LINE_WORDS);
        let record_words = RECORD_HEAD_WORDS + 2 * (FIELD_WORDS + shape.columns);
        let labels = shape.max_labels + 2;
        let mut end = PREAMBLE;
        let mut region = |bytes: usize| {
            let start = end.next_multiple_of(CACHE_LINE);
            end = start + bytes;
            start
        };
        let header = region(size_of::<Header>());
        let stripes_at = region(stripes * size_of::<Stripe>());
        let label_names_at = region(labels * LABEL_WORDS * 8);
        let label_hashes_at = region(labels * 8);
        let label_limits_at = region(labels * 8);
        let label_totals_at = region(stripes * labels * LABEL_TALLY_WORDS * 8);
        let label_samples_at = region(stripes * labels * 8);
        let heads_at = region(shape.capacity * 8);
        let used_at = region(shape.capacity.div_ceil(64) * 8);
        let block_weights_at = region(stripes * block_span * 8);
        let block_counts_at = region(stripes * block_span * 8);
        let drawn_at = region(stripes * per_stripe * 8);
        let progress_at = region(stripes * per_stripe * 8);
        let task_ids_at = region(stripes * per_stripe * 8);
        let records_at = region(stripes * per_stripe * record_words * 8);
        let open_tickets_at = region(OPEN_TICKETS * 8);
        let chunks = journal_chunks(shape, stripes);
        let present = |bytes: usize| if chunks == 0 { 0 } else { bytes };
        let journal_at = region(present(size_of::<JournalHeader>()));
        let journal_stripes_at = region(present(stripes * size_of::<JournalStripe>()));
        let chunks_at = region(chunks * 8);
        let entries_at = region(chunks * CHUNK_ENTRIES * ENTRY_WORDS * 8);
        Self {
            shape,
            stripes,
            per_stripe,
            block,
            blocks,
            block_span,
            record_words,
            labels,
            header,
            stripes_at,
            label_names_at,
            label_hashes_at,
            label_limits_at,
            label_totals_at,
            label_samples_at,
            heads_at,
            used_at,
            block_weights_at,
            block_counts_at,
            drawn_at,
            progress_at,
            task_ids_at,
            records_at,
            open_tickets_at,
            chunks,
            journal_at,
            journal_stripes_at,
            chunks_at,
            entries_at,
            bytes: end.next_multiple_of(4096),
        }
    }

    /// Stripe of a slot.
    #[inline]
    #[must_use]
    pub fn stripe_of(&self, slot: usize) -> usize {
        slot & (self.stripes - 1)
    }

    /// Position of a slot in the dense arrays, and of its record.
    #[inline]
    #[must_use]
    pub fn dense(&self, slot: usize) -> usize {
        self.stripe_of(slot) * self.per_stripe + (slot >> self.stripes.trailing_zeros())
    }

    /// Slot of a stripe's local number.
    #[inline]
    #[must_use]
    pub fn slot(&self, stripe: usize, local: usize) -> usize {
        (local << self.stripes.trailing_zeros()) | stripe
    }
}

/// Chunks of a journal: room for the episodes, for the creation of every task, and for what each
/// stripe has begun and keeps ahead, and one more each, by which the room for a batch is known.
fn journal_chunks(shape: Shape, stripes: usize) -> usize {
    match shape.sync_episodes {
        0 => 0,
        episodes => (episodes + shape.capacity).div_ceil(CHUNK_ENTRIES) + 3 * stripes,
    }
}

/// Words of a label's totals in one stripe: the latch's sequence and both copies.
pub const LABEL_TALLY_WORDS: usize = 1 + 2 * COPY_WORDS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_and_dense_positions_correspond() {
        for capacity in [1, 2, 3, 15, 16, 17, 1000, 4097] {
            let layout = Layout::new(Shape {
                capacity,
                columns: 0,
                max_labels: 4,
                sync_episodes: 0,
            });
            let mut seen = vec![false; layout.stripes * layout.per_stripe];
            for slot in 0..capacity {
                let dense = layout.dense(slot);
                assert!(!std::mem::replace(&mut seen[dense], true));
                let (stripe, local) = (dense / layout.per_stripe, dense % layout.per_stripe);
                assert_eq!(layout.slot(stripe, local), slot);
            }
        }
    }

    #[test]
    fn stripes_share_no_cache_line() {
        for capacity in [1, 17, 1000, 4097] {
            for columns in 0..=MAX_COLUMNS {
                let layout = Layout::new(Shape {
                    capacity,
                    columns,
                    max_labels: 4,
                    sync_episodes: 0,
                });
                let of_stripe = |at: usize, words: usize, stripe| at + stripe * words * 8;
                for stripe in 0..layout.stripes {
                    for (at, words) in [
                        (layout.drawn_at, layout.per_stripe),
                        (layout.progress_at, layout.per_stripe),
                        (layout.task_ids_at, layout.per_stripe),
                        (layout.block_weights_at, layout.block_span),
                        (layout.block_counts_at, layout.block_span),
                        (layout.records_at, layout.per_stripe * layout.record_words),
                    ] {
                        assert!(of_stripe(at, words, stripe).is_multiple_of(CACHE_LINE));
                    }
                }
                assert!(layout.block_span >= layout.blocks);
            }
        }
    }

    #[test]
    fn a_task_takes_at_most_512_bytes_and_528_with_all_columns() {
        for columns in 0..=MAX_COLUMNS {
            let bytes = |capacity| {
                Layout::new(Shape {
                    capacity,
                    columns,
                    max_labels: 256,
                    sync_episodes: 0,
                })
                .bytes
            };
            let each = (bytes(2_000_000) - bytes(1_000_000)).div_ceil(1_000_000);
            let most = if columns < MAX_COLUMNS { 512 } else { 528 };
            assert!(each <= most, "{each} bytes with {columns} columns");
        }
    }
}
