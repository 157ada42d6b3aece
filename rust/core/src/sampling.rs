//! Exact draws by weight from live data, and the choice of whom to evict.
//!
//! A draw goes down three levels: stripe, block, slot. Each level is a scan over integers, so the
//! distribution is exact whenever no update is in flight; a scan that meets an update in flight
//! may run off its end, and the draw starts again.

use crate::commit::{LIVE, MOST_COMPLETIONS, WEIGHT, completions, completions_of};
use crate::error::{Error, Result};
use crate::huge::with_room;
use crate::layout::MAX_STRIPES;
use crate::limited_draws::pick_from;
use crate::rules::Law;
use crate::stream::Stream;
use crate::sync::spin_loop;
use crate::table::Table;
use crate::tally::{TASKS_WORD, Tally, WEIGHT_WORD, weight_of};
use crate::ticket::Ticket;
use crate::words::Word;

/// Rejected proposals, or scans spoiled by updates, after which a draw takes one exact pass.
pub(crate) const ATTEMPTS: usize = 64;

/// What a draw is proportional to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Weight,
    Count,
}

impl By {
    #[inline]
    fn of(self, drawn: u64) -> u64 {
        match self {
            Self::Weight => drawn & WEIGHT,
            Self::Count => drawn >> 63,
        }
    }
}

/// The logistic function.
fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The word in which the running sum passes `target`, and what is left of `target` there.
#[inline]
fn locate(words: &[Word], mut target: u64, value: impl Fn(u64) -> u64) -> Option<(usize, u64)> {
    const CHUNK: usize = 8;
    let mut start = 0;
    // Whole chunks are added up first: the sum has no branch in it.
    for chunk in words.chunks(CHUNK) {
        let sum: u64 = chunk.iter().map(|word| value(word.get())).sum();
        if target < sum {
            break;
        }
        target -= sum;
        start += chunk.len();
    }
    for (i, word) in words[start..].iter().enumerate().take(CHUNK) {
        let here = value(word.get());
        if target < here {
            return Some((start + i, target));
        }
        target -= here;
    }
    None
}

impl Table {
    /// One slot by weight or by count. `None` if there is nothing to draw from, or if updates in
    /// flight spoiled the scan (`Some(None)`).
    #[inline]
    pub(crate) fn pick(&self, stream: &mut Stream, by: By) -> Option<Option<usize>> {
        let mut sums = [0_u64; MAX_STRIPES];
        let mut total = 0_u128;
        for (stripe, sum) in sums.iter_mut().enumerate().take(self.layout.stripes) {
            *sum = self.totals(stripe).read(|copy| match by {
                By::Weight => copy[WEIGHT_WORD].get(),
                By::Count => copy[TASKS_WORD].get(),
            });
            total += u128::from(*sum);
        }
        if total == 0 {
            return None;
        }
        let mut target = match u64::try_from(total) {
            Ok(total) => u128::from(stream.below(total)),
            Err(_) => stream.below_wide(total),
        };
        let mut stripe = 0;
        while target >= u128::from(sums[stripe]) {
            target -= u128::from(sums[stripe]);
            stripe += 1;
        }
        let target = u64::try_from(target).expect("below the sum of a stripe");
        let sums = match by {
            By::Weight => self.block_weights(stripe),
            By::Count => self.block_counts(stripe),
        };
        let slot = locate(sums, target, |sum| sum).and_then(|(block, rest)| {
            let words = &self.drawn(stripe)[block * self.layout.block..];
            let words = &words[..self.layout.block.min(words.len())];
            let (local, _) = locate(words, rest, |word| by.of(word))?;
            Some(self.layout.slot(stripe, block * self.layout.block + local))
        });
        Some(slot)
    }

    /// One slot by the law of the session and the limits of labels; the outer `None` where no
    /// task may be drawn.
    #[inline]
    pub(crate) fn propose(
        &self,
        stream: &mut Stream,
        moments: &mut Option<(f64, f64)>,
    ) -> Option<Option<usize>> {
        if self.has_limits() {
            self.propose_limited(stream)
        } else {
            self.propose_by_law(stream, moments)
        }
    }

