//! Evidence that the scores of a task rise, whatever their noise.
//!
//! A cumulative sum of log-likelihood ratios (Page 1954, "Continuous inspection schemes") of each
//! score under a success rate above the long-run one against that rate itself, with forgetting.
//! While nothing changes each ratio has an expected exponential of at most 1, so that the sum
//! passes s by chance at a rate below exp(-s) a score (Lorden 1971, "Procedures for reacting to a
//! change in distribution"): however many tasks there are, few of them look like learning. The
//! constants were chosen on synthetic students, `docs/learning-progress.md` says how.

/// Largest evidence.
pub const MAX_EVIDENCE: f64 = 30.0;

/// What is left of the evidence after another score.
const KEPT: f64 = 0.97;

/// How far above the long-run rate the alternative is, as a share of the way to 1.
const RISE: f64 = 0.1;

/// Scores that the assumption of a long-run rate of 1/2 counts as.
const PRIOR_SCORES: f64 = 0.3;

/// Least dispersion; scores that vary less than coin flips of their mean say more each, by at
/// most its inverse.
const LEAST_DISPERSION: f64 = 0.5;

/// Evidence below which there is no learning progress.
const THRESHOLD: f64 = 1.5;

/// Learning progress at one unit above the threshold; it grows with the square.
const PROGRESS: f64 = 0.1;

/// Learning progress for a unit of evidence that noise explains, so that among tasks which do not
/// move those that ever succeed come before those that never do.
const LEAK: f64 = 1e-4;

/// What a task's earlier scores say of the next one, in units of the range of scores.
#[derive(Clone, Copy, Debug)]
pub struct Past {
    /// Number of scores, at least 1.
    pub scores: u64,
    /// Mean of the scores, an EMA from 1 / `step` of them on, in [0, 1].
    pub mean: f64,
    /// Their variance.
    pub variance: f64,
    /// Step of the EMA.
    pub step: f64,
}

/// The evidence after one more score `x` in [0, 1].
pub fn after(evidence: f64, past: Past, x: f64) -> f64 {
    let scores = (past.scores as f64).min(1.0 / past.step);
    let rate = (past.mean * scores + 0.5 * PRIOR_SCORES) / (scores + PRIOR_SCORES);
    let higher = rate + RISE * (1.0 - rate);
    let ratio = x * (higher / rate).ln() + (1.0 - x) * ((1.0 - higher) / (1.0 - rate)).ln();
    // Variance in units of that of coin flips (McCullagh and Nelder 1989, section 9.2).
    let binomial = rate * (1.0 - rate);
    let dispersion = (past.variance * scores + binomial) / ((scores + 1.0) * binomial);
    let ratio = ratio / dispersion.clamp(LEAST_DISPERSION, 1.0);
    (KEPT * evidence + ratio).clamp(0.0, MAX_EVIDENCE)
}

/// Learning progress that the evidence alone speaks for, in [0, 1].
pub fn progress(evidence: f64) -> f64 {
    let above = (evidence - THRESHOLD).max(0.0);
    (LEAK * evidence + PROGRESS * above * above).min(1.0)
}

