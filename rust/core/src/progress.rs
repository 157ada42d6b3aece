//! Learning progress: pure functions of the rules and a record, without state.
//!
//! Learning progress by a fast and a slow EMA: Kanitscheider et al. 2021, "Multi-task curriculum
//! learning in a complex, visual, hard-exploration domain: Minecraft"; the baseline and the
//! reweighting as in OMNI, Zhang et al. 2023.

use crate::error::{Error, Result};
use crate::evidence::{self, Past};
use crate::record::TaskData;
use crate::rules::{Baseline, Law, Progress, Rules};

/// Largest baseline that is made from scores: 1 / (1 - B) stays at most 4.
pub const BASELINE_CAP: f64 = 0.75;

/// Share of the learning progress that is left where noise alone could explain it, so that a task
/// which begins to be learned is drawn on among tasks without any progress.
pub const NOISE_LEAK: f64 = 1.0 / 256.0;

/// Weight of a task that never succeeds, by which it is tried again, on the scale of the noise-aware
/// learning progress. At a success rate of a half it is a sixteenth of that.
const UNSOLVED: f64 = 0.002;

/// Weight that every task has under the noise-aware progress, by which draws are uniform where there
/// is nothing else to go by.
const ANY: f64 = 1e-6;

/// The scores that a session has seen; they count where there is no `score_range`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// The lowest.
    pub lowest: f64,
    /// Highest less lowest.
    pub span: f64,
}

/// How far a score may lie outside `score_range`, as a share of it: what sums of floats are off.
const ROUNDING: f64 = 1e-9;

/// Refuses a score outside a declared `score_range` by more than rounding.
#[inline]
pub fn check_in_range(rules: &Rules, score: f64) -> Result<()> {
    match rules.score_range {
        Some((lo, hi)) if !(lo..=hi).contains(&score) => {
            let margin = ROUNDING * (hi - lo);
            if (lo - margin..=hi + margin).contains(&score) {
                return Ok(());
            }
            Err(Error::Value(format!(
                "score {score:?} is outside score_range = ({lo:?}, {hi:?}): declare a wider \
                 score_range, or score_range=None if the scores have no known bounds"
            )))
        }
        _ => Ok(()),
    }
}

/// Refuses a baseline that scores cannot be normalised by.
///
/// # Errors
/// `Value` naming it and its range.
pub fn check_baseline(rules: &Rules, baseline: f64) -> Result<()> {
    if rules.baseline == Baseline::None || (0.0..1.0).contains(&baseline) {
        return Ok(());
    }
    Err(Error::Value(format!(
        "random_baseline {baseline:?} is out of range: under rules with a baseline it is in [0, 1)"
    )))
}

/// The record after one more score: statistics, `lp_score` (unless it is given) and `weight`.
///
/// The score has passed [`crate::record::check_score`] and
/// [`check_in_range`]. Ticks, generation, label and columns are the caller's.
// Always: by a call, the record goes through memory, and an update takes 20 ns more.
#[inline(always)]
pub fn advance(rules: &Rules, data: &mut TaskData, score: f64, env_steps: u64, seen: Seen) {
    let first = data.completion_count == 0;
    if rules.progress == Progress::NoiseAware && !first {
        data.evidence = evidence(rules, data, score, seen);
    }
    // EMA: m <- m + step (y - m); the first score is the EMA (Kanitscheider et al. 2021).
    let ema = |old: f64, new: f64, step: f64| if first { new } else { old + step * (new - old) };
    let success = if score >= data.success_threshold {
        1.0
    } else {
        0.0
    };
    let step = match rules.progress {
        // The mean of the first 1 / step scores: in an EMA the first one would stand for most.
        Progress::NoiseAware => (1.0 / (data.completion_count as f64 + 1.0)).max(rules.ema_alpha),
        _ => rules.ema_alpha,
    };
    data.reward_ema = ema(data.reward_ema, score, step);
    data.ema_squared = ema(data.ema_squared, score * score, step);
    data.success_rate_ema = ema(data.success_rate_ema, success, step);
    data.total_score += score;
    data.last_score = score;
    data.random_baseline = baseline(rules, data);
    data.completion_count = data.completion_count.wrapping_add(1);
    data.env_steps = data.env_steps.wrapping_add(env_steps);

    // x = max(z - B, 0) / (1 - B), the score above the baseline (OMNI, Zhang et al. 2023).
    let x = match rules.baseline {
        Baseline::None => normalise(rules, score),
        _ => {
            (normalise(rules, score) - data.random_baseline).max(0.0) / (1.0 - data.random_baseline)
        }
    };
    let fast = rules.ema_timescale;
    let slow = fast * rules.slow_timescale_factor;
    data.p_fast = ema(data.p_fast, x, fast);
    data.p_slow = ema(data.p_slow, x, slow);
    data.p_true = ema(data.p_true, score, fast);

    if rules.progress != Progress::Given {
        data.lp_score = learning_progress(rules, data, seen);
    }
    data.weight = weigh(rules, data);
}

