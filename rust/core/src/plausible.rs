//! Sums that a session can have come to. A file that claims more is damaged or made up; believed,
//! it would make totals overflow.

use crate::record::{MAX_COUNT, MAX_SCORE, TaskData};
use crate::tally::{Live, Retired};

/// Largest sum of the magnitudes of scores, in units: room for a sign and for what is to come.
const MAX_SCORES: u128 = 1 << 126;

/// Sums over tasks that are there or gone.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    tasks: u128,
    completions: u128,
    scheduled: u128,
    env_steps: u128,
    scores: u128,
}

impl Sums {
    /// Adds a task.
    pub(crate) fn add_record(&mut self, data: &TaskData) {
        self.add_live(&Live::of(data, 0));
        self.scheduled += u128::from(data.scheduled_count);
    }

    /// Adds the totals of live tasks.
    pub(crate) fn add_live(&mut self, live: &Live) {
        self.completions += u128::from(live.completions);
        self.env_steps += u128::from(live.env_steps);
        self.scores = self.scores.saturating_add(live.score.unsigned_abs());
    }

    /// Adds what became of tasks.
    pub(crate) fn add_retired(&mut self, retired: &Retired) {
        for count in [retired.created, retired.evicted, retired.removed] {
            self.tasks += u128::from(count);
        }
        self.completions += u128::from(retired.completions);
        self.scheduled += u128::from(retired.scheduled);
        self.env_steps += u128::from(retired.env_steps);
        self.scores = self.scores.saturating_add(retired.score.unsigned_abs());
    }

    /// Adds draws.
    pub(crate) fn add_scheduled(&mut self, count: u64) {
        self.scheduled += u128::from(count);
    }

    /// Refuses what cannot be; the text names the sum.
    pub(crate) fn check(&self) -> Result<(), String> {
        // Counts are added up over the labels as well, and completions multiplied by the stripes.
        let most = u128::from(MAX_COUNT) << 8;
        for (what, sum, limit) in [
            ("tasks", self.tasks, most),
            ("completions", self.completions, most),
            ("draws", self.scheduled, most),
            ("environment steps", self.env_steps, u128::from(u64::MAX)),
            ("scores", self.scores, MAX_SCORES),
        ] {
            if sum > limit {
                return Err(format!(
                    "the {what} add up to {sum}; no session has so many"
                ));
            }
        }
        Ok(())
    }
}

/// Refuses a lowest and a highest score that no session has seen; NaN stands for none yet.
pub(crate) fn check_score_range(bits: [u64; 2]) -> Result<(), String> {
    let [low, high] = bits.map(f64::from_bits);
    let bounds = -MAX_SCORE <= low && low <= high && high <= MAX_SCORE;
    if bounds || low.is_nan() && high.is_nan() {
        return Ok(());
    }
    Err(format!("scores from {low} to {high}"))
}
