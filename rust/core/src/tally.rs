//! Totals of a stripe or of a label in a stripe: integers, so that sums are exact in any order.

use std::sync::atomic::Ordering;

use crate::error::{Error, Result};
use crate::record::TaskData;
use crate::rules::MAX_WEIGHT;
use crate::sync::fence;
use crate::words::Word;

/// Words of a tally.
pub const TALLY_WORDS: usize = 19;

/// Words of a copy of a tally in memory.
pub const COPY_WORDS: usize = TALLY_WORDS + 1;
/// Word of a copy, after the tally: the sequence of the write that changed its retired part last.
/// Copies that agree in it have the same retired part.
const RETIRED_SINCE: usize = TALLY_WORDS;

/// Word of the number of live tasks.
pub(crate) const TASKS_WORD: usize = 0;
/// Low word of the sum of weights; the high one is 0 in either copy (see [`MAX_WEIGHT`]).
pub(crate) const WEIGHT_WORD: usize = 1;
/// Words of the completions of live and of retired tasks.
pub(crate) const COMPLETIONS_WORDS: [usize; 2] = [3, 14];

/// Words of the live part, which come first.
pub(crate) const LIVE_WORDS: usize = 11;

#[inline]
fn words_of(copy: &[Word]) -> &[Word; COPY_WORDS] {
    copy.first_chunk().expect("a copy of a tally")
}

/// Units of a score and of a learning progress in sums: 2^-32.
const UNIT: f64 = 4_294_967_296.0;
/// Units of a weight: 2^-30.
const WEIGHT_UNIT: f64 = 1_073_741_824.0;
/// Learning progress is at most this.
pub const MAX_PROGRESS: f64 = 1e6;

/// A value in units of 2^-32. Exact enough for a mean, and a sum of it is exact.
#[inline]
pub(crate) fn fixed(value: f64) -> i128 {
    let scaled = value * UNIT;
    // A NaN compares false.
    if scaled.abs() < 9.0e18 {
        // SAFETY: within the range of i64, so that one instruction converts it.
        i128::from(unsafe { scaled.to_int_unchecked::<i64>() })
    } else {
        fixed_beyond(scaled)
    }
}

#[cold]
fn fixed_beyond(scaled: f64) -> i128 {
    scaled as i128
}

/// A weight in units of 2^-30; a positive one is at least 1 unit.
///
/// # Errors
/// `Value` for a negative weight, one that is no number, or one of [`MAX_WEIGHT`] or more.
#[inline]
pub fn fixed_weight(weight: f64) -> Result<u64> {
    if weight == 0.0 {
        return Ok(0);
    }
    if weight > 0.0 && weight < MAX_WEIGHT {
        // SAFETY: within the range of i64 by far, so that one instruction converts it.
        let units = unsafe { (weight * WEIGHT_UNIT).to_int_unchecked::<i64>() };
        return Ok(units.cast_unsigned().max(1));
    }
    Err(refused_weight(weight))
}

#[cold]
fn refused_weight(weight: f64) -> Error {
    Error::Value(format!(
        "weight {weight} is not in the range 0 to below {MAX_WEIGHT}; a weight is a learning \
         progress: give a score_range, a smaller bonus, or weights that are scaled down"
    ))
}

/// The weight of a number of units.
#[inline]
#[must_use]
pub fn weight_of(units: u64) -> f64 {
    // By way of i64, which one instruction converts; units of weights are far below 2^63.
    units.cast_signed() as f64 / WEIGHT_UNIT
}

/// The part of a tally that its live tasks make up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Live {
    /// Number of tasks.
    pub tasks: u64,
    /// Sum of weights, in units.
    pub weight: u128,
    /// Episodes reported.
    pub completions: u64,
    /// Sum of scores, in units.
    pub score: i128,
    /// Environment steps.
    pub env_steps: u64,
    /// Sum of LP, in units.
    pub progress: i128,
    /// Sum of squares of LP, in square units.
    pub progress_squares: i128,
}

