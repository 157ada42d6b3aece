//! Limits on the shares of draws that labels get: how they are kept, and what shares follow.

use crate::error::{Error, Result};

/// Units of a share: one billionth.
const WHOLE: u64 = 1_000_000_000;
const LOW: u64 = u32::MAX as u64;

/// The least and the most share of the draws that a label gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// In [0, 1].
    pub least: f64,
    /// In [least, 1]; 0 is a ban.
    pub most: f64,
}

impl Limits {
    /// No limits.
    pub const NONE: Self = Self {
        least: 0.0,
        most: 1.0,
    };

    /// No draws at all.
    pub const BAN: Self = Self {
        least: 0.0,
        most: 0.0,
    };

    /// Refuses what is no share, and a least one above the most.
    ///
    /// # Errors
    /// `Value` naming both.
    pub fn validate(self) -> Result<Self> {
        let Self { least, most } = self;
        // A NaN compares false, so it is refused too.
        if 0.0 <= least && least <= most && most <= 1.0 {
            return Ok(self);
        }
        Err(Error::Value(format!(
            "least = {least:?} and most = {most:?} are no limits of a share: \
             0 <= least <= most <= 1 (most=0 bans the label)"
        )))
    }

    /// One word; 0 for no limits.
    pub(crate) fn to_word(self) -> u64 {
        // Outwards, so that six least shares of 1/6 are not more than all draws; but a share that
        // is no whole number of units by rounding of floats alone is one.
        const ROUNDING: f64 = 1e-3;
        let whole = WHOLE as f64;
        let least = (self.least * whole + ROUNDING).floor() as u64;
        let most = (self.most * whole - ROUNDING).ceil().max(0.0) as u64;
        // Only 0 itself bans.
        let most = most.max(u64::from(self.most > 0.0));
        (least << 32) | (WHOLE - most)
    }

    /// The limits of a word; `None` for one that nobody wrote.
    pub(crate) fn from_word(word: u64) -> Option<Self> {
        let most = WHOLE.checked_sub(word & LOW)?;
        let least = least_units(word);
        let share = |units: u64| units as f64 / WHOLE as f64;
        (least <= most).then_some(Self {
            least: share(least),
            most: share(most),
        })
    }
}

fn least_units(word: u64) -> u64 {
    word >> 32
}

/// Refuses words that are no limits, and least shares that add up to more than all draws.
pub(crate) fn check_limits(
    words: impl Iterator<Item = u64> + Clone,
) -> std::result::Result<(), String> {
    if let Some(word) = words
        .clone()
        .find(|word| Limits::from_word(*word).is_none())
    {
        return Err(format!("a label has the limits {word:#x}"));
    }
    check_sum(words)
}

/// Refuses least shares that add up to more than all draws.
pub(crate) fn check_sum(words: impl Iterator<Item = u64>) -> std::result::Result<(), String> {
    let sum = words
        .map(|word| u128::from(least_units(word)))
        .sum::<u128>();
    if sum <= u128::from(WHOLE) {
        return Ok(());
    }
    let sum = sum as f64 / WHOLE as f64;
    Err(format!("the least shares of labels add up to {sum}"))
}

/// Tasks whose shares are scaled by one factor: those of a label with limits, or (without any) all
/// tasks of labels that have none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Set {
    /// Share of the draws by the law alone.
    pub by_law: f64,
    /// Number of live tasks.
    pub tasks: f64,
    pub limits: Limits,
}