/// Learning progress that a difference of EMAs speaks for, in [0, 1].
///
/// It counts as far as the scores vary less than coin flips do: those say more by their sum.
///
/// `difference` is |p_fast - p_slow|, `deviation` its standard deviation where noise is all there
/// is, and `deviations` how many of those count for nothing; `mean` and `variance` are those of
/// the scores. All are in units of the range of scores.
pub fn progress_of_difference(
    difference: f64,
    deviation: f64,
    deviations: f64,
    mean: f64,
    variance: f64,
) -> f64 {
    let binomial = mean * (1.0 - mean);
    if difference <= 0.0 || binomial <= 0.0 {
        return 0.0;
    }
    let regular = 1.0 - (variance / binomial).min(1.0);
    regular * (difference / deviation - deviations).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Stream;

    const STEP: f64 = 0.05;

    fn past(scores: u64, mean: f64) -> Past {
        Past {
            scores,
            mean,
            variance: mean * (1.0 - mean),
            step: STEP,
        }
    }

    /// Plays a rate with the estimates that a record keeps; the share of scores with progress.
    fn share_with_progress(rate: impl Fn(u64) -> f64, scores: u64) -> f64 {
        let mut stream = Stream::new(3, 5);
        let (mut mean, mut squared, mut evidence, mut found) = (0.0, 0.0, 0.0, 0);
        for n in 0..scores {
            let x = f64::from(u8::from(stream.next_f64() < rate(n)));
            if n == 0 {
                (mean, squared) = (x, x);
                continue;
            }
            let past = Past {
                scores: n,
                mean,
                variance: squared - mean * mean,
                step: STEP,
            };
            evidence = after(evidence, past, x);
            found += u64::from(progress(evidence) > 0.1);
            let step = STEP.max(1.0 / (n + 1) as f64);
            mean += step * (x - mean);
            squared += step * (x - squared);
        }
        found as f64 / scores as f64
    }

    #[test]
    fn a_first_success_after_failures_is_learning() {
        let mut evidence = 0.0;
        for n in 1..100 {
            evidence = after(evidence, past(n, 0.0), 0.0);
        }
        assert_eq!(progress(evidence), 0.0);
        assert!(progress(after(evidence, past(100, 0.0), 1.0)) > 0.5);
    }

    #[test]
    fn one_success_of_a_coin_is_not() {
        let by_chance = progress(after(0.0, past(100, 0.5), 1.0));
        assert!((1e-6..1e-4).contains(&by_chance), "{by_chance}");
    }

    #[test]
    fn a_ratio_does_not_rise_on_average_while_nothing_changes() {
        // E[exp(ratio)] = 1 for coin flips of the known rate, and a mean of the same is less.
        for rate in [0.02, 0.3, 0.5, 0.9] {
            let estimated = Past {
                step: 1e-9,
                ..past(1_000_000_000, rate)
            };
            let won = after(10.0, estimated, 1.0) - KEPT * 10.0;
            let lost = after(10.0, estimated, 0.0) - KEPT * 10.0;
            let expected = rate * won.exp() + (1.0 - rate) * lost.exp();
            assert!((expected - 1.0).abs() < 1e-6, "{rate}: {expected}");
            let middle = after(10.0, estimated, rate) - KEPT * 10.0;
            assert!(middle.exp() <= 1.0);
        }
    }

    #[test]
    fn coins_seldom_look_like_learning_and_learners_mostly_do() {
        let learning = share_with_progress(|n| 0.01 * n as f64, 100);
        for rate in [0.1, 0.5, 0.95] {
            let share = share_with_progress(|_| rate, 50_000);
            assert!(share < learning / 4.0, "{rate}: {share} of {learning}");
        }
    }

    #[test]
    fn it_stays_within_its_range() {
        let mut evidence = 0.0;
        for n in 1..10_000 {
            evidence = after(evidence, past(n, 0.0), 1.0);
            assert!((0.0..=MAX_EVIDENCE).contains(&evidence));
            assert!((0.0..=1.0).contains(&progress(evidence)));
        }
        for mean in [0.0, 1.0] {
            for x in [0.0, 1.0] {
                for scores in [1, u64::MAX] {
                    assert!(after(MAX_EVIDENCE, past(scores, mean), x).is_finite());
                }
            }
        }
    }

    #[test]
    fn regular_scores_count_by_their_difference() {
        // A ramp without noise.
        assert!(progress_of_difference(0.1, 0.01, 2.0, 0.5, 0.005) > 0.9);
        // Coin flips.
        assert_eq!(progress_of_difference(0.3, 0.1, 2.0, 0.5, 0.25), 0.0);
        // Within the noise.
        assert_eq!(progress_of_difference(0.01, 0.01, 2.0, 0.5, 0.005), 0.0);
        for mean in [0.0, 1.0] {
            assert_eq!(progress_of_difference(0.0, 0.0, 2.0, mean, 0.0), 0.0);
        }
    }
}