    /// One slot by the law of the session alone; the outer `None` for an empty table.
    #[inline]
    pub(crate) fn propose_by_law(
        &self,
        stream: &mut Stream,
        moments: &mut Option<(f64, f64)>,
    ) -> Option<Option<usize>> {
        let floor = self.rules.floor;
        let uniform = floor > 0.0 && stream.next_f64() < floor;
        match self.law() {
            Law::Proportional if !uniform => self
                .pick(stream, By::Weight)
                .or_else(|| self.pick(stream, By::Count)),
            Law::Sigmoid if !uniform => {
                let (mean, deviation) =
                    *moments.get_or_insert_with(|| self.fold().progress_moments());
                for _ in 0..ATTEMPTS {
                    let Some(slot) = self.pick(stream, By::Count)? else {
                        continue;
                    };
                    if deviation == 0.0 {
                        return Some(Some(slot));
                    }
                    let progress = self.progress(self.layout.stripe_of(slot))
                        [slot >> self.layout.stripes.trailing_zeros()]
                    .get_f64();
                    let accepted =
                        sigmoid(self.rules.amplification * (progress - mean) / deviation);
                    if stream.next_f64() < accepted {
                        return Some(Some(slot));
                    }
                }
                self.pick_exactly(stream, false)
            }
            _ => self.pick(stream, By::Count),
        }
    }

    /// One slot from a copy of the whole distribution.
    #[cold]
    pub(crate) fn pick_exactly(
        &self,
        stream: &mut Stream,
        with_floor: bool,
    ) -> Option<Option<usize>> {
        let (slots, shares) = if with_floor {
            self.shares()
        } else {
            self.shares_by_law(false)
        };
        pick_from(stream, &slots, &shares).map(Some)
    }

    /// Draws one task and counts it as scheduled.
    ///
    /// # Errors
    /// `Empty` where there is no task; `LockTimeout` where the only task that could be drawn is
    /// coming or going and the process that does it is stopped.
    #[inline]
    pub fn draw(&self, stream: &mut Stream) -> Result<Ticket> {
        if self.is_loading() {
            self.await_load();
        }
        let mut moments = None;
        let mut attempts = 0;
        loop {
            if attempts > ATTEMPTS {
                // Whoever was about to create or remove what is proposed may be dead.
                drop(self.lock_structure()?);
                self.finish_commits()?;
            }
            let proposed = if attempts < ATTEMPTS {
                self.propose(stream, &mut moments)
            } else {
                self.pick_exactly(stream, true)
            };
            if attempts > 0 {
                // Somebody is in the middle of a change.
                spin_loop();
            }
            attempts += 1;
            let slot = match proposed {
                None if self.is_empty_for_good()? => return Err(Error::Empty),
                None if self.is_banned_for_good()? => return Err(Error::Banned),
                // Empty for a moment, while everything was replaced, or spoiled by an update.
                None | Some(None) => continue,
                Some(Some(slot)) => slot,
            };
            if let Some(ticket) = self.hand_out(slot) {
                return Ok(ticket);
            }
        }
    }

    /// Whether there is no task, also after whoever changes the set of tasks is through: a
    /// replacement of the only task has none for a moment.
    #[cold]
    fn is_empty_for_good(&self) -> Result<bool> {
        Ok(self.is_empty() && {
            let _structure = self.lock_structure()?;
            self.is_empty()
        })
    }

    /// Whether no task may be drawn, also after whoever changes limits or tasks is through.
    #[cold]
    pub(crate) fn is_banned_for_good(&self) -> Result<bool> {
        let is_banned = || {
            self.limited_shares()
                .iter()
                .map(|set| set.share)
                .sum::<f64>()
                == 0.0
        };
        Ok(self.has_limits() && is_banned() && {
            let _structure = self.lock_structure()?;
            !self.is_empty() && is_banned()
        })
    }