impl Live {
    /// What one live task adds. `weight` is in units.
    #[inline]
    #[must_use]
    pub fn of(data: &TaskData, weight: u64) -> Self {
        Self::of_numbers(
            weight,
            data.completion_count,
            data.total_score,
            data.env_steps,
            data.lp_score,
        )
    }

    /// [`Self::of`] by the numbers that count.
    #[inline(always)]
    pub(crate) fn of_numbers(
        weight: u64,
        completions: u64,
        score: f64,
        env_steps: u64,
        progress: f64,
    ) -> Self {
        // At most 2^52 units (MAX_PROGRESS), so that the square of two halves is exact.
        let progress = fixed(progress) as i64;
        Self {
            tasks: 1,
            weight: u128::from(weight),
            completions,
            score: fixed(score),
            env_steps,
            progress: i128::from(progress),
            progress_squares: i128::from(progress) * i128::from(progress),
        }
    }

    /// As the words of a tally.
    #[inline]
    #[must_use]
    pub fn to_words(&self) -> [u64; LIVE_WORDS] {
        let [w0, w1] = halves(self.weight.cast_signed());
        let [s0, s1] = halves(self.score);
        let [p0, p1] = halves(self.progress);
        let [q0, q1] = halves(self.progress_squares);
        [
            self.tasks,
            w0,
            w1,
            self.completions,
            s0,
            s1,
            self.env_steps,
            p0,
            p1,
            q0,
            q1,
        ]
    }

    /// Adds another part, or a difference of parts.
    #[inline]
    pub fn add(&mut self, other: &Self) {
        self.tasks = self.tasks.wrapping_add(other.tasks);
        self.weight = self.weight.wrapping_add(other.weight);
        self.completions = self.completions.wrapping_add(other.completions);
        self.score = self.score.wrapping_add(other.score);
        self.env_steps = self.env_steps.wrapping_add(other.env_steps);
        self.progress = self.progress.wrapping_add(other.progress);
        self.progress_squares = self.progress_squares.wrapping_add(other.progress_squares);
    }

    /// The difference to another part: what must be added to it to get this one. Counts wrap.
    #[inline]
    #[must_use]
    pub fn less(&self, other: &Self) -> Self {
        Self {
            tasks: self.tasks.wrapping_sub(other.tasks),
            weight: self.weight.wrapping_sub(other.weight),
            completions: self.completions.wrapping_sub(other.completions),
            score: self.score.wrapping_sub(other.score),
            env_steps: self.env_steps.wrapping_sub(other.env_steps),
            progress: self.progress.wrapping_sub(other.progress),
            progress_squares: self.progress_squares.wrapping_sub(other.progress_squares),
        }
    }
}

/// What became of tasks that are gone, and what happened to tasks at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retired {
    /// Tasks created.
    pub created: u64,
    /// Tasks evicted.
    pub evicted: u64,
    /// Tasks removed otherwise.
    pub removed: u64,
    /// Episodes of tasks that are gone.
    pub completions: u64,
    /// Their scores, in units.
    pub score: i128,
    /// Their environment steps.
    pub env_steps: u64,
    /// Times that they were scheduled.
    pub scheduled: u64,
}

impl Retired {
    /// Adds another part.
    #[inline]
    pub fn add(&mut self, other: &Self) {
        self.created += other.created;
        self.evicted += other.evicted;
        self.removed += other.removed;
        self.completions += other.completions;
        self.score += other.score;
        self.env_steps += other.env_steps;
        self.scheduled += other.scheduled;
    }
}

/// Totals: live and retired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Of live tasks.
    pub live: Live,
    /// Of those that are gone.
    pub retired: Retired,
}

fn halves(value: i128) -> [u64; 2] {
    let bits = value.cast_unsigned();
    [bits as u64, (bits >> 64) as u64]
}

