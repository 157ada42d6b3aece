//! Holds records, index, labels and totals against each other.

use crate::commit::{LIVE, WEIGHT};
use crate::error::{Error, Result};
use crate::table::Table;
use crate::tally::{Live, Tally, fixed_weight};

/// What was found in agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Live tasks.
    pub tasks: u64,
    /// Episodes reported in the session's life.
    pub completions: u64,
    /// Draws of the session's life.
    pub scheduled: u64,
    /// Labels in use.
    pub labels: u64,
}

fn agree<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Session(format!(
        "the session does not agree with itself: {what} is {found:?}, the records say {expected:?}"
    )))
}

impl Table {
    /// Takes every lock once and checks that everything agrees.
    ///
    /// # Errors
    /// `Session` naming the first disagreement; `LockTimeout`.
    pub fn verify(&self) -> Result<Verified> {
        let structure = self.lock_structure()?;
        let guards = self.lock_all()?;
        let labels = self.layout.labels;
        let mut of_labels = vec![Live::default(); labels];
        let mut scheduled = 0;
        for guard in &guards {
            let stripe = guard.number();
            let mut sum = Live::default();
            let mut in_stripe = vec![Live::default(); labels];
            for slot in (stripe..self.layout.shape.capacity).step_by(self.layout.stripes) {
                let (tenant, data) = self.record(slot).load_owned();
                let local = slot >> self.layout.stripes.trailing_zeros();
                let drawn = self.drawn(stripe)[local].get();
                let used = self.used()[slot / 64].get() >> (slot % 64) & 1 == 1;
                let task = format!("task {} in slot {slot}", tenant.task_id);
                agree(&format!("{task}: use of the slot"), &used, &tenant.live)?;
                agree(
                    &format!("{task}: liveness for draws"),
                    &(drawn & LIVE != 0),
                    &tenant.live,
                )?;
                if !tenant.live {
                    continue;
                }
                let units = fixed_weight(data.weight)?;
                agree(
                    &format!("{task}: weight for draws"),
                    &(drawn & WEIGHT),
                    &units,
                )?;
                agree(
                    &format!("{task}: LP for draws"),
                    &self.progress(stripe)[local].get_f64().to_bits(),
                    &data.lp_score.to_bits(),
                )?;
                agree(
                    &format!("{task}: index"),
                    &self.find(tenant.task_id),
                    &Some(slot),
                )?;
                agree(
                    &format!("{task}: id for scans"),
                    &self.task_ids(stripe)[local].get().cast_signed(),
                    &tenant.task_id,
                )?;
                let part = Live::of(&data, units);
                sum.add(&part);
                in_stripe[tenant.label as usize].add(&part);
                scheduled += data.scheduled_count;
            }
            for label in 0..labels {
                let latch = self.totals_of(stripe, label);
                agree(
                    &format!("agreement of both copies of the totals of label {label}"),
                    &Tally::agree_in_retired([0, 1].map(|copy| latch.copy_of(copy))),
                    &true,
                )?;
            }
            let totals = Tally::load(self.totals(stripe).owned());
            agree(&format!("totals of stripe {stripe}"), &totals.live, &sum)?;
            scheduled += totals.retired.scheduled;
            for (label, part) in in_stripe.iter().enumerate().skip(1) {
                let found = Tally::load(self.label_totals(stripe, label).owned());
                agree(&format!("totals of label {label}"), &found.live, part)?;
                of_labels[label].add(part);
            }
            let n = self.layout.block;
            for (block, words) in self.drawn(stripe).chunks(n).enumerate() {
                let weight: u64 = words.iter().map(|word| word.get() & WEIGHT).sum();
                let count: u64 = words.iter().map(|word| word.get() >> 63).sum();
                let what = format!("block {block} of stripe {stripe}");
                agree(&what, &self.block_weights(stripe)[block].get(), &weight)?;
                agree(&what, &self.block_counts(stripe)[block].get(), &count)?;
            }
        }
        let tally = self.fold();
        let linked = self.count_linked();
        agree(
            "the index",
            &(linked.0 as u64, linked.1),
            &(tally.live.tasks, true),
        )?;
        drop(guards);
        drop(structure);
        Ok(Verified {
            tasks: tally.live.tasks,
            completions: tally.completions(),
            scheduled,
            labels: of_labels.iter().filter(|part| part.tasks > 0).count() as u64,
        })
    }
}