    /// Counts the tenant of a slot as scheduled; `None` if it is gone meanwhile.
    #[inline]
    pub(crate) fn hand_out(&self, slot: usize) -> Option<Ticket> {
        let record = self.record(slot);
        let tenant = record.tenant();
        let label = tenant.label as usize;
        // Before the tenant is scheduled: it proves that the label is in use until then.
        let serial = self.label_serial(label);
        let stripe = self.layout.stripe_of(slot);
        let completions = self.totals(stripe).read(completions);
        let tick = (completions + 1) * self.layout.stripes as u64;
        if !tenant.live || !record.schedule(tenant.generation, tick) {
            return None;
        }
        self.count_sample(stripe, label, serial);
        Some(Ticket {
            task_id: tenant.task_id,
            slot: u32::try_from(slot).expect("slots are below 2^26"),
            generation: tenant.generation,
            serial: self.open_ticket(),
        })
    }

    /// Calls `each` with every live slot, in order, and what its share is proportional to.
    fn weigh_live(&self, mut each: impl FnMut(usize, f64)) {
        match self.law() {
            Law::Proportional => {
                self.scan_live(|slot, word, _| each(slot, weight_of(word & WEIGHT)))
            }
            Law::Uniform => self.scan_live(|slot, _, _| each(slot, 1.0)),
            Law::Sigmoid => {
                let (mean, deviation) = self.fold().progress_moments();
                if deviation == 0.0 {
                    return self.scan_live(|slot, _, _| each(slot, 1.0));
                }
                let steepness = self.rules.amplification / deviation;
                self.scan_live(|slot, _, progress| {
                    each(slot, sigmoid(steepness * (progress.get_f64() - mean)));
                });
            }
        }
    }

    /// Calls `each` with every live slot, in order, its drawn word and the word of its LP.
    #[inline(always)]
    fn scan_live(&self, mut each: impl FnMut(usize, u64, &Word)) {
        let stripes: Vec<_> = (0..self.layout.stripes)
            .map(|stripe| (self.drawn(stripe), self.progress(stripe)))
            .collect();
        for local in 0..self.layout.per_stripe {
            for (stripe, (drawn, progress)) in stripes.iter().enumerate() {
                let word = drawn[local].observe();
                if word & LIVE != 0 {
                    each(self.layout.slot(stripe, local), word, &progress[local]);
                }
            }
        }
    }

    /// The task in a slot that a scan saw live.
    #[inline]
    fn task_id(&self, slot: usize) -> i64 {
        let local = slot >> self.layout.stripes.trailing_zeros();
        self.task_ids(self.layout.stripe_of(slot))[local]
            .get()
            .cast_signed()
    }

    /// Turns weights into shares of 1, with or without the uniform floor.
    fn normalise(&self, weights: &mut [f64], with_floor: bool) {
        let uniform = 1.0 / weights.len() as f64;
        // Several sums at once, which do not wait for each other.
        let (chunks, rest) = weights.as_chunks::<8>();
        let mut sums = [0.0; 8];
        for chunk in chunks {
            for (sum, weight) in sums.iter_mut().zip(chunk) {
                *sum += weight;
            }
        }
        let sum = sums.iter().chain(rest).sum::<f64>();
        if sum == 0.0 {
            weights.fill(uniform);
            return;
        }
        let floor = if with_floor { self.rules.floor } else { 0.0 };
        let (scale, least) = ((1.0 - floor) / sum, floor * uniform);
        for weight in weights {
            *weight = scale * *weight + least;
        }
    }

    /// Live slots, in order, and the exact distribution over them.
    #[must_use]
    pub fn shares(&self) -> (Vec<usize>, Vec<f64>) {
        let (slots, mut shares) = self.shares_by_law(true);
        if self.has_limits() {
            self.limit(&slots, &mut shares);
        }
        (slots, shares)
    }

