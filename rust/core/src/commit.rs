//! One commit for a record, its stripe's totals and its labels' totals.
//!
//! Everything is filled into unpublished copies first. One store (`armed`) decides; what follows
//! only publishes, with absolute values, so that a recovery may repeat any part of it and may
//! itself be killed anywhere.

use crate::error::{Error, Result};
use crate::journal::Note;
use crate::latch::Latch;
use crate::layout::Stripe;
use crate::lock::Taken;
use crate::record::TaskData;
use crate::record_words::{Record, Tenant};
use crate::table::Table;
use crate::tally::{
    COMPLETIONS_WORDS, LIVE_WORDS, Live, MAX_PROGRESS, Retired, Tally, fixed_weight, weight_of,
};
use crate::words::Word;

/// Low bits of a drawn word: the weight, in units.
const WEIGHT_BITS: u32 = 52;
pub(crate) const WEIGHT: u64 = (1 << WEIGHT_BITS) - 1;
/// High bit of a drawn word: a live task.
pub(crate) const LIVE: u64 = 1 << 63;
/// Completions are counted up to here in a drawn word.
pub(crate) const MOST_COMPLETIONS: u64 = (1 << 11) - 1;

/// Completions in a drawn word.
#[inline]
pub(crate) fn completions_of(drawn: u64) -> u64 {
    (drawn >> WEIGHT_BITS) & MOST_COMPLETIONS
}

/// Episodes reported by a copy of a stripe's totals, of live and of retired tasks.
#[inline]
pub(crate) fn completions(copy: &[Word]) -> u64 {
    COMPLETIONS_WORDS.map(|word| copy[word].get()).iter().sum()
}

#[cold]
fn refused_progress(task_id: i64, progress: f64) -> Error {
    Error::Value(format!(
        "LP {progress} of task {task_id} is not in the range {} to {MAX_PROGRESS}; \
         give a score_range that maps scores to [0, 1]",
        -MAX_PROGRESS
    ))
}

/// What a commit does to its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Fields change.
    Update,
    /// A task moves in.
    Create,
    /// A task moves in from a checkpoint, where its creation was counted.
    Load,
    /// The task is evicted.
    Evict {
        /// Times it was scheduled.
        scheduled: u64,
    },
    /// The task is removed otherwise.
    Remove {
        /// Times it was scheduled.
        scheduled: u64,
    },
}

impl Change {
    /// What it adds to the retired part of totals, where `old` was the live part.
    #[inline]
    fn retired(self, old: &Live) -> Option<Retired> {
        let mut retired = Retired::default();
        match self {
            Self::Update | Self::Load => return None,
            Self::Create => retired.created = 1,
            Self::Evict { scheduled } | Self::Remove { scheduled } => {
                retired.completions = old.completions;
                retired.score = old.score;
                retired.env_steps = old.env_steps;
                retired.scheduled = scheduled;
                if matches!(self, Self::Evict { .. }) {
                    retired.evicted = 1;
                } else {
                    retired.removed = 1;
                }
            }
        }
        Some(retired)
    }
}

/// What a commit needs to know of the record that it replaces.
///
/// The numbers themselves: what they make up of totals is worked out where it is needed, so that
/// fewer values have to be kept until then.
#[derive(Debug, Clone, Copy)]
pub struct Old {
    /// Who lived there.
    pub tenant: Tenant,
    label: u32,
    weight: f64,
    completions: u64,
    score: f64,
    env_steps: u64,
    progress: f64,
}

impl Old {
    /// Of a record as it is before it is changed.
    #[inline]
    #[must_use]
    pub fn of(tenant: Tenant, data: &TaskData) -> Self {
        Self {
            tenant,
            label: data.label,
            weight: data.weight,
            completions: data.completion_count,
            score: data.total_score,
            env_steps: data.env_steps,
            progress: data.lp_score,
        }
    }

    /// Its part of the totals.
    #[inline(always)]
    fn part(&self) -> Live {
        if !self.tenant.live {
            return Live::default();
        }
        Live::of_numbers(
            fixed_weight(self.weight).unwrap_or(0),
            self.completions,
            self.score,
            self.env_steps,
            self.progress,
        )
    }
}