/// z = (y - lo) / (hi - lo) with a score range, in [0, 1] whatever rounding did; else the score
/// itself.
fn normalise(rules: &Rules, score: f64) -> f64 {
    match rules.score_range {
        Some((lo, hi)) => ((score - lo) / (hi - lo)).clamp(0.0, 1.0),
        None => score,
    }
}

/// The baseline of a record whose `total_score`, but not its count, has the present score.
///
/// The mean comes from the sum, so that the cap does not bend the mean of the scores after it.
fn baseline(rules: &Rules, data: &TaskData) -> f64 {
    match rules.baseline {
        Baseline::None => data.random_baseline,
        Baseline::Fixed(value) => value,
        Baseline::Mean if data.completion_count >= rules.baseline_samples => data.random_baseline,
        Baseline::Mean => {
            let mean = data.total_score / (data.completion_count + 1) as f64;
            normalise(rules, mean).clamp(0.0, BASELINE_CAP)
        }
    }
}

/// What scores are measured by: the lowest, and 1 / (highest - lowest), 0 without any.
#[inline(always)]
fn scale(rules: &Rules, seen: Seen) -> (f64, f64) {
    let (lowest, unit) = match rules.score_range {
        Some((lo, hi)) => (lo, hi - lo),
        None => (seen.lowest, seen.span),
    };
    (lowest, if unit > 0.0 { 1.0 / unit } else { 0.0 })
}

/// Mean (EMA) and variance of a record's scores, in units of their range.
#[inline(always)]
fn scaled_moments(data: &TaskData, lowest: f64, per_unit: f64) -> (f64, f64) {
    (
        ((data.reward_ema - lowest) * per_unit).clamp(0.0, 1.0),
        data.variance() * per_unit * per_unit,
    )
}

/// |R(p_fast) - R(p_slow)| (Kanitscheider et al. 2021), in units of the range of scores.
#[inline(always)]
fn difference(rules: &Rules, data: &TaskData, per_unit: f64) -> f64 {
    let raw = (shape(rules, data.p_fast) - shape(rules, data.p_slow)).abs();
    // EMAs of z are without unit already.
    if rules.score_range.is_some() {
        raw
    } else {
        raw * per_unit
    }
}

/// The evidence of a record that has scores, after another one that it does not have yet.
fn evidence(rules: &Rules, data: &TaskData, score: f64, seen: Seen) -> f64 {
    let (lowest, per_unit) = scale(rules, seen);
    let (mean, variance) = scaled_moments(data, lowest, per_unit);
    let past = Past {
        scores: data.completion_count,
        mean,
        variance,
        step: rules.ema_alpha,
    };
    let x = ((score - lowest) * per_unit).clamp(0.0, 1.0);
    evidence::after(data.evidence, past, x)
}

