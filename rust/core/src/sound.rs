//! What a session that was found in a file must hold before anybody follows its words: a file may
//! be damaged, and a slot or a label that there is not would lead out of the table.

use crate::commit::LIVE;
use crate::error::{Error, Result};
use crate::labels::OTHER;
use crate::layout::{MAX_LABEL_BYTES, MAX_PATH_BYTES};
use crate::limits::check_limits;
use crate::link::Link;
use crate::plausible::{Sums, check_score_range};
use crate::structure::Plan;
use crate::table::Table;
use crate::tally::{Tally, fixed_weight};
use crate::words::Word;

/// Bounds of the live part of totals that nobody makes anew.
const MAX_PROGRESS_SUM: u128 = 1 << 80;

/// The error for a session that cannot be trusted.
pub(crate) fn damaged(what: &str) -> Error {
    Error::Session(format!(
        "the session is damaged: {what}; remove its file and start from a checkpoint"
    ))
}

fn hold(holds: bool, what: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(damaged(&what())) }
}

/// Sequences only grow, one at a time.
fn check_sequence(sequence: u64) -> Result<()> {
    hold(sequence < u64::MAX / 2, || {
        format!("{sequence} changes of one record or total")
    })
}

impl Table {
    /// Checks what a repair relies on. Nobody else is attached.
    ///
    /// # Errors
    /// `Session` naming what is damaged.
    pub(crate) fn check_sound(&self) -> Result<()> {
        let header = self.header();
        check_score_range([&header.score_range[0], &header.score_range[1]].map(|w| w.get()))
            .map_err(|reason| damaged(&reason))?;
        for label in 0..self.layout.labels {
            let state = self.label_words(label)[0].get();
            let length = (state & 0xff) as usize;
            hold(length <= MAX_LABEL_BYTES, || {
                format!("label {label} has {length} bytes")
            })?;
        }
        check_limits(self.label_limits().iter().map(Word::get))
            .map_err(|reason| damaged(&reason))?;
        let labels = header.intent.next_label.get();
        // Each has its number beside its length.
        hold(labels >> 55 == 0, || format!("{labels} labels were made"))?;
        let other = self.other_label();
        let known = self.find_label(OTHER).map(|label| label as usize);
        hold(
            known == Some(other) || self.label_text(other).is_none(),
            || format!("label {other} is not {OTHER:?}"),
        )?;
        self.check_plan()?;
        self.check_journal().map_err(|reason| damaged(&reason))?;
        self.check_tickets().map_err(|reason| damaged(&reason))?;
        for stripe in 0..self.layout.stripes {
            self.check_commit(stripe)?;
        }
        let mut sums = Sums::default();
        for stripe in 0..self.layout.stripes {
            for label in 0..self.layout.labels {
                let latch = self.totals_of(stripe, label);
                check_sequence(latch.sequence())?;
                hold(
                    Tally::agree_in_retired([0, 1].map(|copy| latch.copy_of(copy))),
                    || format!("two totals of stripe {stripe} and label {label}"),
                )?;
                for copy in 0..2 {
                    let tally = Tally::load(latch.copy_of(copy));
                    hold(tally.live.weight >> 64 == 0, || {
                        format!("weights of stripe {stripe} and label {label}")
                    })?;
                    sums.add_retired(&tally.retired);
                }
                sums.add_scheduled(self.sample_count(stripe, label));
            }
        }
        for slot in 0..self.layout.shape.capacity {
            check_sequence(self.record(slot).latch().sequence())?;
            for label in self.record(slot).labels() {
                hold((label as usize) < self.layout.labels, || {
                    format!("the task in slot {slot} has label {label}")
                })?;
            }
        }
        sums.check().map_err(|reason| damaged(&reason))
    }