impl Latch<'_> {
    /// Stages a tally with something added; returns the sequence that publishes it.
    #[inline(always)]
    fn stage_sum(&self, gained: &[u64; LIVE_WORDS], retired: Option<&Retired>) -> u64 {
        let published = self.begin();
        let copy = self.copy_of(published + 1);
        Tally::store_sum(self.copy_of(published), gained, copy);
        if let Some(retired) = retired {
            let mut tally = Tally::load(copy);
            tally.retired.add(retired);
            tally.store(copy, published + 1);
        }
        published + 1
    }

    /// Stages a tally; returns the sequence that publishes it.
    fn stage_tally(&self, tally: &Tally) -> u64 {
        let next = self.begin() + 1;
        tally.store(self.copy_of(next), next);
        next
    }
}

/// A stripe's lock, held.
///
/// Two words, so that it comes in registers.
pub struct StripeGuard<'a> {
    pub(crate) table: &'a Table,
    number: usize,
}

impl Drop for StripeGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.stripe().lock.unlock();
    }
}

impl Table {
    /// Takes the lock of a stripe, after finishing what a dead holder left.
    ///
    /// # Errors
    /// `LockTimeout`, `Interrupted`.
    pub fn lock_stripe(&self, number: usize) -> Result<StripeGuard<'_>> {
        let lock = &self.stripes()[number].lock;
        let taken = self.take(lock, "a stripe of the session")?;
        Ok(self.holding(number, taken))
    }

    /// Takes the lock of a stripe if it is free.
    #[inline(always)]
    pub fn try_lock_stripe(&self, number: usize) -> Option<StripeGuard<'_>> {
        let taken = self.try_take(&self.stripes()[number].lock)?;
        Some(self.holding(number, taken))
    }

    /// Takes the locks of all stripes. Only for who has the structure lock, or the session alone.
    ///
    /// # Errors
    /// `LockTimeout`, `Interrupted`.
    #[cold]
    pub(crate) fn lock_all(&self) -> Result<Vec<StripeGuard<'_>>> {
        (0..self.layout.stripes)
            .map(|stripe| self.lock_stripe(stripe))
            .collect()
    }

    /// Takes the lock of every stripe once, so that what dead holders left is finished.
    ///
    /// # Errors
    /// `LockTimeout`, `Interrupted`.
    #[cold]
    pub(crate) fn finish_commits(&self) -> Result<()> {
        (0..self.layout.stripes).try_for_each(|stripe| self.lock_stripe(stripe).map(drop))
    }

    #[inline(always)]
    fn holding(&self, number: usize, taken: Taken) -> StripeGuard<'_> {
        let guard = StripeGuard {
            table: self,
            number,
        };
        if taken == Taken::AfterDeath {
            guard.recover();
            guard.stripe().lock.mark_consistent();
        }
        guard
    }
}

