//! How a session turns scores into statistics and weights.

use crate::error::{Error, Result};
use crate::record::MAX_SCORE;

/// Where a task's baseline comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Baseline {
    /// No baseline: the score counts as it is.
    None,
    /// One number in [0, 1) for all tasks.
    Fixed(f64),
    /// Mean of a task's first `baseline_samples` scores, capped.
    Mean,
}

/// What `lp_score` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// |R(p_fast) - R(p_slow)|.
    Bidirectional,
    /// Variance of the score.
    Variance,
    /// What noise does not explain, by the evidence that the scores rise.
    NoiseAware,
    /// Set by the caller.
    Given,
}

/// How draws follow from the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// Proportional to the weight.
    Proportional,
    /// Sigmoid of the z-scored learning progress.
    Sigmoid,
    /// Every task alike.
    Uniform,
}

macro_rules! spelled {
    ($kind:ident, $what:literal, $($variant:ident = $word:literal),+) => {
        impl $kind {
            const ALL: &[($kind, &str)] = &[$(($kind::$variant, $word)),+];

            /// The word that the caller writes for it.
            pub fn as_str(self) -> &'static str {
                match self { $($kind::$variant => $word),+ }
            }

            /// Reads the word that the caller wrote.
            pub fn parse(word: &str) -> Result<$kind> {
                Self::ALL.iter().find(|(_, known)| *known == word).map(|(kind, _)| *kind)
                    .ok_or_else(|| Error::Value(format!(
                        "{} = {word:?} is unknown: it is one of {}", $what,
                        Self::ALL.iter().map(|(_, known)| format!("{known:?}"))
                            .collect::<Vec<_>>().join(", "))))
            }

            fn from_word(word: u64) -> Result<$kind> {
                usize::try_from(word).ok().and_then(|at| Self::ALL.get(at)).map(|(kind, _)| *kind)
                    .ok_or_else(|| Error::Value(format!(
                        "{} has the unknown code {word}: it is below {}", $what, Self::ALL.len())))
            }
        }
    };
}

spelled!(
    Progress,
    "progress",
    Bidirectional = "bidirectional",
    Variance = "variance",
    NoiseAware = "noise-aware",
    Given = "given"
);
spelled!(
    Law,
    "law",
    Proportional = "proportional",
    Sigmoid = "sigmoid",
    Uniform = "uniform"
);

/// Weights are below this, so that those of a stripe of 2^22 slots add up to less than 2^64 units.
pub const MAX_WEIGHT: f64 = 4096.0;

/// Number of words of [`Rules::to_words`].
pub const RULES_WORDS: usize = 23;

/// The parameters of a session, fixed for its life.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Step of `reward_ema`, `ema_squared` and `success_rate_ema`, in (0, 1].
    pub ema_alpha: f64,
    /// Step `a` of the fast EMA and of `p_true`, in (0, 1].
    pub ema_timescale: f64,
    /// `b = a * factor` is the step of the slow EMA, in (0, 1].
    pub slow_timescale_factor: f64,
    /// Maps scores to [0, 1]; without it learning progress is divided by the session's span.
    pub score_range: Option<(f64, f64)>,
    /// Where a task's baseline comes from.
    pub baseline: Baseline,
    /// Number of first scores that make the baseline, at least 1.
    pub baseline_samples: u64,
    /// `t` of R(p) = p(1-t) / (p + t(1-2p)), in (0, 1); 0.5 is the identity.
    pub reweighting: f64,
    /// Standard deviations of pure noise taken off the learning progress, >= 0.
    pub noise_deviations: f64,
    /// What `lp_score` is.
    pub progress: Progress,
    /// How draws follow from the records.
    pub law: Law,
    /// `A` of the sigmoid law, > 0.
    pub amplification: f64,
    /// Share of draws that is uniform over the tasks, in [0, 1].
    pub floor: f64,
    /// Weight of a task without a score, in [0, 4096).
    pub exploration: f64,
    /// Share of the learning progress in the weight of a task below `min_samples`, in [0, 1].
    pub exploration_blend: f64,
    /// Scores from which a task's weight is its learning progress alone.
    pub min_samples: u64,
    /// Whether a task that fails is tried again, under the noise-aware progress, by the weight in
    /// its first column instead of a constant.
    pub retry_by_column: bool,
    /// Least learning progress, in [0, 4096).
    pub progress_floor: f64,
    /// Multiple of the scaled `p_true` added to the learning progress, in [0, 4096).
    pub performance_bonus: f64,
    /// Threshold of tasks that name none.
    pub success_threshold: f64,
    /// `generator_type` of tasks that name none.
    pub generator_type: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            ema_alpha: 0.1,
            ema_timescale: 0.1,
            slow_timescale_factor: 0.2,
            score_range: None,
            baseline: Baseline::None,
            baseline_samples: 5,
            reweighting: 0.5,
            noise_deviations: 0.0,
            progress: Progress::Bidirectional,
            law: Law::Proportional,
            amplification: 10.0,
            floor: 0.0,
            exploration: 0.1,
            exploration_blend: 0.5,
            min_samples: 10,
            retry_by_column: false,
            progress_floor: 0.0,
            performance_bonus: 0.0,
            success_threshold: 0.5,
            generator_type: 0.0,
        }
    }
}

