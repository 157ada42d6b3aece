//! Sums and counters of a session, as callers see them.

use crate::session::Session;
use crate::table::Table;
use crate::tally::{Tally, score_of};

/// Sums of a session or of one label.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// Live tasks.
    pub tasks: u64,
    /// Tasks created.
    pub created: u64,
    /// Tasks evicted.
    pub evicted: u64,
    /// Tasks removed otherwise.
    pub removed: u64,
    /// Episodes reported, of live and retired tasks.
    pub completions: u64,
    /// Episodes reported, of live tasks.
    pub live_completions: u64,
    /// Draws. One that its process was killed in may be missing here, and in its label's, though
    /// its task counts it.
    pub scheduled: u64,
    /// Sum of scores, of live and retired tasks.
    pub score_sum: f64,
    /// Sum of scores, of live tasks.
    pub live_score_sum: f64,
    /// Environment steps, of live and retired tasks.
    pub env_steps: u64,
    /// Sum of LP of live tasks.
    pub lp_sum: f64,
    /// Mean LP of live tasks.
    pub lp_mean: f64,
    /// Standard deviation of the LP of live tasks.
    pub lp_std: f64,
    /// Sum of weights of live tasks.
    pub weight_sum: f64,
}

impl Totals {
    pub(crate) fn new(tally: &Tally, scheduled: u64) -> Self {
        let (lp_mean, lp_std) = tally.progress_moments();
        Self {
            tasks: tally.live.tasks,
            created: tally.retired.created,
            evicted: tally.retired.evicted,
            removed: tally.retired.removed,
            completions: tally.completions(),
            live_completions: tally.live.completions,
            scheduled,
            score_sum: tally.score_sum(),
            live_score_sum: score_of(tally.live.score),
            env_steps: tally.live.env_steps + tally.retired.env_steps,
            lp_sum: score_of(tally.live.progress),
            lp_mean,
            lp_std,
            weight_sum: Table::weight_sum(tally),
        }
    }
}

/// Counters of a session beside its totals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counts {
    /// Reports whose task was gone meanwhile.
    pub late_reports: u64,
    /// Locks had after the death of their holder.
    pub recoveries: u64,
    /// Times that somebody slept for a lock.
    pub lock_waits: u64,
    /// Lowest and highest score, NaN before the first (or with a score range).
    pub score_range: [f64; 2],
}

impl Session {
    /// Sums of the session.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.table
            .beside_loads(|| Totals::new(&self.table.fold(), self.table.scheduled()))
    }

    /// Counters of the session.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let header = self.table.header();
        Counts {
            late_reports: header.counters.late_reports.get(),
            recoveries: header.counters.recoveries.get(),
            lock_waits: header.counters.lock_waits.get(),
            score_range: [0, 1].map(|i: usize| header.score_range[i].get_f64()),
        }
    }

    /// Sums of each label that ever had a task.
    #[must_use]
    pub fn label_totals(&self) -> Vec<(String, Totals)> {
        let totals = |label| {
            if self.table.label_words(label)[0].get() == 0 {
                return None;
            }
            let tally = self.table.fold_label(label);
            let samples = self.table.samples(label);
            if tally == Tally::default() && samples == 0 {
                return None;
            }
            Some((self.table.label_text(label)?, Totals::new(&tally, samples)))
        };
        self.table
            .beside_loads(|| (1..self.table.layout.labels).filter_map(totals).collect())
    }
}