/// The shares of some sets, which add up to 1; all are 0 if every set is banned.
///
/// The distribution closest to that of the law, by Kullback-Leibler divergence, of those that keep
/// the limits (the I-projection of Csiszár 1975): clamp(c s, least, most) for a share s, with the
/// one c by which the shares add up to 1, and proportions within a set as they are. Sets that the
/// law does not draw at all share by their tasks what the others may not have. Where every set has
/// its most and draws are left over, all get more in proportion.
pub(crate) fn share_out(sets: &[Set]) -> Vec<f64> {
    let drawn = |set: &Set| set.by_law > 0.0;
    let reserved: f64 = sets
        .iter()
        .filter(|set| !drawn(set))
        .map(|set| set.limits.least)
        .sum();
    let factor = factor_for(sets, 1.0 - reserved, |set| set.by_law);
    let mut shares: Vec<f64> = sets
        .iter()
        .map(|set| scaled(set, factor, set.by_law))
        .collect();
    if factor == f64::INFINITY {
        let taken: f64 = sets
            .iter()
            .zip(&shares)
            .filter(|(set, _)| drawn(set))
            .map(|(_, s)| s)
            .sum();
        let by_tasks = |set: &Set| if drawn(set) { 0.0 } else { set.tasks };
        let factor = factor_for(sets, 1.0 - taken, by_tasks);
        for (set, share) in sets.iter().zip(&mut shares).filter(|(set, _)| !drawn(set)) {
            *share = scaled(set, factor, set.tasks);
        }
    }
    let sum: f64 = shares.iter().sum();
    if sum > 0.0 {
        shares.iter_mut().for_each(|share| *share /= sum);
    }
    shares
}

fn scaled(set: &Set, factor: f64, weight: f64) -> f64 {
    let share = if weight > 0.0 { factor * weight } else { 0.0 };
    share.clamp(set.limits.least, set.limits.most)
}