fn hold(holds: bool, name: &str, value: f64, range: &str) -> Result<()> {
    if holds && value.is_finite() {
        Ok(())
    } else {
        Err(Error::Value(format!(
            "{name} = {value:?} is out of range: it is {range}"
        )))
    }
}

impl Rules {
    /// Refuses numbers out of their range and combinations that need bounds without having them.
    pub fn validate(&self) -> Result<()> {
        let step = |name, value: f64| hold(value > 0.0 && value <= 1.0, name, value, "in (0, 1]");
        let share = |name, value: f64| hold((0.0..=1.0).contains(&value), name, value, "in [0, 1]");
        let least = |name, value: f64| hold(value >= 0.0, name, value, "finite and at least 0");
        // What goes into weights as it is, or times a number of at most 1.
        let weight = |name, value: f64| {
            let holds = (0.0..MAX_WEIGHT).contains(&value);
            hold(holds, name, value, "in [0, 4096): weights are below 4096")
        };
        let finite = |name, value: f64| hold(true, name, value, "finite");
        step("ema_alpha", self.ema_alpha)?;
        step("ema_timescale", self.ema_timescale)?;
        step("slow_timescale_factor", self.slow_timescale_factor)?;
        let open = self.reweighting > 0.0 && self.reweighting < 1.0;
        hold(open, "reweighting", self.reweighting, "in (0, 1)")?;
        least("noise_deviations", self.noise_deviations)?;
        hold(
            self.amplification > 0.0,
            "amplification",
            self.amplification,
            "finite and above 0",
        )?;
        share("floor", self.floor)?;
        weight("exploration", self.exploration)?;
        share("exploration_blend", self.exploration_blend)?;
        weight("progress_floor", self.progress_floor)?;
        weight("performance_bonus", self.performance_bonus)?;
        finite("success_threshold", self.success_threshold)?;
        finite("generator_type", self.generator_type)?;
        if let Baseline::Fixed(value) = self.baseline {
            hold(
                (0.0..1.0).contains(&value),
                "baseline",
                value,
                "None, \"mean\" or in [0, 1)",
            )?;
        }
        if self.baseline_samples < 1 {
            return Err(Error::Value(
                "baseline_samples = 0 is out of range: it is at least 1".into(),
            ));
        }
        if self.progress == Progress::NoiseAware
            && (self.baseline != Baseline::None || self.reweighting != 0.5)
        {
            return Err(Error::Value(format!(
                "progress = \"noise-aware\" looks at the scores as they are: leave out baseline = {} \
                 and reweighting = {:?}, or take another progress",
                self.baseline_text(),
                self.reweighting
            )));
        }
        if self.retry_by_column && self.progress != Progress::NoiseAware {
            return Err(Error::Value(format!(
                "retry_by_column is for progress = \"noise-aware\", not for {:?}: leave it out",
                self.progress.as_str()
            )));
        }
        self.validate_bounds()
    }