/// Learning progress of a record, in units of the score range (or of the scores that were seen),
/// never below `progress_floor`; the record's own `lp_score` where it is given.
#[inline(always)]
pub fn learning_progress(rules: &Rules, data: &TaskData, seen: Seen) -> f64 {
    let (lowest, per_unit) = scale(rules, seen);
    let progress = match rules.progress {
        Progress::Given => return data.lp_score,
        Progress::Variance => data.variance() * per_unit * per_unit,
        Progress::NoiseAware => {
            let (mean, variance) = scaled_moments(data, lowest, per_unit);
            let of_difference = evidence::progress_of_difference(
                difference(rules, data, per_unit),
                noise_deviation(rules, data, per_unit),
                rules.noise_deviations,
                mean,
                variance,
            );
            evidence::progress(data.evidence).max(of_difference)
        }
        Progress::Bidirectional => {
            let raw = difference(rules, data, per_unit);
            if rules.noise_deviations > 0.0 {
                let noise = rules.noise_deviations * noise_deviation(rules, data, per_unit);
                (raw - noise).max(NOISE_LEAK * raw)
            } else {
                raw
            }
        }
    };
    let zero = rules.score_range.map_or(0.0, |(lo, _)| lo);
    let bonus = rules.performance_bonus * (data.p_true - zero) * per_unit;
    (progress + bonus).max(rules.progress_floor)
}

/// R(p) on [0, 1]; the identity, without bounds, at t = 0.5.
#[inline]
fn shape(rules: &Rules, p: f64) -> f64 {
    if rules.reweighting == 0.5 {
        p
    } else {
        reweight(p.clamp(0.0, 1.0), rules.reweighting)
    }
}

/// R(p) = p (1-t) / (p + t (1-2p)) for p in [0, 1], t in (0, 1) (Kanitscheider et al. 2021).
#[inline]
pub fn reweight(p: f64, t: f64) -> f64 {
    // The denominator p (1-t) + (1-p) t is at least min(t, 1-t): no pole on [0, 1].
    p * (1.0 - t) / (p + t * (1.0 - 2.0 * p))
}

/// R'(p) = t (1-t) / (p + t (1-2p))^2, the derivative of [`reweight`].
fn reweight_slope(p: f64, t: f64) -> f64 {
    let below = p + t * (1.0 - 2.0 * p);
    t * (1.0 - t) / (below * below)
}

/// Standard deviation that |R(p_fast) - R(p_slow)| would have after as many scores by noise alone.
///
/// `per_unit` is 1 / (hi - lo), or 1 / span: what brings the variance of the raw score to the
/// units of the learning progress.
#[inline(always)]
pub fn noise_deviation(rules: &Rules, data: &TaskData, per_unit: f64) -> f64 {
    let (a, b) = (
        rules.ema_timescale,
        rules.ema_timescale * rules.slow_timescale_factor,
    );
    let above = match rules.baseline {
        Baseline::None => 1.0,
        _ => 1.0 / (1.0 - data.random_baseline),
    };
    // Delta method: Var R(p) = R'(p)^2 Var p.
    let slope = if rules.reweighting == 0.5 {
        1.0
    } else {
        reweight_slope(data.p_slow.clamp(0.0, 1.0), rules.reweighting)
    };
    let spread = data.variance() * difference_variance(a, b, data.completion_count);
    spread.sqrt() * per_unit * above * slope
}

/// Variance of (fast EMA - slow EMA) of `n` independent scores of variance 1.
///
/// The difference is the sum of c_i x_i with c_i = a (1-a)^(n-i) - b (1-b)^(n-i), and, as the
/// first score initialises both, c_1 = (1-a)^(n-1) - (1-b)^(n-1); this is the sum of c_i^2. For
/// n to infinity it is a/(2-a) + b/(2-b) - 2ab/(a+b-ab); before, while the slow EMA still hangs
/// on the first score, it is many times that.
fn difference_variance(a: f64, b: f64, n: u64) -> f64 {
    let steps = i32::try_from(n.saturating_sub(1)).unwrap_or(i32::MAX);
    let (fast, slow) = ((1.0 - a).powi(steps), (1.0 - b).powi(steps));
    let start = (fast - slow) * (fast - slow);
    let later = a / (2.0 - a) * (1.0 - fast * fast) + b / (2.0 - b) * (1.0 - slow * slow)
        - 2.0 * a * b / (a + b - a * b) * (1.0 - fast * slow);
    // Where a = b all terms cancel, up to rounding.
    (start + later).max(0.0)
}

