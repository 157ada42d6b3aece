//! A session's memory, seen as its parts.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::journal::{CHUNK_ENTRIES, ENTRY_WORDS, JournalHeader, JournalStripe};
use crate::latch::Latch;
use crate::layout::{Header, LABEL_TALLY_WORDS, LABEL_WORDS, Layout, OPEN_TICKETS, Stripe};
use crate::lock::{RobustLock, Taken};
use crate::progress::Seen;
use crate::record_words::Record;
use crate::rules::Rules;
use crate::segment::{self, Mapping, Segment, Shared};
use crate::tally::{TASKS_WORD, Tally};
use crate::words::Word;

/// The parts of a mapped session.
pub struct Table {
    /// Where everything lies.
    pub layout: Layout,
    /// The session's rules.
    pub rules: Rules,
    /// How long a lock is waited for.
    pub lock_timeout: Duration,
    parts: Parts,
    pid: AtomicU32,
    pid_generation: AtomicU32,
    // Last, so that it is unmapped after everything that points into it.
    segment: Segment,
}

/// References into the mapping. They are as long-lived as the segment beside them, which the
/// compiler cannot know; they never leave [`Table`] but through methods that borrow it.
struct Parts {
    header: &'static Header,
    stripes: &'static [Stripe],
    label_names: &'static [Word],
    label_hashes: &'static [Word],
    label_limits: &'static [Word],
    label_totals: &'static [Word],
    label_samples: &'static [Word],
    open_tickets: &'static [Word],
    heads: &'static [Word],
    used: &'static [Word],
    block_weights: &'static [Word],
    block_counts: &'static [Word],
    drawn: &'static [Word],
    progress: &'static [Word],
    task_ids: &'static [Word],
    records: &'static [Word],
    journal: &'static [JournalHeader],
    journal_stripes: &'static [JournalStripe],
    chunks: &'static [Word],
    entries: &'static [Word],
}

impl Parts {
    fn new(mapping: &Mapping, layout: &Layout) -> Self {
        fn part<T: Shared>(mapping: &Mapping, offset: usize, count: usize) -> &'static [T] {
            // SAFETY: see `Parts`: the segment outlives every use of the reference.
            unsafe { std::mem::transmute::<&[T], &'static [T]>(mapping.slice(offset, count)) }
        }
        let words = |offset, count| part::<Word>(mapping, offset, count);
        let dense = layout.stripes * layout.per_stripe;
        let blocks = layout.stripes * layout.block_span;
        let labels = layout.stripes * layout.labels;
        let journals = usize::from(layout.chunks > 0);
        Self {
            header: &part::<Header>(mapping, layout.header, 1)[0],
            stripes: part(mapping, layout.stripes_at, layout.stripes),
            label_names: words(layout.label_names_at, layout.labels * LABEL_WORDS),
            label_hashes: words(layout.label_hashes_at, layout.labels),
            label_limits: words(layout.label_limits_at, layout.labels),
            label_totals: words(layout.label_totals_at, labels * LABEL_TALLY_WORDS),
            label_samples: words(layout.label_samples_at, labels),
            open_tickets: words(layout.open_tickets_at, OPEN_TICKETS),
            heads: words(layout.heads_at, layout.shape.capacity),
            used: words(layout.used_at, layout.shape.capacity.div_ceil(64)),
            block_weights: words(layout.block_weights_at, blocks),
            block_counts: words(layout.block_counts_at, blocks),
            drawn: words(layout.drawn_at, dense),
            progress: words(layout.progress_at, dense),
            task_ids: words(layout.task_ids_at, dense),
            records: words(layout.records_at, dense * layout.record_words),
            journal: part(mapping, layout.journal_at, journals),
            journal_stripes: part(
                mapping,
                layout.journal_stripes_at,
                journals * layout.stripes,
            ),
            chunks: words(layout.chunks_at, layout.chunks),
            entries: words(
                layout.entries_at,
                layout.chunks * CHUNK_ENTRIES * ENTRY_WORDS,
            ),
        }
    }
}

impl Table {
    /// Views a segment that was laid out as `layout`.
    #[must_use]
    pub fn new(segment: Segment, layout: Layout, rules: Rules, lock_timeout: Duration) -> Self {
        Self {
            parts: Parts::new(segment.mapping(), &layout),
            layout,
            rules,
            lock_timeout,
            pid: AtomicU32::new(std::process::id()),
            pid_generation: AtomicU32::new(segment::fork_generation()),
            segment,
        }
    }

