//! One task's record as plain numbers.

use crate::error::{Error, Result};
use crate::evidence::MAX_EVIDENCE;

/// Most columns that an algorithm may declare for its own state.
pub const MAX_COLUMNS: usize = 8;

/// Number of words of [`TaskData::number_words`].
pub const NUMBER_WORDS: usize = 21;

/// Largest magnitude of a score: its square, summed over 2^53 updates, stays far from overflow.
pub const MAX_SCORE: f64 = 1e9;

/// Largest count that a caller may hand in: sums of many stay far from overflow.
pub const MAX_COUNT: u64 = 1 << 48;

/// What a label may be, in the words of an error.
pub const LABEL_RANGE: &str = "a label has 1 to 120 bytes of UTF-8, a task without one has none";

/// One task's record: a value, tied to no session.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskData {
    /// Key of the task; any value.
    pub task_id: i64,
    /// Tenancy of the task's slot; grows each time the slot is reused.
    pub generation: u32,
    /// Seconds since the epoch.
    pub creation_time: f64,
    /// Session tick of the last draw; 0 for never.
    pub last_scheduled: u64,
    /// Session tick of the last score; 0 for never.
    pub last_completed: u64,
    /// Episodes reported.
    pub completion_count: u64,
    /// Episodes started.
    pub scheduled_count: u64,
    /// Environment steps spent.
    pub env_steps: u64,
    /// EMA of the score, step `ema_alpha`.
    pub reward_ema: f64,
    /// EMA of the squared score, step `ema_alpha`.
    pub ema_squared: f64,
    /// EMA of \[score >= success_threshold\], step `ema_alpha`.
    pub success_rate_ema: f64,
    /// Sum of the scores.
    pub total_score: f64,
    /// Last score.
    pub last_score: f64,
    /// Fast EMA of the normalised score.
    pub p_fast: f64,
    /// Slow EMA of the normalised score.
    pub p_slow: f64,
    /// EMA of the raw score, step `ema_timescale`.
    pub p_true: f64,
    /// Baseline that normalises the score, in [0, 1).
    pub random_baseline: f64,
    /// Learning progress.
    pub lp_score: f64,
    /// What draws are proportional to.
    pub weight: f64,
    /// Score from which an episode counts as a success.
    pub success_threshold: f64,
    /// Seed of the task.
    pub seed: u64,
    /// Kind of the generator that made the task.
    pub generator_type: f64,
    /// Evidence that the scores rise, in [0, 30]; kept by the noise-aware learning progress.
    pub evidence: f64,
    /// Index into the session's label table; 0 for none.
    pub label: u32,
    /// An algorithm's own state, by the columns that the session declares.
    pub columns: [f64; MAX_COLUMNS],
}

impl TaskData {
    /// The record of a task that has neither been drawn nor scored.
    pub fn new(task_id: i64) -> Self {
        TaskData {
            task_id,
            generation: 0,
            creation_time: 0.0,
            last_scheduled: 0,
            last_completed: 0,
            completion_count: 0,
            scheduled_count: 0,
            env_steps: 0,
            reward_ema: 0.0,
            ema_squared: 0.0,
            success_rate_ema: 0.0,
            total_score: 0.0,
            last_score: 0.0,
            p_fast: 0.0,
            p_slow: 0.0,
            p_true: 0.0,
            random_baseline: 0.0,
            lp_score: 0.0,
            weight: 0.0,
            success_threshold: 0.5,
            seed: 0,
            generator_type: 0.0,
            evidence: 0.0,
            label: 0,
            columns: [0.0; MAX_COLUMNS],
        }
    }

    /// The numbers after id, generation and label and before the columns, as words: their order in
    /// checkpoints and in snapshots.
    #[must_use]
    pub fn number_words(&self) -> [u64; NUMBER_WORDS] {
        [
            self.creation_time.to_bits(),
            self.last_scheduled,
            self.last_completed,
            self.completion_count,
            self.scheduled_count,
            self.env_steps,
            self.reward_ema.to_bits(),
            self.ema_squared.to_bits(),
            self.success_rate_ema.to_bits(),
            self.total_score.to_bits(),
            self.last_score.to_bits(),
            self.p_fast.to_bits(),
            self.p_slow.to_bits(),
            self.p_true.to_bits(),
            self.random_baseline.to_bits(),
            self.lp_score.to_bits(),
            self.weight.to_bits(),
            self.success_threshold.to_bits(),
            self.seed,
            self.generator_type.to_bits(),
            self.evidence.to_bits(),
        ]
    }

    /// Mean of all scores; 0 without a score.
    pub fn mean_score(&self) -> f64 {
        if self.completion_count == 0 {
            0.0
        } else {
            self.total_score / self.completion_count as f64
        }
    }

    /// Variance of the score by its two EMAs; rounding never makes it negative.
    pub fn variance(&self) -> f64 {
        (self.ema_squared - self.reward_ema * self.reward_ema).max(0.0)
    }
}

/// Refuses a score that is no finite number of magnitude at most [`MAX_SCORE`].
#[inline]
pub fn check_score(score: f64) -> Result<()> {
    // A NaN compares false, so it is refused too.
    if score.abs() <= MAX_SCORE {
        Ok(())
    } else {
        Err(Error::Value(format!(
            "score {score:?} is out of range: scores are finite and within [-1e9, 1e9]; \
             scale the score, or leave the episode uncounted"
        )))
    }
}