fn joined(low: u64, high: u64) -> i128 {
    (u128::from(low) | (u128::from(high) << 64)).cast_signed()
}

impl Tally {
    /// As words.
    #[inline]
    #[must_use]
    pub fn to_words(&self) -> [u64; TALLY_WORDS] {
        let retired = &self.retired;
        let [r0, r1] = halves(retired.score);
        let mut words = [0; TALLY_WORDS];
        words[..LIVE_WORDS].copy_from_slice(&self.live.to_words());
        words[LIVE_WORDS..].copy_from_slice(&[
            retired.created,
            retired.evicted,
            retired.removed,
            retired.completions,
            r0,
            r1,
            retired.env_steps,
            retired.scheduled,
        ]);
        words
    }

    /// From words that [`Self::to_words`] made.
    #[inline]
    #[must_use]
    pub fn from_words(words: &[u64; TALLY_WORDS]) -> Self {
        let [
            t,
            w0,
            w1,
            c,
            s0,
            s1,
            e,
            p0,
            p1,
            q0,
            q1,
            rc,
            re,
            rr,
            rn,
            r0,
            r1,
            rs,
            rd,
        ] = *words;
        Self {
            live: Live {
                tasks: t,
                weight: joined(w0, w1).cast_unsigned(),
                completions: c,
                score: joined(s0, s1),
                env_steps: e,
                progress: joined(p0, p1),
                progress_squares: joined(q0, q1),
            },
            retired: Retired {
                created: rc,
                evicted: re,
                removed: rr,
                completions: rn,
                score: joined(r0, r1),
                env_steps: rs,
                scheduled: rd,
            },
        }
    }

    /// Reads a published or owned copy.
    #[inline]
    #[must_use]
    pub fn load(copy: &[Word]) -> Self {
        let words = words_of(copy);
        Self::from_words(&std::array::from_fn(|at| words[at].get()))
    }

    /// Fills an unpublished copy, to be published by a sequence.
    #[inline]
    pub fn store(&self, copy: &[Word], sequence: u64) {
        let words = words_of(copy);
        words[RETIRED_SINCE].set(sequence);
        // A write that is cut off leaves copies that differ in it.
        fence(Ordering::Release);
        for (word, value) in words.iter().zip(self.to_words()) {
            word.set(value);
        }
    }

    /// Whether two copies keep what the word after their tallies says.
    pub(crate) fn agree_in_retired(copies: [&[Word]; 2]) -> bool {
        let [one, other] = copies.map(|copy| words_of(copy)[RETIRED_SINCE].get());
        let [retired, other_retired] = copies.map(|copy| Self::load(copy).retired);
        one != other || retired == other_retired
    }

    /// Fills an unpublished copy with a published one and what is gained, without the detour over
    /// a tally: this is what every update does twice. The retired part, which no update changes,
    /// is copied only if it is another.
    #[inline(always)]
    pub fn store_sum(from: &[Word], gained: &[u64; LIVE_WORDS], to: &[Word]) {
        let (from, to) = (words_of(from), words_of(to));
        let add = |at: usize| to[at].set(from[at].get().wrapping_add(gained[at]));
        let add_wide = |at: usize| {
            let (low, carry) = from[at].get().overflowing_add(gained[at]);
            to[at].set(low);
            let high = from[at + 1].get().wrapping_add(gained[at + 1]);
            to[at + 1].set(high.wrapping_add(u64::from(carry)));
        };
        add(0);
        add(WEIGHT_WORD);
        add(3);
        add_wide(4);
        add(6);
        add_wide(7);
        add_wide(9);
        let since = from[RETIRED_SINCE].get();
        if to[RETIRED_SINCE].get() != since {
            for at in LIVE_WORDS..TALLY_WORDS {
                to[at].set(from[at].get());
            }
            to[RETIRED_SINCE].publish(since);
        }
    }