    /// The mapping itself.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Called at the start of whatever changes the session: attaches anew after a fork.
    ///
    /// # Errors
    /// `Session` for a read-only handle, a closed one, or a session that is gone.
    #[inline]
    pub fn enter(&self) -> Result<()> {
        if self.segment.is_read_only() {
            return Err(read_only());
        }
        self.segment.ensure_attached()
    }

    #[inline]
    fn pid(&self) -> u32 {
        let generation = segment::fork_generation();
        if self.pid_generation.load(Ordering::Relaxed) != generation {
            self.pid.store(std::process::id(), Ordering::Relaxed);
            self.pid_generation.store(generation, Ordering::Relaxed);
        }
        self.pid.load(Ordering::Relaxed)
    }

    /// Takes a lock of the session; whoever gets it after a death counts the recovery.
    pub(crate) fn take(&self, lock: &RobustLock, what: &str) -> Result<Taken> {
        let waits = &self.header().counters.lock_waits;
        let taken = lock.lock(what, self.lock_timeout, self.pid(), waits)?;
        self.count_recovery(taken);
        Ok(taken)
    }

    /// [`Self::take`] if the lock is free.
    #[inline(always)]
    pub(crate) fn try_take(&self, lock: &RobustLock) -> Option<Taken> {
        let taken = lock.try_lock(self.pid())?;
        self.count_recovery(taken);
        Some(taken)
    }

    #[inline]
    fn count_recovery(&self, taken: Taken) {
        if taken == Taken::AfterDeath {
            self.header().counters.recoveries.add(1);
        }
    }

    /// The session's facts.
    #[inline]
    pub fn header(&self) -> &Header {
        self.parts.header
    }

    /// The stripes.
    #[inline]
    pub fn stripes(&self) -> &[Stripe] {
        self.parts.stripes
    }