impl<'a> StripeGuard<'a> {
    #[inline]
    fn stripe(&self) -> &'a Stripe {
        &self.table.stripes()[self.number]
    }

    /// The latch over the stripe's totals.
    #[inline]
    fn totals(&self) -> Latch<'a> {
        let stripe = self.stripe();
        Latch::new(&stripe.sequence, &stripe.totals)
    }

    /// The number of the stripe.
    #[inline]
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// The tick that a completion would have now.
    ///
    /// An estimate of the session's completions from the stripe's own, so that no word is shared
    /// by all writers.
    #[inline]
    #[must_use]
    pub fn next_tick(&self) -> u64 {
        (completions(self.totals().owned()) + 1) * self.table.layout.stripes as u64
    }

    /// Commits `new` over what is in `slot`: `old`, taken before `new` was made from it.
    ///
    /// # Errors
    /// `Value` for a weight or an LP out of range; nothing is written then.
    #[inline(never)]
    pub(crate) fn commit(
        &self,
        slot: usize,
        old: &Old,
        new: &mut TaskData,
        change: Change,
        note: Note,
    ) -> Result<()> {
        let record = self.table.record(slot);
        let stage = |new: &TaskData, live| record.stage(new, live);
        self.commit_staged(record, slot, old, new, (change, note), stage)
    }

    /// [`Self::commit`] of a score, which leaves the columns as they are.
    #[inline(always)]
    pub(crate) fn commit_score(
        &self,
        record: Record,
        slot: usize,
        old: &Old,
        new: &mut TaskData,
    ) -> Result<()> {
        let stage = |new: &TaskData, _| record.stage_score(new);
        self.commit_staged(
            record,
            slot,
            old,
            new,
            (Change::Update, Note::Episode),
            stage,
        )
    }

    #[inline(always)]
    fn commit_staged(
        &self,
        record: Record,
        slot: usize,
        old: &Old,
        new: &mut TaskData,
        (change, note): (Change, Note),
        stage: impl FnOnce(&TaskData, bool) -> u64,
    ) -> Result<()> {
        let units = fixed_weight(new.weight)?;
        // A NaN compares false, so it is refused too.
        let in_range = new.lp_score.abs() <= MAX_PROGRESS;
        if !in_range {
            return Err(refused_progress(new.task_id, new.lp_score));
        }
        new.weight = weight_of(units);
        let live = !matches!(change, Change::Evict { .. } | Change::Remove { .. });
        let new_part = if live {
            Live::of(new, units)
        } else {
            Live::default()
        };
        let old_part = old.part();
        let retired = change.retired(&old_part);
        let gained = new_part.less(&old_part).to_words();

        let intent = &self.stripe().intent;
        let staged = stage(new, live);
        let totals = self.totals();
        let staged_totals = totals.stage_sum(&gained, retired.as_ref());
        intent.slot.set(slot as u64);
        intent.record.set(staged);
        intent.totals.set(staged_totals);
        if old.label == new.label || !old.tenant.live {
            let label = new.label as usize;
            intent.old_label[0].set(0);
            intent.new_label[0].set(label as u64);
            let labelled = if label == 0 {
                None
            } else {
                let latch = self.table.label_totals(self.number, label);
                let staged = latch.stage_sum(&gained, retired.as_ref());
                intent.new_label[1].set(staged);
                Some((latch, staged))
            };
            if self.table.has_journal() {
                return self.commit_noted(note, slot);
            }
            intent.armed.publish(1);
            // What `publish` does, without reading back what is at hand.
            record.latch().publish(staged);
            totals.publish(staged_totals);
            if let Some((latch, staged)) = labelled {
                latch.publish(staged);
            }
        } else {
            self.stage_move(old, new.label, &new_part);
            if self.table.has_journal() {
                return self.commit_noted(note, slot);
            }
            intent.armed.publish(1);
            self.publish();
        }
        self.derive(slot, live, new, units);
        intent.armed.publish(0);
        Ok(())
    }

    /// The rest of a commit that is written down as well.
    // Not inlined: a session without a journal keeps what it works on in registers.
    #[inline(never)]
    fn commit_noted(&self, note: Note, slot: usize) -> Result<()> {
        let armed = &self.stripe().intent.armed;
        self.stage_note(note, slot)?;
        armed.publish(1);
        self.publish();
        let (tenant, data) = self.table.record(slot).load_owned();
        let units = fixed_weight(data.weight).unwrap_or(0);
        self.derive(slot, tenant.live, &data, units);
        armed.publish(0);
        Ok(())
    }

    /// Stages the totals of the labels of a task that moves from one to another.
    #[cold]
    fn stage_move(&self, old: &Old, new_label: u32, new_part: &Live) {
        let stage = |place: &[Word; 2], label: u32, gained: &Live| {
            place[0].set(u64::from(label));
            if label != 0 {
                let latch = self.table.label_totals(self.number, label as usize);
                place[1].set(latch.stage_sum(&gained.to_words(), None));
            }
        };
        let intent = &self.stripe().intent;
        stage(
            &intent.old_label,
            old.label,
            &Live::default().less(&old.part()),
        );
        stage(&intent.new_label, new_label, new_part);
    }

    /// Moves the retired totals of `label` to "other".
    pub(crate) fn fold_label(&self, label: usize) {
        let table = self.table;
        let (from, to) = (
            table.label_totals(self.number, label),
            table.label_totals(self.number, table.other_label()),
        );
        if from.is_untouched() {
            return;
        }
        let mut sum = Tally::load(to.owned());
        sum.add(&Tally::load(from.owned()));
        let intent = &self.stripe().intent;
        // Record and totals are published as they are: only the labels change.
        intent.slot.set(self.number as u64);
        intent
            .record
            .set(table.record(self.number).latch().sequence());
        intent.totals.set(table.totals(self.number).sequence());
        intent.old_label[0].set(label as u64);
        intent.old_label[1].set(from.stage_tally(&Tally::default()));
        intent.new_label[0].set(table.other_label() as u64);
        intent.new_label[1].set(to.stage_tally(&sum));
        self.stage_no_note();
        intent.armed.publish(1);
        self.publish();
        intent.armed.publish(0);
    }

    /// Publishes what the intent names. May be repeated.
    fn publish(&self) {
        let intent = &self.stripe().intent;
        let slot = intent.slot.get() as usize;
        self.table.record(slot).latch().publish(intent.record.get());
        self.totals().publish(intent.totals.get());
        for [label, sequence] in [&intent.old_label, &intent.new_label] {
            let label = label.get() as usize;
            if label != 0 {
                self.table
                    .label_totals(self.number, label)
                    .publish(sequence.get());
            }
        }
        if self.table.has_journal() {
            self.publish_notes();
        }
    }

    /// Brings the words that draws scan into line with a record.
    #[inline(always)]
    fn derive(&self, slot: usize, live: bool, data: &TaskData, units: u64) {
        let table = self.table;
        let local = slot >> table.layout.stripes.trailing_zeros();
        let word = if live {
            LIVE | (data.completion_count.min(MOST_COMPLETIONS) << WEIGHT_BITS) | units
        } else {
            0
        };
        let (drawn, lp) = table.scanned(self.number, local);
        let before = drawn.get();
        lp.set_f64(data.lp_score);
        if word & !before & LIVE != 0 {
            table.task_ids(self.number)[local].set(data.task_id.cast_unsigned());
        }
        // A scan that sees a task live sees its id.
        drawn.publish(word);
        let block = local >> table.layout.block.trailing_zeros();
        let (weights, counts) = table.block_sums(self.number, block);
        weights.set(weights.get() + (word & WEIGHT) - (before & WEIGHT));
        if (word ^ before) & LIVE != 0 {
            counts.set(counts.get() + (word >> 63) - (before >> 63));
        }
    }

    /// Finishes what a dead holder began.
    #[cold]
    pub(crate) fn recover(&self) {
        let intent = &self.stripe().intent;
        if intent.armed.get() == 0 {
            return;
        }
        self.publish();
        self.rederive(intent.slot.get() as usize);
        intent.armed.publish(0);
    }

    /// Sets what became of tasks that are gone, of a label or (0) of the stripe.
    pub(crate) fn set_retired(&self, label: usize, retired: Retired) {
        let latch = self.table.totals_of(self.number, label);
        let mut tally = Tally::load(latch.owned());
        tally.retired = retired;
        latch.publish(latch.stage_tally(&tally));
    }

    /// Sets the live part of a label's totals, or (0) of the stripe's.
    pub(crate) fn set_live(&self, label: usize, live: Live) {
        let latch = self.table.totals_of(self.number, label);
        let mut tally = Tally::load(latch.owned());
        if tally.live != live {
            tally.live = live;
            latch.publish(latch.stage_tally(&tally));
        }
    }

    /// Takes every task and total of the stripe away; generations stay, so that tickets from
    /// before are late. May be repeated.
    pub(crate) fn wipe(&self) {
        let table = self.table;
        let layout = &table.layout;
        for label in 0..layout.labels {
            let totals = self.table.totals_of(self.number, label);
            totals.publish(totals.stage_tally(&Tally::default()));
            table.sample_word(self.number, label).set(0);
        }
        for slot in (self.number..layout.shape.capacity).step_by(layout.stripes) {
            let record = table.record(slot);
            let (tenant, data) = record.load_owned();
            if tenant.live {
                record.freeze(tenant.generation, &table.header().intent.scheduled);
                record.latch().publish(record.stage(&data, false));
            }
        }
        for words in [
            table.drawn(self.number),
            table.progress(self.number),
            table.block_weights(self.number),
            table.block_counts(self.number),
        ] {
            for word in words {
                word.set(0);
            }
        }
        self.wipe_journal();
    }

    /// Makes the drawn words of a slot and the sums of its block anew from the records.
    pub(crate) fn rederive(&self, slot: usize) {
        let table = self.table;
        let (tenant, data) = table.record(slot).load_owned();
        let units = fixed_weight(data.weight).unwrap_or(0);
        self.derive(slot, tenant.live, &data, units);
        let local = slot >> table.layout.stripes.trailing_zeros();
        let n = table.layout.block;
        let block = local / n;
        let words = &table.drawn(self.number)[block * n..];
        let (mut weight, mut count) = (0, 0);
        for word in &words[..n.min(words.len())] {
            weight += word.get() & WEIGHT;
            count += word.get() >> 63;
        }
        table.block_weights(self.number)[block].set(weight);
        table.block_counts(self.number)[block].set(count);
    }
}