    /// Adds another tally, as when stripes are folded.
    pub fn add(&mut self, other: &Self) {
        self.live.add(&other.live);
        self.retired.add(&other.retired);
    }

    /// Episodes reported, live and retired.
    #[must_use]
    pub fn completions(&self) -> u64 {
        self.live.completions + self.retired.completions
    }

    /// Sum of scores, live and retired.
    #[must_use]
    pub fn score_sum(&self) -> f64 {
        score_of(self.live.score + self.retired.score)
    }

    /// Mean and standard deviation of the LP of live tasks; zeros without tasks.
    #[must_use]
    pub fn progress_moments(&self) -> (f64, f64) {
        let live = &self.live;
        if live.tasks == 0 {
            return (0.0, 0.0);
        }
        let n = live.tasks as f64;
        let mean = score_of(live.progress) / n;
        // n * sum(x^2) - sum(x)^2 in integers: it is exactly 0 where all are equal.
        let tasks = i128::from(live.tasks);
        let spread = live
            .progress_squares
            .checked_mul(tasks)
            .zip(live.progress.checked_mul(live.progress))
            .map_or_else(
                || (score_of(live.progress_squares) / UNIT / n - mean * mean).max(0.0),
                |(squares, square)| score_of(squares - square) / UNIT / (n * n),
            );
        (mean, spread.max(0.0).sqrt())
    }
}

/// A sum of units as a number.
pub(crate) fn score_of(units: i128) -> f64 {
    units as f64 / UNIT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_hold_every_part() {
        let mut words = [0; TALLY_WORDS];
        for (i, word) in words.iter_mut().enumerate() {
            *word = 1 + 3 * i as u64;
        }
        assert_eq!(Tally::from_words(&words).to_words(), words);
    }

    #[test]
    fn the_short_cut_of_an_update_gives_the_sum() {
        let words = |salt: u64| -> [u64; TALLY_WORDS] {
            let mut words =
                std::array::from_fn(|at| (salt + at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            words[WEIGHT_WORD] /= 2;
            words[WEIGHT_WORD + 1] = 0;
            words
        };
        let copy = || -> [Word; COPY_WORDS] { std::array::from_fn(|_| Word::default()) };
        let (from, to) = (copy(), copy());
        let start = Tally::from_words(&words(1));
        start.store(&from, 1);
        let gained = Tally::from_words(&words(77)).live;
        Tally::store_sum(&from, &gained.to_words(), &to);
        let mut sum = start;
        sum.live.add(&gained);
        assert_eq!(Tally::load(&to), sum);
        // Again, from there: a retired part that changed goes along, one that did not stays.
        sum.retired.created += 1;
        sum.store(&to, 2);
        for (from, to) in [(&to, &from), (&from, &to)] {
            assert!(Tally::agree_in_retired([from, to]));
            Tally::store_sum(from, &[0; LIVE_WORDS], to);
            assert_eq!(Tally::load(to), sum);
        }
    }

    #[test]
    fn equal_progress_has_no_spread() {
        let mut tally = Tally::default();
        for id in 0..1000 {
            let mut data = TaskData::new(id);
            data.lp_score = 0.1;
            tally.live.add(&Live::of(&data, 1));
        }
        let (mean, deviation) = tally.progress_moments();
        assert!((mean - 0.1).abs() < 1e-9);
        assert!(deviation.abs() < f64::EPSILON);
    }

    #[test]
    fn weights_outside_the_range_are_refused() {
        for weight in [-1.0, f64::NAN, f64::INFINITY, 4096.0] {
            assert!(fixed_weight(weight).is_err(), "{weight}");
        }
        assert_eq!(fixed_weight(1e-30).unwrap(), 1);
        assert_eq!(fixed_weight(0.0).unwrap(), 0);
        assert!((weight_of(fixed_weight(0.3).unwrap()) - 0.3).abs() < 1e-9);
    }
}