/// Refuses environment steps of an episode beyond [`MAX_COUNT`].
#[inline]
pub fn check_steps(env_steps: u64) -> Result<()> {
    if env_steps <= MAX_COUNT {
        Ok(())
    } else {
        Err(Error::Value(format!(
            "env_steps {env_steps} is out of range: an episode has at most 2^48 steps"
        )))
    }
}

/// Refuses a record whose numbers no sequence of draws and scores could have made.
///
/// # Errors
/// `Value` naming the field, its value and its range.
pub fn check_record(data: &TaskData) -> Result<()> {
    for (name, count) in [
        ("last_scheduled", data.last_scheduled),
        ("last_completed", data.last_completed),
        ("completion_count", data.completion_count),
        ("scheduled_count", data.scheduled_count),
        ("env_steps", data.env_steps),
    ] {
        if count > MAX_COUNT {
            return Err(Error::Value(format!(
                "{name} {count} of task {} is out of range: it is in [0, 2**48]",
                data.task_id
            )));
        }
    }
    // Kept in 48 bits, beside the generation.
    if data.scheduled_count == MAX_COUNT {
        return Err(Error::Value(format!(
            "scheduled_count {MAX_COUNT} of task {} is out of range: it is below 2**48",
            data.task_id
        )));
    }
    let (score, sum) = (MAX_SCORE, MAX_SCORE * MAX_COUNT as f64);
    let largest = f64::MAX;
    for (name, value, least, most) in [
        ("creation_time", data.creation_time, -largest, largest),
        ("reward_ema", data.reward_ema, -score, score),
        ("ema_squared", data.ema_squared, 0.0, score * score),
        ("success_rate_ema", data.success_rate_ema, 0.0, 1.0),
        ("total_score", data.total_score, -sum, sum),
        ("last_score", data.last_score, -score, score),
        ("p_fast", data.p_fast, -score, score),
        ("p_slow", data.p_slow, -score, score),
        ("p_true", data.p_true, -score, score),
        ("random_baseline", data.random_baseline, -score, score),
        ("lp_score", data.lp_score, -largest, largest),
        (
            "success_threshold",
            data.success_threshold,
            -largest,
            largest,
        ),
        ("generator_type", data.generator_type, -largest, largest),
        ("evidence", data.evidence, 0.0, MAX_EVIDENCE),
    ] {
        check_within(name, value, least, most)?;
    }
    for (at, value) in data.columns.iter().enumerate() {
        check_within(&format!("columns[{at}]"), *value, -largest, largest)?;
    }
    Ok(())
}

/// Refuses a number that is not within `least` to `most`, both finite.
///
/// # Errors
/// `Value` naming the number and its range.
pub fn check_within(name: &str, value: f64, least: f64, most: f64) -> Result<()> {
    // A NaN is in no range, so it is refused too.
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let range = if most == f64::MAX {
        "it is finite".to_owned()
    } else {
        format!("it is in [{least:?}, {most:?}]")
    };
    Err(Error::Value(format!(
        "{name} {value:?} is out of range: {range}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_up_to_the_limit_are_accepted() {
        for score in [0.0, -0.0, 1.0, -1e9, 1e9, f64::MIN_POSITIVE] {
            assert!(check_score(score).is_ok(), "{score}");
        }
    }

    #[test]
    fn scores_beyond_the_limit_are_named() {
        for score in [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            1.000_001e9,
            -1e10,
        ] {
            let message = check_score(score).unwrap_err().to_string();
            assert!(message.contains(&format!("{score:?}")), "{message}");
            assert!(message.contains("[-1e9, 1e9]"), "{message}");
        }
    }

    #[test]
    fn steps_beyond_the_limit_are_named() {
        assert!(check_steps(MAX_COUNT).is_ok());
        let message = check_steps(MAX_COUNT + 1).unwrap_err().to_string();
        assert!(message.contains("281474976710657"), "{message}");
        assert!(message.contains("2^48"), "{message}");
    }

    #[test]
    fn a_new_record_has_no_mean() {
        assert_eq!(TaskData::new(7).mean_score(), 0.0);
    }

    #[test]
    fn mean_and_variance_come_from_the_sums() {
        let mut data = TaskData::new(7);
        data.completion_count = 4;
        data.total_score = 10.0;
        data.reward_ema = 0.5;
        data.ema_squared = 0.375;
        assert_eq!(data.mean_score(), 2.5);
        assert_eq!(data.variance(), 0.125);
        data.ema_squared = 0.25 - 1e-17;
        assert_eq!(data.variance(), 0.0);
    }

    #[test]
    fn records_that_no_score_could_have_made_are_refused() {
        type Spoil = fn(&mut TaskData);
        let bad: [(&str, Spoil); 6] = [
            ("completion_count", |data| data.completion_count = u64::MAX),
            ("env_steps", |data| data.env_steps = MAX_COUNT + 1),
            ("total_score", |data| data.total_score = 1e300),
            ("ema_squared", |data| data.ema_squared = -1.0),
            ("success_rate_ema", |data| data.success_rate_ema = f64::NAN),
            ("columns[7]", |data| data.columns[7] = f64::INFINITY),
        ];
        for (name, spoil) in bad {
            let mut data = TaskData::new(7);
            assert!(check_record(&data).is_ok());
            spoil(&mut data);
            let message = check_record(&data).unwrap_err().to_string();
            assert!(message.starts_with(name), "{message}");
        }
    }
}