/// The c by which clamp(c w, least, most), over the sets with a weight w above 0, add up to
/// `total`; infinity where they never do.
fn factor_for(sets: &[Set], total: f64, weight: impl Fn(&Set) -> f64) -> f64 {
    // The sum is linear between the factors at which a set leaves its least or meets its most.
    let mut turns = Vec::with_capacity(2 * sets.len());
    let mut sum = 0.0;
    for set in sets {
        let w = weight(set);
        if w > 0.0 {
            sum += set.limits.least;
            turns.push((set.limits.least / w, w));
            turns.push((set.limits.most / w, -w));
        }
    }
    turns.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut factor, mut slope) = (0.0, 0.0_f64);
    for (at, change) in turns {
        let next = sum + slope * (at - factor);
        if next >= total && slope > 0.0 {
            return factor + (total - sum) / slope;
        }
        (sum, factor) = (next, at);
        slope += change;
    }
    // What is short of `total` by rounding alone is not short of it.
    if sum >= total * (1.0 - 1e-12) {
        factor
    } else {
        f64::INFINITY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(by_law: f64, least: f64, most: f64) -> Set {
        Set {
            by_law,
            tasks: 1.0,
            limits: Limits { least, most },
        }
    }

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (one, two) in found.iter().zip(expected) {
            assert!((one - two).abs() < 1e-9, "{found:?} and {expected:?}");
        }
    }

    #[test]
    fn shares_within_their_limits_stay() {
        let sets = [set(0.5, 0.1, 0.6), set(0.2, 0.0, 1.0), set(0.3, 0.3, 0.3)];
        close(&share_out(&sets), &[0.5, 0.2, 0.3]);
    }

    #[test]
    fn others_make_room_in_proportion() {
        let sets = [set(0.0, 0.2, 1.0), set(0.6, 0.0, 1.0), set(0.4, 0.0, 1.0)];
        close(&share_out(&sets), &[0.2, 0.48, 0.32]);
        let sets = [set(0.8, 0.0, 0.5), set(0.15, 0.0, 1.0), set(0.05, 0.0, 1.0)];
        close(&share_out(&sets), &[0.5, 0.375, 0.125]);
    }

    #[test]
    fn what_a_most_frees_may_lift_another_one_to_its_own() {
        // With c = 2.25 the second one would have 0.54: it stops at 0.4, and the third has the rest.
        let sets = [
            set(0.7, 0.0, 0.325),
            set(0.24, 0.0, 0.4),
            set(0.06, 0.0, 1.0),
        ];
        close(&share_out(&sets), &[0.325, 0.4, 0.275]);
    }

    #[test]
    fn banned_sets_have_no_share_and_nobody_has_one_if_all_are() {
        let ban = |by_law| Set {
            limits: Limits::BAN,
            ..set(by_law, 0.0, 0.0)
        };
        close(&share_out(&[ban(0.9), set(0.1, 0.0, 1.0)]), &[0.0, 1.0]);
        close(&share_out(&[ban(0.9), ban(0.1)]), &[0.0, 0.0]);
        assert!(share_out(&[]).is_empty());
    }

    #[test]
    fn what_the_law_gives_nobody_else_goes_by_the_number_of_tasks() {
        let idle = |tasks| Set {
            tasks,
            ..set(0.0, 0.0, 1.0)
        };
        close(
            &share_out(&[set(1.0, 0.0, 0.4), idle(3.0), idle(1.0)]),
            &[0.4, 0.45, 0.15],
        );
    }

    #[test]
    fn limits_that_leave_draws_over_are_exceeded_in_proportion() {
        close(
            &share_out(&[set(0.9, 0.0, 0.3), set(0.1, 0.0, 0.1)]),
            &[0.75, 0.25],
        );
    }

    #[test]
    fn words_keep_limits() {
        for (least, most) in [
            (0.0, 1.0),
            (0.05, 0.3),
            (0.0, 0.0),
            (1.0, 1.0),
            (1e-12, 1.0 - 1e-12),
        ] {
            let limits = Limits { least, most };
            let word = limits.validate().unwrap().to_word();
            let read = Limits::from_word(word).unwrap();
            assert!((read.least - least).abs() <= 1e-9 && (read.most - most).abs() <= 1e-9);
            assert!(read.least <= least && read.most >= most);
            assert_eq!(read.most > 0.0, most > 0.0);
        }
        let sixth = Limits {
            least: 1.0 / 6.0,
            most: 1.0,
        }
        .to_word();
        assert!(check_limits([sixth; 6].into_iter()).is_ok());
        // 0.07 * 1e9 is 70000000.00000001 as a float.
        let whole = Limits {
            least: 0.07,
            most: 0.07,
        };
        assert_eq!(Limits::from_word(whole.to_word()), Some(whole));
        assert_eq!(Limits::NONE.to_word(), 0);
        assert!(Limits::from_word(u64::MAX).is_none());
        assert!(Limits::from_word((6 << 32) | (WHOLE - 5)).is_none());
        for (least, most) in [
            (0.5, 0.4),
            (-0.1, 1.0),
            (0.0, 1.1),
            (f64::NAN, 1.0),
            (0.0, f64::NAN),
        ] {
            let message = Limits { least, most }.validate().unwrap_err().to_string();
            assert!(message.contains(&format!("{least:?}")), "{message}");
        }
    }

    proptest! {
        /// Against the conditions of optimality: every set is scaled by one factor but for those
        /// at a limit, which the factor would take beyond it.
        #[test]
        fn shares_are_the_closest_that_keep_the_limits(
            raw in prop::collection::vec((0.001..1.0_f64, 0.0..1.0_f64, 0.0..1.0_f64, 0..4_u8), 1..12),
            free in 0.001..1.0_f64,
        ) {
            let whole = raw.iter().map(|set| set.0).sum::<f64>() + free;
            let each = 1.0 / raw.len() as f64;
            let mut sets: Vec<Set> = raw
                .iter()
                .map(|&(weight, low, room, kind)| {
                    let least = if kind & 1 == 1 { low * each } else { 0.0 };
                    let most = if kind & 2 == 2 { least + room * (1.0 - least) } else { 1.0 };
                    set(weight / whole, least, most)
                })
                .collect();
            sets.push(set(free / whole, 0.0, 1.0));
            let shares = share_out(&sets);
            prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            let factor = shares.last().unwrap() / sets.last().unwrap().by_law;
            for (set, share) in sets.iter().zip(&shares) {
                let by_factor = (factor * set.by_law).clamp(set.limits.least, set.limits.most);
                prop_assert!((share - by_factor).abs() < 1e-9, "{:?} {:?}", sets, shares);
            }
        }
    }
}