/// What draws are proportional to under the proportional law; 1 for every task under the others,
/// which do not look at weights.
///
/// A task with n < min_samples scores has a blend of exploration and learning progress by
/// c = n / min_samples, so that its weight is on the scale of the others at any number of tasks.
#[inline]
pub fn weigh(rules: &Rules, data: &TaskData) -> f64 {
    if rules.law != Law::Proportional {
        return 1.0;
    }
    // A given learning progress may be negative: such a task is not drawn but by the floor.
    let progress = data.lp_score.max(0.0);
    let unsolved = if rules.progress == Progress::NoiseAware && data.completion_count > 0 {
        let unsolved = if rules.retry_by_column {
            data.columns[0].max(0.0)
        } else {
            UNSOLVED
        };
        ANY + unsolved * (1.0 - data.success_rate_ema).max(0.0).powi(4)
    } else {
        0.0
    };
    unsolved
        + match data.completion_count {
            0 => rules.exploration,
            n if n < rules.min_samples => {
                let share = n as f64 / rules.min_samples as f64;
                rules.exploration * (1.0 - share) + rules.exploration_blend * share * progress
            }
            _ => progress,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Stream;

    fn bounded() -> Rules {
        Rules {
            score_range: Some((0.0, 1.0)),
            ..Rules::default()
        }
    }

    fn after(rules: &Rules, scores: &[f64]) -> TaskData {
        let mut data = TaskData::new(1);
        for score in scores {
            advance(rules, &mut data, *score, 10, Seen::default());
        }
        data
    }

    fn close(one: f64, two: f64) {
        assert!(
            (one - two).abs() <= 1e-12 * one.abs().max(1.0),
            "{one} and {two}"
        );
    }

    #[test]
    fn the_first_score_is_every_ema() {
        let data = after(&bounded(), &[0.8]);
        for ema in [data.reward_ema, data.p_fast, data.p_slow, data.p_true] {
            assert_eq!(ema, 0.8);
        }
        close(data.ema_squared, 0.64);
        assert_eq!(data.success_rate_ema, 1.0);
        assert_eq!((data.completion_count, data.env_steps), (1, 10));
        assert_eq!(data.lp_score, 0.0);
    }

    #[test]
    fn a_first_score_of_zero_is_a_score() {
        let data = after(&bounded(), &[0.0, 1.0]);
        close(data.reward_ema, 0.1);
        close(data.p_slow, 0.02);
        close(data.success_rate_ema, 0.1);
    }

    #[test]
    fn emas_by_hand() {
        let data = after(&bounded(), &[0.2, 1.0, 0.0]);
        // 0.9 (0.9 * 0.2 + 0.1) = 0.252; 0.98 (0.98 * 0.2 + 0.02) = 0.21168.
        close(data.p_fast, 0.252);
        close(data.p_slow, 0.21168);
        close(data.p_true, 0.252);
        close(data.ema_squared, 0.9 * (0.9 * 0.04 + 0.1));
        close(data.success_rate_ema, 0.09);
        close(data.lp_score, 0.252 - 0.21168);
        assert_eq!((data.total_score, data.last_score), (1.2, 0.0));
        assert_eq!((data.completion_count, data.env_steps), (3, 30));
    }

    #[test]
    fn a_range_maps_scores_but_not_raw_statistics() {
        let rules = Rules {
            score_range: Some((-100.0, 300.0)),
            ..Rules::default()
        };
        let data = after(&rules, &[-100.0, 300.0]);
        close(data.p_fast, 0.1);
        close(data.p_slow, 0.02);
        close(data.p_true, -60.0);
        close(data.reward_ema, -60.0);
        close(data.lp_score, 0.08);
    }

    #[test]
    fn without_a_range_progress_is_per_span() {
        let rules = Rules::default();
        let mut data = after(&rules, &[-100.0]);
        let seen = Seen {
            lowest: -100.0,
            span: 400.0,
        };
        assert_eq!(data.lp_score, 0.0);
        advance(&rules, &mut data, 300.0, 0, seen);
        close(data.p_fast, -60.0);
        close(data.lp_score, 0.08);
        assert_eq!(learning_progress(&rules, &data, Seen::default()), 0.0);
    }

    #[test]
    fn ticks_label_and_columns_are_left_alone() {
        let mut data = TaskData {
            last_completed: 9,
            generation: 3,
            label: 2,
            ..TaskData::new(1)
        };
        data.columns[7] = 4.0;
        advance(&bounded(), &mut data, 0.5, 0, Seen::default());
        assert_eq!(
            (data.last_completed, data.generation, data.label),
            (9, 3, 2)
        );
        assert_eq!(data.columns[7], 4.0);
    }

    #[test]
    fn the_mean_baseline_is_the_mean_of_the_first_scores() {
        let rules = Rules {
            baseline: Baseline::Mean,
            baseline_samples: 3,
            ..bounded()
        };
        close(after(&rules, &[0.2]).random_baseline, 0.2);
        close(after(&rules, &[0.2, 0.4]).random_baseline, 0.3);
        close(after(&rules, &[0.2, 0.4, 0.9]).random_baseline, 0.5);
        close(after(&rules, &[0.2, 0.4, 0.9, 1.0]).random_baseline, 0.5);
        // The cap holds at first and does not bend the mean.
        close(after(&rules, &[1.0]).random_baseline, 0.75);
        close(after(&rules, &[1.0, 1.0, 0.0]).random_baseline, 2.0 / 3.0);
    }

    #[test]
    fn a_mean_baseline_of_zero_stays_after_its_samples() {
        let rules = Rules {
            baseline: Baseline::Mean,
            baseline_samples: 2,
            ..bounded()
        };
        assert_eq!(after(&rules, &[0.0, 0.0, 1.0, 1.0]).random_baseline, 0.0);
    }

    #[test]
    fn the_score_counts_above_the_baseline() {
        let rules = Rules {
            baseline: Baseline::Fixed(0.2),
            ..bounded()
        };
        close(after(&rules, &[0.6]).p_fast, 0.5);
        assert_eq!(after(&rules, &[0.1]).p_fast, 0.0);
        assert_eq!(after(&rules, &[0.1]).p_true, 0.1);
        // (1.0 - 0.2) / 0.8 = 1: p_fast = 0.1, p_slow = 0.02.
        close(after(&rules, &[0.1, 1.0]).lp_score, 0.08);
    }

    #[test]
    fn reweighting_by_hand() {
        for p in [0.0, 0.3, 1.0] {
            close(reweight(p, 0.5), p);
        }
        // 0.1 * 0.9 / (0.1 + 0.1 * 0.8) = 0.5.
        close(reweight(0.1, 0.1), 0.5);
        close(reweight(0.0, 0.1), 0.0);
        close(reweight(1.0, 0.1), 1.0);
        let h = 1e-6;
        for p in [0.2, 0.7] {
            let slope = (reweight(p + h, 0.1) - reweight(p - h, 0.1)) / (2.0 * h);
            assert!((slope - reweight_slope(p, 0.1)).abs() < 1e-6);
        }
    }

    #[test]
    fn reweighting_never_leaves_the_unit_interval() {
        let rules = Rules {
            reweighting: 0.05,
            ..bounded()
        };
        for p in [-5.0, -0.1, 1.1, 50.0] {
            assert!((0.0..=1.0).contains(&shape(&rules, p)), "{p}");
        }
        let data = TaskData {
            p_fast: 0.1,
            p_slow: 0.0,
            completion_count: 9,
            ..TaskData::new(1)
        };
        let rules = Rules {
            reweighting: 0.1,
            ..bounded()
        };
        close(learning_progress(&rules, &data, Seen::default()), 0.5);
    }

    #[test]
    fn the_noise_of_two_emas_by_hand_and_at_last() {
        // One score: both EMAs are it. Two: c = (b - a, a - b).
        assert_eq!(difference_variance(0.1, 0.02, 1), 0.0);
        close(difference_variance(0.1, 0.02, 2), 2.0 * 0.08 * 0.08);
        let (a, b): (f64, f64) = (0.1, 0.02);
        let last = a / (2.0 - a) + b / (2.0 - b) - 2.0 * a * b / (a + b - a * b);
        close(difference_variance(a, b, u64::MAX), last);
        assert!(difference_variance(a, b, 20) > 3.0 * last);
        assert!(difference_variance(a, a, 5) < 1e-15);
    }

    #[test]
    fn the_noise_of_two_emas_by_trial() {
        let rules = Rules {
            ema_alpha: 0.01,
            ..bounded()
        };
        let mut stream = Stream::new(5, 0);
        let (n, trials) = (15, 20_000);
        let mut squares = 0.0;
        for _ in 0..trials {
            let scores: Vec<f64> = (0..n).map(|_| stream.next_f64()).collect();
            let data = after(&rules, &scores);
            squares += (data.p_fast - data.p_slow).powi(2);
        }
        let measured = squares / f64::from(trials);
        let expected = difference_variance(0.1, 0.02, n) / 12.0;
        // The relative standard error of a variance is about sqrt(2 / trials) = 1%.
        assert!(
            (measured / expected - 1.0).abs() < 0.05,
            "{measured} {expected}"
        );
    }

    #[test]
    fn noise_is_in_units_of_the_learning_progress() {
        let data = TaskData {
            completion_count: 1_000_000,
            reward_ema: 50.0,
            ema_squared: 2525.0,
            random_baseline: 0.5,
            p_slow: 0.1,
            ..TaskData::new(1)
        };
        let sigma = (25.0 * difference_variance(0.1, 0.02, u64::MAX)).sqrt();
        let plain = Rules {
            score_range: Some((0.0, 100.0)),
            ..Rules::default()
        };
        close(noise_deviation(&plain, &data, 0.01), sigma / 100.0);
        let above = Rules {
            baseline: Baseline::Mean,
            ..plain.clone()
        };
        close(noise_deviation(&above, &data, 0.01), sigma / 50.0);
        // R'(0.1) = 0.09 / 0.18^2 at t = 0.1.
        let curved = Rules {
            reweighting: 0.1,
            ..plain
        };
        close(
            noise_deviation(&curved, &data, 0.01),
            sigma / 100.0 * 0.09 / 0.0324,
        );
    }

    #[test]
    fn noise_is_taken_off_down_to_a_small_share() {
        let noisy = Rules {
            noise_deviations: 1.0,
            ..bounded()
        };
        let scores = [0.0, 1.0, 0.0, 0.0, 1.0, 1.0];
        let (plain, aware) = (after(&bounded(), &scores), after(&noisy, &scores));
        let sigma = noise_deviation(&noisy, &aware, 1.0);
        assert!(sigma > 0.0);
        let share = NOISE_LEAK * plain.lp_score;
        close(aware.lp_score, (plain.lp_score - sigma).max(share));
        let deaf = Rules {
            noise_deviations: 1e6,
            ..bounded()
        };
        close(after(&deaf, &scores).lp_score, share);
        assert_eq!(after(&deaf, &[0.5; 100]).lp_score, 0.0);
    }

    #[test]
    fn rounding_does_not_take_a_score_out_of_its_range() {
        let rules = Rules {
            score_range: Some((-1.0, 1.0)),
            ..Rules::default()
        };
        let sum = (0..20).fold(0.0, |sum, _| sum + 0.05);
        assert!(sum > 1.0);
        for score in [sum, -sum] {
            assert!(check_in_range(&rules, score).is_ok());
        }
        let data = after(&rules, &[sum]);
        assert_eq!((data.p_fast, data.last_score), (1.0, sum));
        for score in [1.000_001, -1.000_001, f64::NAN] {
            assert!(check_in_range(&rules, score).is_err());
        }
    }

    #[test]
    fn variance_progress_is_per_squared_unit() {
        let rules = Rules {
            progress: Progress::Variance,
            score_range: Some((0.0, 10.0)),
            ..Rules::default()
        };
        // EMAs of 0 and 10: mean 1, mean square 10; (10 - 1) / 100.
        close(after(&rules, &[0.0, 10.0]).lp_score, 0.09);
    }

    #[test]
    fn floor_and_bonus_are_added_to_the_progress() {
        let rules = Rules {
            performance_bonus: 0.5,
            score_range: Some((10.0, 20.0)),
            ..Rules::default()
        };
        // p_true = 10.5 is 0.05 of the range; LP = 0.08 * 0.5 for a score half-way up.
        let data = after(&rules, &[10.0, 15.0]);
        close(data.lp_score, 0.04 + 0.5 * 0.05);
        let rules = Rules {
            progress_floor: 0.3,
            ..bounded()
        };
        assert_eq!(after(&rules, &[0.0, 1.0]).lp_score, 0.3);
    }

    #[test]
    fn a_given_progress_is_left_as_it_is() {
        let rules = Rules {
            progress: Progress::Given,
            min_samples: 1,
            ..bounded()
        };
        let mut data = TaskData {
            lp_score: 0.7,
            ..TaskData::new(1)
        };
        advance(&rules, &mut data, 0.1, 0, Seen::default());
        assert_eq!((data.lp_score, data.weight), (0.7, 0.7));
    }

    #[test]
    fn weights_go_from_exploration_to_progress() {
        let rules = bounded();
        let mut data = TaskData {
            lp_score: 0.4,
            ..TaskData::new(1)
        };
        assert_eq!(weigh(&rules, &data), 0.1);
        data.completion_count = 5;
        // 0.1 * 0.5 + 0.5 * 0.5 * 0.4.
        close(weigh(&rules, &data), 0.15);
        data.completion_count = 10;
        assert_eq!(weigh(&rules, &data), 0.4);
        data.lp_score = -1.0;
        assert_eq!(weigh(&rules, &data), 0.0);
        for law in [Law::Sigmoid, Law::Uniform] {
            assert_eq!(weigh(&Rules { law, ..bounded() }, &data), 1.0);
        }
    }

    #[test]
    fn a_failing_task_is_tried_again_by_a_constant_or_its_column() {
        let rules = Rules {
            progress: Progress::NoiseAware,
            min_samples: 1,
            ..bounded()
        };
        let mut data = after(&rules, &[0.0; 5]);
        assert_eq!(weigh(&rules, &data), ANY + UNSOLVED);
        data.success_rate_ema = 0.5;
        assert_eq!(weigh(&rules, &data), ANY + UNSOLVED / 16.0);
        let rules = Rules {
            retry_by_column: true,
            ..rules
        };
        assert_eq!(weigh(&rules, &data), ANY);
        data.columns[0] = 0.8;
        close(weigh(&rules, &data), ANY + 0.05);
        // Before its first score, the column has no say.
        assert_eq!(weigh(&rules, &TaskData::new(2)), rules.exploration);
    }

    #[test]
    fn scores_outside_the_range_are_named_with_the_ways_out() {
        let rules = bounded();
        assert!(check_in_range(&rules, 0.0).is_ok() && check_in_range(&rules, 1.0).is_ok());
        assert!(check_in_range(&Rules::default(), 5e8).is_ok());
        let message = check_in_range(&rules, 1.5).unwrap_err().to_string();
        for part in ["1.5", "(0.0, 1.0)", "wider", "score_range=None"] {
            assert!(message.contains(part), "{message}");
        }
    }
}