    fn validate_bounds(&self) -> Result<()> {
        let Some((lo, hi)) = self.score_range else {
            let unbounded = |name: &str, shown: String| {
                Err(Error::Value(format!(
                    "{name} = {shown} needs scores with known bounds, but score_range is None: \
                     give score_range=(lo, hi), or leave {name} out"
                )))
            };
            if self.baseline != Baseline::None {
                return unbounded("baseline", self.baseline_text());
            }
            if self.reweighting != 0.5 {
                return unbounded("reweighting", format!("{:?}", self.reweighting));
            }
            return Ok(());
        };
        // A NaN compares false, so it is refused too.
        if lo < hi && lo >= -MAX_SCORE && hi <= MAX_SCORE {
            Ok(())
        } else {
            Err(Error::Value(format!(
                "score_range = ({lo:?}, {hi:?}) is out of range: it is (lo, hi) with lo < hi, \
                 both within [-1e9, 1e9]"
            )))
        }
    }

    fn baseline_text(&self) -> String {
        match self.baseline {
            Baseline::None => "None".into(),
            Baseline::Fixed(value) => format!("{value:?}"),
            Baseline::Mean => "\"mean\"".into(),
        }
    }

    /// All parameters, bit for bit, for the header of a segment or a checkpoint.
    pub fn to_words(&self) -> [u64; RULES_WORDS] {
        let (bounded, (lo, hi)) = match self.score_range {
            Some(range) => (1, range),
            None => (0, (0.0, 0.0)),
        };
        let (baseline, fixed) = match self.baseline {
            Baseline::None => (0, 0.0),
            Baseline::Fixed(value) => (1, value),
            Baseline::Mean => (2, 0.0),
        };
        [
            self.ema_alpha.to_bits(),
            self.ema_timescale.to_bits(),
            self.slow_timescale_factor.to_bits(),
            bounded,
            lo.to_bits(),
            hi.to_bits(),
            baseline,
            fixed.to_bits(),
            self.baseline_samples,
            self.reweighting.to_bits(),
            self.noise_deviations.to_bits(),
            self.progress as u64,
            self.law as u64,
            self.amplification.to_bits(),
            self.floor.to_bits(),
            self.exploration.to_bits(),
            self.exploration_blend.to_bits(),
            self.min_samples,
            self.progress_floor.to_bits(),
            self.performance_bonus.to_bits(),
            self.success_threshold.to_bits(),
            self.generator_type.to_bits(),
            self.retry_by_column.into(),
        ]
    }

    /// The parameters that [`Rules::to_words`] wrote; words that cannot be rules are refused.
    pub fn from_words(words: &[u64]) -> Result<Rules> {
        let words: &[u64; RULES_WORDS] = words.try_into().map_err(|_| {
            Error::Value(format!(
                "rules have {RULES_WORDS} words, here are {}",
                words.len()
            ))
        })?;
        let unknown = |name: &str, code: u64, limit: u64| {
            Error::Value(format!(
                "{name} has the unknown code {code}: it is below {limit}"
            ))
        };
        let number = |at: usize| f64::from_bits(words[at]);
        let rules = Rules {
            ema_alpha: number(0),
            ema_timescale: number(1),
            slow_timescale_factor: number(2),
            score_range: match words[3] {
                0 => None,
                1 => Some((number(4), number(5))),
                code => return Err(unknown("score_range", code, 2)),
            },
            baseline: match words[6] {
                0 => Baseline::None,
                1 => Baseline::Fixed(number(7)),
                2 => Baseline::Mean,
                code => return Err(unknown("baseline", code, 3)),
            },
            baseline_samples: words[8],
            reweighting: number(9),
            noise_deviations: number(10),
            progress: Progress::from_word(words[11])?,
            law: Law::from_word(words[12])?,
            amplification: number(13),
            floor: number(14),
            exploration: number(15),
            exploration_blend: number(16),
            min_samples: words[17],
            progress_floor: number(18),
            performance_bonus: number(19),
            success_threshold: number(20),
            generator_type: number(21),
            retry_by_column: match words[22] {
                code @ (0 | 1) => code == 1,
                code => return Err(unknown("retry_by_column", code, 2)),
            },
        };
        rules.validate()?;
        Ok(rules)
    }