    /// Live slots, in order, and what the law alone makes of them (with or without its uniform
    /// floor).
    pub(crate) fn shares_by_law(&self, with_floor: bool) -> (Vec<usize>, Vec<f64>) {
        let live = self.len();
        let (mut slots, mut shares) = (with_room(live), with_room(live));
        self.weigh_live(|slot, weight| {
            slots.push(slot);
            shares.push(weight);
        });
        self.normalise(&mut shares, with_floor);
        (slots, shares)
    }

    /// The tasks, in order of their slots, and the exact distribution that draws follow.
    #[must_use]
    pub fn distribution(&self) -> (Vec<i64>, Vec<f64>) {
        if self.has_limits() {
            let (slots, shares) = self.shares();
            let mut ids = with_room(slots.len());
            ids.extend(slots.iter().map(|slot| self.task_id(*slot)));
            return (ids, shares);
        }
        let live = self.len();
        let (mut ids, mut shares) = (with_room(live), with_room(live));
        self.weigh_live(|slot, weight| {
            ids.push(self.task_id(slot));
            shares.push(weight);
        });
        self.normalise(&mut shares, true);
        (ids, shares)
    }

    /// The task of least LP among those with at least `min_presentations` completions, if fewer
    /// than the share `percentile` of all tasks have a lower LP.
    ///
    /// Before all others goes a task of a label that has more of the tasks than it may have of the
    /// draws; the last task of a label that has a least share stays. In a frozen session all stay.
    #[must_use]
    pub fn choose_eviction(&self, min_presentations: u64, percentile: f64) -> Option<i64> {
        if self.is_frozen() {
            return None;
        }
        let kept = if self.has_limits() {
            if let Some(task_id) = self.choose_overfull() {
                return Some(task_id);
            }
            self.last_of_least_shares()
        } else {
            Vec::new()
        };
        let mut best: Option<(f64, usize)> = None;
        for stripe in 0..self.layout.stripes {
            let (drawn, progress) = (self.drawn(stripe), self.progress(stripe));
            for (local, (word, value)) in drawn.iter().zip(progress).enumerate() {
                let (word, value) = (word.get(), value.get_f64());
                if word & LIVE == 0 || best.is_some_and(|(least, _)| value >= least) {
                    continue;
                }
                let slot = self.layout.slot(stripe, local);
                let completions = match completions_of(word) {
                    MOST_COMPLETIONS => self.record(slot).load().1.completion_count,
                    exact => exact,
                };
                let is_kept = || kept.contains(&(self.record(slot).tenant().label as usize));
                if completions >= min_presentations && (kept.is_empty() || !is_kept()) {
                    best = Some((value, slot));
                }
            }
        }
        let (least, slot) = best?;
        if percentile < 1.0 {
            let (mut lower, mut all) = (0_u32, 0_u32);
            for stripe in 0..self.layout.stripes {
                for (word, value) in self.drawn(stripe).iter().zip(self.progress(stripe)) {
                    let live = u32::from(word.get() & LIVE != 0);
                    all += live;
                    lower += live & u32::from(value.get_f64() < least);
                }
            }
            if f64::from(lower) >= percentile * f64::from(all) {
                return None;
            }
        }
        let tenant = self.record(slot).tenant();
        tenant.live.then_some(tenant.task_id)
    }

    /// Draws of tasks of a label.
    #[must_use]
    pub fn samples(&self, label: usize) -> u64 {
        (0..self.layout.stripes)
            .map(|stripe| self.sample_count(stripe, label))
            .sum()
    }

    /// Draws of all tasks.
    #[must_use]
    pub fn scheduled(&self) -> u64 {
        (0..self.layout.labels)
            .map(|label| self.samples(label))
            .sum()
    }

    /// Weights of the session in all.
    #[must_use]
    pub fn weight_sum(tally: &Tally) -> f64 {
        tally.live.weight as f64 / (1.0 / weight_of(1))
    }
}