    fn check_plan(&self) -> Result<()> {
        let intent = &self.header().intent;
        let (plan, subject) = (intent.plan.get(), intent.subject.get());
        let most = match plan {
            plan if plan == Plan::Load as u64 => MAX_PATH_BYTES + 1,
            plan if plan == Plan::Fold as u64 => self.other_label(),
            _ => self.layout.shape.capacity,
        };
        let known = plan <= Plan::Load as u64 && subject < most as u64;
        hold(plan == 0 || known, || {
            format!("a change {plan} of {subject} is pending")
        })
    }

    fn check_commit(&self, stripe: usize) -> Result<()> {
        let intent = &self.stripes()[stripe].intent;
        let slot = usize::try_from(intent.slot.get()).unwrap_or(usize::MAX);
        let labels = [&intent.old_label[0], &intent.new_label[0]].map(|label| label.get());
        let known = slot < self.layout.shape.capacity
            && self.layout.stripe_of(slot) == stripe
            && labels
                .iter()
                .all(|label| *label < self.layout.labels as u64);
        let sequences = [
            &intent.record,
            &intent.totals,
            &intent.old_label[1],
            &intent.new_label[1],
        ];
        for sequence in sequences {
            check_sequence(sequence.get())?;
        }
        hold(intent.armed.get() == 0 || known, || {
            format!("a change of slot {slot} and labels {labels:?} is pending")
        })
    }

    /// Checks the numbers of the tasks, once their copies are settled.
    ///
    /// # Errors
    /// `Session` naming what is damaged.
    pub(crate) fn check_records(&self) -> Result<()> {
        let mut sums = Sums::default();
        for slot in 0..self.layout.shape.capacity {
            let (tenant, data) = self.record(slot).load_owned();
            if tenant.live {
                // A NaN compares false, so it is refused too.
                let in_range = data.lp_score.abs() <= crate::tally::MAX_PROGRESS;
                hold(in_range && fixed_weight(data.weight).is_ok(), || {
                    let (lp, weight) = (data.lp_score, data.weight);
                    format!("the task in slot {slot} has LP {lp} and weight {weight}")
                })?;
                sums.add_record(&data);
            }
        }
        sums.check().map_err(|reason| damaged(&reason))
    }

    /// Checks what follows from the records as well, for a process that cannot make it anew.
    ///
    /// # Errors
    /// `Session` naming what is damaged, or that a load was cut off.
    pub(crate) fn check_readable(&self) -> Result<()> {
        self.check_records()?;
        hold(!self.is_loading(), || {
            "a load was cut off, which only a process that may write can finish".to_owned()
        })?;
        let capacity = self.layout.shape.capacity;
        let nexts = (0..capacity).map(|slot| self.record(slot).next());
        for word in self.heads().iter().chain(nexts) {
            let slot = Link::unpack(word.get()).map_or(0, Link::slot);
            hold(slot < capacity, || {
                format!("the index leads to slot {slot}")
            })?;
        }
        let (last, rest) = (self.used().last(), capacity % 64);
        let beyond = last.is_some_and(|word| rest != 0 && word.get() >> rest != 0);
        hold(!beyond, || "a slot is in use that there is not".to_owned())?;
        let mut sums = Sums::default();
        for stripe in 0..self.layout.stripes {
            for (local, word) in self.drawn(stripe).iter().enumerate() {
                let slot = self.layout.slot(stripe, local);
                hold(slot < capacity || word.get() & LIVE == 0, || {
                    format!("slot {slot} can be drawn")
                })?;
            }
            for label in 0..self.layout.labels {
                let tally = Tally::load(self.totals_of(stripe, label).owned());
                let live = &tally.live;
                let in_range = live.tasks <= capacity as u64
                    && live.progress.unsigned_abs() < MAX_PROGRESS_SUM
                    && live.progress_squares >= 0;
                hold(in_range, || {
                    format!("totals of stripe {stripe} and label {label}")
                })?;
                sums.add_live(live);
            }
        }
        sums.check().map_err(|reason| damaged(&reason))
    }
}
