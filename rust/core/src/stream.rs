//! Streams of random draws: xoshiro256++ (Blackman and Vigna 2021, <https://prng.di.unimi.it>).

use crate::error::{Error, Result};

/// One stream; its state is four words, so that a checkpoint can hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    state: [u64; 4],
}

/// SplitMix64's increment: the odd number nearest to 2^64 / golden ratio.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's output function (Steele, Lea and Flood 2014): a bijection of the 64-bit words.
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Four outputs of SplitMix64; as it is a bijection of a counter, at most one of them is 0.
fn split_mix(seed: u64) -> [u64; 4] {
    std::array::from_fn(|at| mix(seed.wrapping_add(GAMMA.wrapping_mul(at as u64 + 1))))
}

impl Stream {
    /// Stream `number` of the streams of `seed`; two numbers never give the same stream.
    pub fn new(seed: u64, number: u64) -> Self {
        let start = mix(seed.wrapping_add(GAMMA)).wrapping_add(mix(!number));
        Stream {
            state: split_mix(start),
        }
    }

    /// The state, for a checkpoint.
    pub fn state(&self) -> [u64; 4] {
        self.state
    }

    /// Goes on from a state; four zeros are none.
    pub fn set_state(&mut self, state: [u64; 4]) -> Result<()> {
        if state == [0; 4] {
            return Err(Error::Value(
                "the state of a stream cannot be four zeros: take it from another stream's state"
                    .into(),
            ));
        }
        self.state = state;
        Ok(())
    }

    /// The next 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let output = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        output
    }

    /// The next number of [0, 1): a multiple of 2^-53, each equally likely.
    #[inline]
    pub fn next_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// The next integer below `bound`, without bias (Lemire 2019, doi:10.1145/3230636).
    ///
    /// # Panics
    /// If `bound` is 0.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "no integer is below 0");
        let mut product = u128::from(self.next_u64()) * u128::from(bound);
        if (product as u64) < bound {
            let threshold = bound.wrapping_neg() % bound;
            while (product as u64) < threshold {
                product = u128::from(self.next_u64()) * u128::from(bound);
            }
        }
        (product >> 64) as u64
    }

    /// The next integer below a bound that may need more than 64 bits, without bias.
    ///
    /// # Panics
    /// If `bound` is 0.
    #[inline]
    pub fn below_wide(&mut self, bound: u128) -> u128 {
        if let Ok(bound) = u64::try_from(bound) {
            return u128::from(self.below(bound));
        }
        // At least every second try of as many bits as `bound - 1` has is below the bound.
        let unused = (bound - 1).leading_zeros();
        loop {
            let high = u128::from(self.next_u64()) << 64;
            let tried = (high | u128::from(self.next_u64())) >> unused;
            if tried < bound {
                return tried;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_mix_gives_its_reference_outputs() {
        let expected = [
            0xe220_a839_7b1d_cdaf,
            0x6e78_9e6a_a1b9_65f4,
            0x06c4_5d18_8009_454f,
            0xf88b_b8a8_724c_81ec,
        ];
        assert_eq!(split_mix(0), expected);
    }

    #[test]
    fn xoshiro_gives_its_reference_outputs() {
        let mut stream = Stream {
            state: [1, 2, 3, 4],
        };
        let expected = [
            41_943_041,
            58_720_359,
            3_588_806_011_781_223,
            3_591_011_842_654_386,
            9_228_616_714_210_784_205,
            9_973_669_472_204_895_162,
            14_011_001_112_246_962_877,
            12_406_186_145_184_390_807,
            15_849_039_046_786_891_736,
            10_450_023_813_501_588_000,
        ];
        for word in expected {
            assert_eq!(stream.next_u64(), word);
        }
    }

    #[test]
    fn a_state_goes_on_where_it_was_taken() {
        let mut one = Stream::new(3, 4);
        one.next_u64();
        let mut two = Stream::new(0, 0);
        two.set_state(one.state()).unwrap();
        assert_eq!(one.next_u64(), two.next_u64());
        assert!(two.set_state([0; 4]).is_err());
        assert_eq!(one, two);
    }

    #[test]
    fn seeds_and_numbers_give_streams_of_their_own() {
        let mut seen = std::collections::HashSet::new();
        for seed in [0, 1, 2, u64::MAX] {
            for number in (0..100).chain([u64::MAX]) {
                assert!(
                    seen.insert(Stream::new(seed, number).next_u64()),
                    "{seed} {number}"
                );
            }
        }
    }

    #[test]
    fn fractions_fill_the_unit_interval() {
        let mut stream = Stream::new(1, 0);
        let n = 100_000;
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..n {
            let x = stream.next_f64();
            assert!((0.0..1.0).contains(&x));
            sum += x;
            squares += x * x;
        }
        // Five standard errors of the mean (variance 1/12) and of the mean square (4/45).
        assert!((sum / f64::from(n) - 0.5).abs() < 5.0 * (1.0 / 12.0 / f64::from(n)).sqrt());
        assert!(
            (squares / f64::from(n) - 1.0 / 3.0).abs() < 5.0 * (4.0 / 45.0 / f64::from(n)).sqrt()
        );
    }

    #[test]
    fn integers_below_a_bound_are_equally_likely() {
        let mut stream = Stream::new(2, 0);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[stream.below(7) as usize] += 1;
        }
        let chi: f64 = counts
            .iter()
            .map(|c| (f64::from(*c) - 1e4).powi(2) / 1e4)
            .sum();
        // 99.99th percentile of chi-square with 6 degrees of freedom: 27.86.
        assert!(chi < 27.86, "{counts:?}");
        assert_eq!(stream.below(1), 0);
    }

    #[test]
    fn a_bound_just_above_half_the_range_is_not_biased() {
        // By the high product alone, even results would come twice as often as odd ones.
        let bound = (1_u64 << 63) + (1 << 62);
        let mut stream = Stream::new(3, 0);
        let mut thirds = [0_u32; 3];
        for _ in 0..30_000 {
            let x = stream.below(bound);
            assert!(x < bound);
            thirds[(x % 3) as usize] += 1;
        }
        let chi: f64 = thirds
            .iter()
            .map(|c| (f64::from(*c) - 1e4).powi(2) / 1e4)
            .sum();
        // 99.99th percentile of chi-square with 2 degrees of freedom: 18.42.
        assert!(chi < 18.42, "{thirds:?}");
    }

    #[test]
    fn wide_bounds_are_met_and_narrow_ones_agree() {
        let mut wide = Stream::new(4, 0);
        let mut narrow = wide.clone();
        for _ in 0..100 {
            assert_eq!(wide.below_wide(1000), u128::from(narrow.below(1000)));
        }
        let bound = (1_u128 << 64) + 5;
        let (mut sum, n) = (0.0, 20_000);
        for _ in 0..n {
            let x = wide.below_wide(bound);
            assert!(x < bound);
            sum += x as f64 / bound as f64;
        }
        assert!((sum / f64::from(n) - 0.5).abs() < 5.0 * (1.0 / 12.0 / f64::from(n)).sqrt());
        assert!(wide.below_wide(u128::MAX) < u128::MAX);
    }
}