    /// The latch over a stripe's totals.
    #[inline]
    pub fn totals(&self, stripe: usize) -> Latch<'_> {
        let stripe = &self.parts.stripes[stripe];
        Latch::new(&stripe.sequence, &stripe.totals)
    }

    /// The latch over a label's totals in a stripe.
    #[inline]
    pub fn label_totals(&self, stripe: usize, label: usize) -> Latch<'_> {
        let at = (stripe * self.layout.labels + label) * LABEL_TALLY_WORDS;
        let words = &self.parts.label_totals[at..at + LABEL_TALLY_WORDS];
        Latch::new(&words[0], &words[1..])
    }

    /// The latch over the totals of a label in a stripe, or (label 0) of the whole stripe.
    pub fn totals_of(&self, stripe: usize, label: usize) -> Latch<'_> {
        match label {
            0 => self.totals(stripe),
            label => self.label_totals(stripe, label),
        }
    }

    /// The counter of draws of a label in a stripe, and the mark of a fold in its high bits: to be
    /// read by `sample_count`.
    #[inline]
    pub fn sample_word(&self, stripe: usize, label: usize) -> &Word {
        &self.parts.label_samples[stripe * self.layout.labels + label]
    }

    /// A label's state and text.
    pub fn label_words(&self, label: usize) -> &[Word] {
        &self.parts.label_names[label * LABEL_WORDS..(label + 1) * LABEL_WORDS]
    }

    /// Hashes of the labels' texts, 0 for a free one.
    pub fn label_hashes(&self) -> &[Word] {
        self.parts.label_hashes
    }

    /// Limits of the labels' shares, 0 for none.
    #[inline]
    pub fn label_limits(&self) -> &[Word] {
        self.parts.label_limits
    }

    /// The ring of open tickets: serial number and, in the lowest bit, whether it is open.
    #[inline]
    pub fn open_tickets(&self) -> &[Word] {
        self.parts.open_tickets
    }

    /// Whether episodes are written down for a sync.
    #[inline(always)]
    #[must_use]
    pub fn has_journal(&self) -> bool {
        self.layout.chunks > 0
    }

    /// The journal's own words, where there is a journal.
    #[inline]
    pub(crate) fn journal(&self) -> Option<&JournalHeader> {
        self.parts.journal.first()
    }

    /// A stripe's part of the journal; only where there is one.
    #[inline]
    pub(crate) fn journal_stripe(&self, stripe: usize) -> &JournalStripe {
        &self.parts.journal_stripes[stripe]
    }

    /// Owner and link of each chunk of the journal.
    #[inline]
    pub(crate) fn chunks(&self) -> &[Word] {
        self.parts.chunks
    }

    /// The entries of the journal, chunk by chunk.
    #[inline]
    pub(crate) fn entries(&self) -> &[Word] {
        self.parts.entries
    }

    /// Heads of the index's chains.
    #[inline]
    pub fn heads(&self) -> &[Word] {
        self.parts.heads
    }

    /// One bit a slot: 1 for used.
    pub fn used(&self) -> &[Word] {
        self.parts.used
    }

    /// A record.
    #[inline]
    pub fn record(&self, slot: usize) -> Record<'_> {
        let n = self.layout.record_words;
        Record::new(&self.parts.records[self.layout.dense(slot) * n..][..n])
    }

    /// The drawn words of a stripe.
    #[inline]
    pub fn drawn(&self, stripe: usize) -> &[Word] {
        let n = self.layout.per_stripe;
        &self.parts.drawn[stripe * n..(stripe + 1) * n]
    }

    /// The LP of a stripe's tasks.
    #[inline]
    pub fn progress(&self, stripe: usize) -> &[Word] {
        let n = self.layout.per_stripe;
        &self.parts.progress[stripe * n..(stripe + 1) * n]
    }

    /// The ids of a stripe's tasks; that of a live task is there before its drawn word is.
    #[inline]
    pub fn task_ids(&self, stripe: usize) -> &[Word] {
        let n = self.layout.per_stripe;
        &self.parts.task_ids[stripe * n..(stripe + 1) * n]
    }

    /// The weight sums of a stripe's blocks.
    #[inline]
    pub fn block_weights(&self, stripe: usize) -> &[Word] {
        &self.parts.block_weights[stripe * self.layout.block_span..][..self.layout.blocks]
    }

    /// The task counts of a stripe's blocks.
    #[inline]
    pub fn block_counts(&self, stripe: usize) -> &[Word] {
        &self.parts.block_counts[stripe * self.layout.block_span..][..self.layout.blocks]
    }

    /// What draws scan of one slot: its drawn word and its LP.
    #[inline]
    pub fn scanned(&self, stripe: usize, local: usize) -> (&Word, &Word) {
        let dense = stripe * self.layout.per_stripe + local;
        (&self.parts.drawn[dense], &self.parts.progress[dense])
    }

    /// What draws scan of one block: the sum of its weights and the number of its tasks.
    #[inline]
    pub fn block_sums(&self, stripe: usize, block: usize) -> (&Word, &Word) {
        let at = stripe * self.layout.block_span + block;
        (&self.parts.block_weights[at], &self.parts.block_counts[at])
    }

    /// Totals of the whole session.
    pub fn fold(&self) -> Tally {
        let mut sum = Tally::default();
        for stripe in 0..self.layout.stripes {
            sum.add(&self.totals(stripe).read(Tally::load));
        }
        sum
    }

    /// Totals of one label in the whole session.
    pub fn fold_label(&self, label: usize) -> Tally {
        let mut sum = Tally::default();
        for stripe in 0..self.layout.stripes {
            let latch = self.label_totals(stripe, label);
            if !latch.is_untouched() {
                sum.add(&latch.read(Tally::load));
            }
        }
        sum
    }

    /// Number of live tasks.
    #[inline]
    pub fn len(&self) -> usize {
        let tasks = |stripe| self.totals(stripe).read(|copy| copy[TASKS_WORD].get());
        let count: u64 = self.beside_loads(|| (0..self.layout.stripes).map(tasks).sum());
        usize::try_from(count).expect("at most the capacity")
    }

    /// Whether there are no tasks.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The scores that the session has seen, after `score`; nothing where the rules bound scores.
    #[inline]
    pub fn note_score(&self, score: f64) -> Seen {
        if self.rules.score_range.is_some() {
            return Seen::default();
        }
        let [lowest, highest] = &self.header().score_range;
        let low = widen(lowest, score, |new, old| new < old);
        let high = widen(highest, score, |new, old| new > old);
        Seen {
            lowest: low,
            span: high - low,
        }
    }
}

#[cold]
fn read_only() -> Error {
    Error::Session(
        "the session was opened read-only; open it with mode=\"attach\" to change it".to_owned(),
    )
}

/// Moves a bound to `score` where `beyond` says so, or where there is none yet; the bound after.
#[inline]
fn widen(bound: &Word, score: f64, beyond: impl Fn(f64, f64) -> bool) -> f64 {
    let mut bits = bound.get();
    loop {
        let current = f64::from_bits(bits);
        if !(current.is_nan() || beyond(score, current)) {
            return current;
        }
        match bound.exchange(bits, score.to_bits()) {
            Ok(_) => return score,
            Err(found) => bits = found,
        }
    }
}