    /// The first parameter that differs, with both values; `None` where the rules are equal.
    pub fn difference(&self, other: &Rules) -> Option<String> {
        if self == other {
            return None;
        }
        self.texts()
            .into_iter()
            .zip(other.texts())
            .find(|(one, two)| one.1 != two.1)
            .map(|((name, here), (_, there))| format!("{name} is {here} here and {there} there"))
    }

    /// Every parameter by name, as the caller would write it.
    pub(crate) fn texts(&self) -> [(&'static str, String); 20] {
        let number = |value: f64| format!("{value:?}");
        [
            ("ema_alpha", number(self.ema_alpha)),
            ("ema_timescale", number(self.ema_timescale)),
            ("slow_timescale_factor", number(self.slow_timescale_factor)),
            (
                "score_range",
                match self.score_range {
                    Some(range) => format!("{range:?}"),
                    None => "None".into(),
                },
            ),
            ("baseline", self.baseline_text()),
            ("baseline_samples", self.baseline_samples.to_string()),
            ("reweighting", number(self.reweighting)),
            ("noise_deviations", number(self.noise_deviations)),
            ("progress", format!("{:?}", self.progress.as_str())),
            ("law", format!("{:?}", self.law.as_str())),
            ("amplification", number(self.amplification)),
            ("floor", number(self.floor)),
            ("exploration", number(self.exploration)),
            ("exploration_blend", number(self.exploration_blend)),
            ("min_samples", self.min_samples.to_string()),
            ("retry_by_column", self.retry_by_column.to_string()),
            ("progress_floor", number(self.progress_floor)),
            ("performance_bonus", number(self.performance_bonus)),
            ("success_threshold", number(self.success_threshold)),
            ("generator_type", number(self.generator_type)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Rules {
        Rules {
            ema_alpha: 0.3,
            ema_timescale: 0.01,
            slow_timescale_factor: 0.7,
            score_range: Some((-3.0, 1e9)),
            baseline: Baseline::Fixed(0.1 + 0.2),
            baseline_samples: 9,
            reweighting: 0.05,
            noise_deviations: 1.5,
            progress: Progress::Variance,
            law: Law::Sigmoid,
            amplification: 1e-3,
            floor: 0.01,
            exploration: 2.0,
            exploration_blend: 1.0,
            min_samples: u64::MAX,
            retry_by_column: false,
            progress_floor: 1e-4,
            performance_bonus: 0.5,
            success_threshold: -1.0,
            generator_type: 3.0,
        }
    }

    #[test]
    fn the_defaults_hold() {
        Rules::default().validate().unwrap();
        full().validate().unwrap();
    }

    #[test]
    fn words_give_the_rules_back_bit_for_bit() {
        let mean = Rules {
            baseline: Baseline::Mean,
            score_range: Some((0.0, 1.0)),
            ..full()
        };
        for rules in [Rules::default(), full(), mean] {
            let back = Rules::from_words(&rules.to_words()).unwrap();
            assert_eq!(back, rules);
            assert_eq!(back.to_words(), rules.to_words());
        }
    }

    #[test]
    fn words_that_are_no_rules_are_refused() {
        let words = full().to_words();
        assert!(Rules::from_words(&words[1..]).is_err());
        for at in [3, 6, 11, 12] {
            let mut broken = words;
            broken[at] = 4;
            let message = Rules::from_words(&broken).unwrap_err().to_string();
            assert!(message.contains("unknown code 4"), "{message}");
        }
        let mut broken = words;
        broken[0] = f64::NAN.to_bits();
        assert!(
            Rules::from_words(&broken)
                .unwrap_err()
                .to_string()
                .contains("ema_alpha = NaN")
        );
    }

    #[test]
    fn every_number_out_of_its_range_is_named() {
        type Change = fn(&mut Rules, f64);
        let cases: [(&str, Change, &[f64]); 13] = [
            (
                "ema_alpha",
                |r, v| r.ema_alpha = v,
                &[0.0, -0.1, 1.1, f64::NAN],
            ),
            ("ema_timescale", |r, v| r.ema_timescale = v, &[0.0, 2.0]),
            (
                "slow_timescale_factor",
                |r, v| r.slow_timescale_factor = v,
                &[0.0, 1.5],
            ),
            (
                "baseline",
                |r, v| r.baseline = Baseline::Fixed(v),
                &[-0.1, 1.0, f64::NAN],
            ),
            (
                "reweighting",
                |r, v| r.reweighting = v,
                &[0.0, 1.0, f64::NAN],
            ),
            (
                "noise_deviations",
                |r, v| r.noise_deviations = v,
                &[-1.0, f64::INFINITY],
            ),
            (
                "amplification",
                |r, v| r.amplification = v,
                &[0.0, -1.0, f64::INFINITY],
            ),
            ("floor", |r, v| r.floor = v, &[-0.1, 1.1]),
            (
                "exploration",
                |r, v| r.exploration = v,
                &[-0.1, 4096.0, f64::INFINITY],
            ),
            (
                "exploration_blend",
                |r, v| r.exploration_blend = v,
                &[-0.1, 1.1],
            ),
            (
                "progress_floor",
                |r, v| r.progress_floor = v,
                &[-0.1, 4096.0, f64::NAN],
            ),
            (
                "performance_bonus",
                |r, v| r.performance_bonus = v,
                &[-0.1, 4096.0],
            ),
            (
                "success_threshold",
                |r, v| r.success_threshold = v,
                &[f64::NAN, f64::INFINITY],
            ),
        ];
        for (name, change, values) in cases {
            for value in values {
                let mut rules = full();
                change(&mut rules, *value);
                let message = rules.validate().unwrap_err().to_string();
                assert!(
                    message.starts_with(&format!("{name} = {value:?}")),
                    "{message}"
                );
            }
        }
        let rules = Rules {
            retry_by_column: true,
            ..full()
        };
        let message = rules.validate().unwrap_err().to_string();
        assert!(message.contains("retry_by_column"), "{message}");
        let rules = Rules {
            baseline_samples: 0,
            ..full()
        };
        assert!(
            rules
                .validate()
                .unwrap_err()
                .to_string()
                .contains("baseline_samples = 0")
        );
        for range in [
            (1.0, 1.0),
            (1.0, 0.0),
            (0.0, f64::INFINITY),
            (f64::NAN, 1.0),
            (0.0, 2e9),
        ] {
            let rules = Rules {
                score_range: Some(range),
                ..full()
            };
            assert!(
                rules
                    .validate()
                    .unwrap_err()
                    .to_string()
                    .contains("score_range = (")
            );
        }
    }

    #[test]
    fn what_needs_bounds_is_refused_without_them() {
        for (rules, name) in [
            (
                Rules {
                    baseline: Baseline::Mean,
                    ..Rules::default()
                },
                "baseline = \"mean\"",
            ),
            (
                Rules {
                    baseline: Baseline::Fixed(0.2),
                    ..Rules::default()
                },
                "baseline = 0.2",
            ),
            (
                Rules {
                    reweighting: 0.1,
                    ..Rules::default()
                },
                "reweighting = 0.1",
            ),
        ] {
            let message = rules.validate().unwrap_err().to_string();
            assert!(
                message.contains(name) && message.contains("score_range"),
                "{message}"
            );
        }
    }

    #[test]
    fn the_first_difference_is_named_with_both_values() {
        assert_eq!(full().difference(&full()), None);
        let other = Rules {
            law: Law::Uniform,
            generator_type: 9.0,
            ..full()
        };
        let text = full().difference(&other).unwrap();
        assert_eq!(text, "law is \"sigmoid\" here and \"uniform\" there");
        let other = Rules {
            score_range: None,
            ..full()
        };
        let text = full().difference(&other).unwrap();
        assert_eq!(
            text,
            "score_range is (-3.0, 1000000000.0) here and None there"
        );
    }

    #[test]
    fn words_are_parsed_or_listed() {
        assert_eq!(Law::parse("sigmoid").unwrap(), Law::Sigmoid);
        assert_eq!(Progress::parse("given").unwrap(), Progress::Given);
        let message = Law::parse("softmax").unwrap_err().to_string();
        assert!(
            message.contains("\"softmax\"") && message.contains("\"uniform\""),
            "{message}"
        );
    }
}
