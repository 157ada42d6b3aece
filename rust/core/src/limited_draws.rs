//! Draws where labels have limits on their shares.

use crate::limits::{Limits, Set, share_out};
use crate::rules::Law;
use crate::sampling::By;
use crate::stream::Stream;
use crate::table::Table;
use crate::tally::{TASKS_WORD, WEIGHT_WORD};

/// Proposals by the law for a task of one set, before its tasks are scanned for one.
const PROPOSALS: usize = 64;
/// A scan reads this many tasks in the time of one proposal.
const SCANNED: usize = 8;

/// Which tasks a set has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    /// Those of one label, which has limits.
    One(usize),
    /// Those without a label or of labels without limits.
    Unlimited,
}

/// What limits make of the shares of a set of tasks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimitedShare {
    /// The set.
    pub labels: Labels,
    /// Share of the draws by the law alone.
    pub by_law: f64,
    /// Share of the draws.
    pub share: f64,
    /// Number of its tasks.
    pub tasks: f64,
}

impl LimitedShare {
    /// The probability of a task of the set that the law alone gives `by_law`.
    fn limit(&self, by_law: f64) -> f64 {
        if self.by_law > 0.0 {
            by_law * (self.share / self.by_law)
        } else {
            self.share / self.tasks
        }
    }
}

/// A set, its limits, its share by the law alone and its number of tasks.
type Sum = (Labels, Limits, f64, f64);

fn shares_of(sums: &[Sum]) -> Vec<LimitedShare> {
    let set = |&(_, limits, by_law, tasks): &Sum| Set {
        by_law,
        tasks,
        // Without tasks it can have no share.
        limits: if tasks > 0.0 { limits } else { Limits::BAN },
    };
    let sets: Vec<Set> = sums.iter().map(set).collect();
    sums.iter()
        .zip(share_out(&sets))
        .map(|(&(labels, _, by_law, tasks), share)| LimitedShare {
            labels,
            by_law,
            share,
            tasks,
        })
        .collect()
}

impl Table {
    /// Whether any label has limits.
    #[inline]
    pub(crate) fn has_limits(&self) -> bool {
        self.header().limited.get() != 0
    }

    /// The labels that have limits.
    pub(crate) fn limited_labels(&self) -> impl Iterator<Item = (usize, Limits)> + '_ {
        let words = self.label_limits().iter().enumerate();
        words.filter_map(|(label, word)| match word.get() {
            0 => None,
            word => Some((label, Limits::from_word(word)?)),
        })
    }

    fn labels_of(&self, slot: usize) -> Labels {
        let label = self.record(slot).tenant().label as usize;
        if self.label_limits()[label].get() == 0 {
            Labels::Unlimited
        } else {
            Labels::One(label)
        }
    }

    /// Weight and number of the live tasks of a label or (0) of all.
    fn weight_and_tasks(&self, label: usize) -> (u128, u64) {
        let (mut weight, mut tasks) = (0, 0);
        for stripe in 0..self.layout.stripes {
            let latch = self.totals_of(stripe, label);
            if label == 0 || !latch.is_untouched() {
                let of_stripe =
                    latch.read(|copy| [WEIGHT_WORD, TASKS_WORD].map(|at| copy[at].get()));
                weight += u128::from(of_stripe[0]);
                tasks += of_stripe[1];
            }
        }
        (weight, tasks)
    }

    /// The shares of sets of tasks, from totals: for laws under which a label's share follows from
    /// its weight and its number of tasks.
    fn shares_by_totals(&self) -> Vec<LimitedShare> {
        let (all_weight, all_tasks) = self.weight_and_tasks(0);
        let floor = match self.law() {
            Law::Proportional if all_weight > 0 => self.rules.floor,
            _ => 1.0,
        };
        let by_law = |weight: u128, tasks: u64| {
            let of_weight = if floor < 1.0 {
                weight as f64 / all_weight as f64
            } else {
                0.0
            };
            (1.0 - floor) * of_weight + floor * (tasks as f64 / all_tasks as f64)
        };
        let (mut weight, mut tasks) = (all_weight, all_tasks);
        let mut sums: Vec<Sum> = Vec::new();
        for (label, limits) in self.limited_labels() {
            let (w, n) = self.weight_and_tasks(label);
            // Beside updates, parts may be more than the whole.
            (weight, tasks) = (weight.saturating_sub(w), tasks.saturating_sub(n));
            sums.push((Labels::One(label), limits, by_law(w, n), n as f64));
        }
        sums.push((
            Labels::Unlimited,
            Limits::NONE,
            by_law(weight, tasks),
            tasks as f64,
        ));
        shares_of(&sums)
    }

    /// The shares of sets of tasks, from the probabilities of tasks by the law alone; and the
    /// number of each task's set.
    fn shares_by_tasks(&self, slots: &[usize], by_law: &[f64]) -> (Vec<LimitedShare>, Vec<usize>) {
        let mut sums: Vec<Sum> = vec![(Labels::Unlimited, Limits::NONE, 0.0, 0.0)];
        let mut numbers = vec![0; self.layout.labels];
        for (label, limits) in self.limited_labels() {
            numbers[label] = sums.len();
            sums.push((Labels::One(label), limits, 0.0, 0.0));
        }
        let number = |slot: &usize| numbers[self.record(*slot).tenant().label as usize];
        let places: Vec<usize> = slots.iter().map(number).collect();
        for (place, share) in places.iter().zip(by_law) {
            sums[*place].2 += share;
            sums[*place].3 += 1.0;
        }
        (shares_of(&sums), places)
    }

    /// Turns probabilities by the law alone into those under the limits.
    pub(crate) fn limit(&self, slots: &[usize], shares: &mut [f64]) {
        let (sets, places) = self.shares_by_tasks(slots, shares);
        for (share, place) in shares.iter_mut().zip(places) {
            *share = sets[place].limit(*share);
        }
    }

    /// What limits make of the shares of labels; nothing where no label has limits.
    #[must_use]
    pub fn limited_shares(&self) -> Vec<LimitedShare> {
        if !self.has_limits() {
            return Vec::new();
        }
        if self.law() == Law::Sigmoid {
            let (slots, by_law) = self.shares_by_law(true);
            return self.shares_by_tasks(&slots, &by_law).0;
        }
        self.shares_by_totals()
    }

    /// The task of least LP of the labels that have more of the tasks than they may have of the
    /// draws. Such tasks are hardly drawn, so that they would stay for ever.
    pub(crate) fn choose_overfull(&self) -> Option<i64> {
        let most_tasks = |limits: Limits| limits.most * self.len() as f64;
        let overfull: Vec<usize> = self
            .limited_labels()
            .filter(|(label, limits)| {
                limits.most < 1.0 && self.weight_and_tasks(*label).1 as f64 > most_tasks(*limits)
            })
            .map(|(label, _)| label)
            .collect();
        let (_, tenant) = self
            .live_slots()
            .filter(|(_, tenant)| overfull.contains(&(tenant.label as usize)))
            .min_by(|(one, _), (two, _)| {
                let progress = |slot: usize| {
                    let local = slot >> self.layout.stripes.trailing_zeros();
                    self.progress(self.layout.stripe_of(slot))[local].get_f64()
                };
                progress(*one).total_cmp(&progress(*two))
            })?;
        Some(tenant.task_id)
    }

    /// The labels with a least share that have one task only.
    pub(crate) fn last_of_least_shares(&self) -> Vec<usize> {
        self.limited_labels()
            .filter(|(label, limits)| limits.least > 0.0 && self.weight_and_tasks(*label).1 <= 1)
            .map(|(label, _)| label)
            .collect()
    }

    /// One slot by the law of the session and the limits; the outer `None` where no task may be
    /// drawn.
    #[cold]
    pub(crate) fn propose_limited(&self, stream: &mut Stream) -> Option<Option<usize>> {
        if self.law() == Law::Sigmoid {
            // Shares of labels are sums over their tasks.
            return self.pick_exactly(stream, true);
        }
        let sets = self.shares_by_totals();
        let mut target = stream.next_f64();
        let possible = |set: &&LimitedShare| set.share > 0.0;
        let set = sets
            .iter()
            .filter(possible)
            .find(|set| {
                target -= set.share;
                target < 0.0
            })
            .or_else(|| sets.iter().rfind(possible))?;
        for _ in 0..PROPOSALS.max(self.layout.shape.capacity / SCANNED) {
            let proposed = if set.by_law > 0.0 {
                self.propose_by_law(stream, &mut None)
            } else {
                self.pick(stream, By::Count)
            };
            if let Some(slot) = proposed?
                && self.labels_of(slot) == set.labels
            {
                return Some(Some(slot));
            }
        }
        self.pick_of(stream, set.labels)
    }

    /// One slot of a set, from a copy of the distribution.
    fn pick_of(&self, stream: &mut Stream, labels: Labels) -> Option<Option<usize>> {
        let (slots, mut shares) = self.shares();
        for (slot, share) in slots.iter().zip(&mut shares) {
            if self.labels_of(*slot) != labels {
                *share = 0.0;
            }
        }
        // Nothing where its last task went in between: the draw starts again.
        Some(pick_from(stream, &slots, &shares))
    }
}

/// One slot in proportion to `shares`; `None` where they are all 0.
pub(crate) fn pick_from(stream: &mut Stream, slots: &[usize], shares: &[f64]) -> Option<usize> {
    let mut target = stream.next_f64() * shares.iter().sum::<f64>();
    let mut possible = slots.iter().zip(shares).filter(|(_, share)| **share > 0.0);
    let last = possible.clone().next_back()?;
    let found = possible.find(|(_, share)| {
        target -= **share;
        target < 0.0
    });
    Some(*found.unwrap_or(last).0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::options::SessionOptions;
    use crate::rules::{Progress, Rules};
    use crate::session::Session;
    use crate::structure::NewTask;

    const LAWS: [(Law, f64); 4] = [
        (Law::Proportional, 0.0),
        (Law::Proportional, 0.2),
        (Law::Uniform, 0.0),
        (Law::Sigmoid, 0.1),
    ];

    /// Tasks 0 to 39, four to a label "0" to "8" and the last four without any; weights by id.
    fn session(law: Law, floor: f64) -> Session {
        let session = Session::open(&SessionOptions {
            capacity: Some(60),
            rules: Some(Rules {
                law,
                floor,
                progress: Progress::Given,
                min_samples: 0,
                ..Rules::default()
            }),
            ..SessionOptions::default()
        })
        .unwrap();
        for id in 0..40 {
            let label = (id / 4).to_string();
            let new = NewTask {
                label: (id < 36).then_some(label.as_str()),
                ..NewTask::default()
            };
            session.create(id, &new).unwrap();
            session.update(id, 0.5, 1).unwrap();
            session.set_lp(id, id as f64).unwrap();
        }
        session
    }

    fn limit(session: &Session, label: &str, least: f64, most: f64) {
        session.limit_share(label, Limits { least, most }).unwrap();
    }

    /// Sums of the probabilities by label; the last without any.
    fn by_label(ids: &[i64], shares: &[f64]) -> [f64; 10] {
        let mut sums = [0.0; 10];
        for (id, share) in ids.iter().zip(shares) {
            sums[usize::try_from(*id).unwrap() / 4] += share;
        }
        sums
    }

    /// Chi-square of draws against the probabilities, each cell of at least 5.
    fn check_draws(session: &Session) {
        let (ids, shares) = session.probabilities();
        let n = 20_000;
        let mut counts = [0.0; 40];
        for _ in 0..n {
            counts[session.draw(None).unwrap().task_id as usize] += 1.0;
        }
        let (mut statistic, mut cells) = (0.0, 0.0);
        for (id, share) in ids.iter().zip(&shares) {
            let (found, expected) = (counts[*id as usize], share * f64::from(n));
            assert!(expected > 0.0 || found == 0.0, "task {id}");
            if expected >= 5.0 {
                statistic += (found - expected) * (found - expected) / expected;
                cells += 1.0;
            }
        }
        // Six standard deviations.
        assert!(
            statistic < cells + 6.0 * f64::sqrt(2.0 * cells),
            "{statistic} of {cells}"
        );
    }

    #[test]
    fn draws_follow_the_limits_under_every_law() {
        for (law, floor) in LAWS {
            let session = session(law, floor);
            let before = by_label(&session.probabilities().0, &session.probabilities().1);
            limit(&session, "0", 0.3, 1.0);
            limit(&session, "8", 0.0, 0.05);
            limit(&session, "5", 0.0, 0.0);
            let (ids, shares) = session.probabilities();
            let after = by_label(&ids, &shares);
            assert!((after[0] - 0.3).abs() < 1e-9, "{after:?}");
            assert!((after[8] - 0.05).abs() < 1e-9, "{after:?}");
            assert_eq!(after[5], 0.0);
            // The others keep their proportions.
            for label in [1, 2, 3, 4, 6, 7] {
                let (one, two) = (after[label] * before[9], before[label] * after[9]);
                assert!((one - two).abs() < 1e-9, "{law:?} {label}");
            }
            check_draws(&session);
            for (label, (least, most)) in [("0", (0.0, 1.0)), ("8", (0.0, 1.0)), ("5", (0.0, 1.0))]
            {
                limit(&session, label, least, most);
            }
            let lifted = by_label(&session.probabilities().0, &session.probabilities().1);
            assert_eq!(lifted, before);
            assert!(!session.table().has_limits() && session.limited_shares().is_empty());
        }
    }

    #[test]
    fn a_least_share_holds_where_the_law_never_draws() {
        let session = session(Law::Proportional, 0.0);
        for id in 0..4 {
            session.set_lp(id, 0.0).unwrap();
        }
        limit(&session, "0", 0.25, 1.0);
        let (ids, shares) = session.probabilities();
        for (id, share) in ids.iter().zip(&shares).filter(|(id, _)| **id < 4) {
            assert!((share - 0.0625).abs() < 1e-12, "{id} {share}");
        }
        check_draws(&session);
    }

    #[test]
    fn totals_and_tasks_say_the_same() {
        for (law, floor) in LAWS {
            let session = session(law, floor);
            limit(&session, "3", 0.2, 0.4);
            limit(&session, "8", 0.0, 0.1);
            limit(&session, "nobody", 0.5, 1.0);
            let table = session.table();
            let (slots, shares) = table.shares_by_law(true);
            let (by_tasks, _) = table.shares_by_tasks(&slots, &shares);
            for found in table.limited_shares() {
                let same = |set: &&LimitedShare| set.labels == found.labels;
                let expected = by_tasks.iter().find(same).unwrap();
                assert!(
                    (found.by_law - expected.by_law).abs() < 1e-12,
                    "{found:?} {expected:?}"
                );
                assert!(
                    (found.share - expected.share).abs() < 1e-12,
                    "{found:?} {expected:?}"
                );
                assert_eq!(found.tasks, expected.tasks);
            }
        }
    }

    #[test]
    fn without_a_task_that_may_be_drawn_the_error_says_so() {
        for (law, floor) in LAWS {
            let session = session(law, floor);
            for id in 36..40 {
                session.remove(id, false).unwrap();
            }
            for label in 0..9 {
                limit(&session, &label.to_string(), 0.0, 0.0);
            }
            assert!(matches!(session.draw(None), Err(Error::Banned)));
            assert!(matches!(
                session.draw_many(2, false, None),
                Err(Error::Banned)
            ));
            limit(&session, "4", 0.0, 1.0);
            assert_eq!(session.draw(None).unwrap().task_id / 4, 4);
        }
    }

    #[test]
    fn least_shares_of_more_than_all_draws_are_refused() {
        let session = session(Law::Uniform, 0.0);
        limit(&session, "0", 0.6, 1.0);
        limit(&session, "1", 0.4, 1.0);
        let refused = session.limit_share(
            "2",
            Limits {
                least: 0.1,
                most: 1.0,
            },
        );
        let message = refused.unwrap_err().to_string();
        assert!(
            message.contains("1.1") && message.contains("\"2\""),
            "{message}"
        );
        assert_eq!(session.share_limits().len(), 2);
        // A label's own share counts once.
        limit(&session, "1", 0.35, 1.0);
    }

    #[test]
    fn labels_that_are_overfull_are_evicted_first_and_the_last_of_a_least_share_is_not() {
        // LP by id: of the label "0" it is least.
        let session = session(Law::Proportional, 0.0);
        let evict = || {
            let task_id = session.table().choose_eviction(1, 1.0)?;
            session.remove(task_id, true).unwrap();
            Some(task_id)
        };
        limit(&session, "0", 0.1, 1.0);
        limit(&session, "7", 0.0, 0.05);
        limit(&session, "5", 0.0, 0.0);
        // All of "5", and of "7" what is more than a twentieth of the tasks.
        let evicted: Vec<_> = (0..7).map_while(|_| evict()).collect();
        assert_eq!(evicted, [20, 21, 22, 23, 28, 29, 30]);
        // Of "0" the last one stays.
        let evicted: Vec<_> = (0..4).map_while(|_| evict()).collect();
        assert_eq!(evicted, [0, 1, 2, 4]);
        assert!(session.read(3).is_some());
    }

    #[test]
    fn a_label_with_limits_is_kept_though_it_has_no_task() {
        let session = Session::open(&SessionOptions {
            capacity: Some(8),
            max_labels: 2,
            max_inactive_labels: 0,
            ..SessionOptions::default()
        })
        .unwrap();
        limit(&session, "kept", 0.1, 0.5);
        for (id, label) in [(1, "a"), (2, "b"), (3, "c")] {
            let new = NewTask {
                label: Some(label),
                ..NewTask::default()
            };
            session.create(id, &new).unwrap();
            session.remove(id, true).unwrap();
        }
        let limits = Limits {
            least: 0.1,
            most: 0.5,
        };
        assert_eq!(session.share_limits(), [("kept".to_owned(), limits)]);
        limit(&session, "kept", 0.0, 1.0);
        for (id, label) in [(1, "a"), (2, "b")] {
            let new = NewTask {
                label: Some(label),
                ..NewTask::default()
            };
            session.create(id, &new).unwrap();
        }
        assert!(session.limit_share("c", limits).is_err());
    }

    #[test]
    fn a_checkpoint_holds_limits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        let saver = session(Law::Uniform, 0.0);
        limit(&saver, "7", 0.0, 0.0);
        limit(&saver, "2", 0.125, 0.5);
        saver.save(&path).unwrap();
        let loader = session(Law::Uniform, 0.0);
        limit(&loader, "1", 0.0, 0.0);
        loader.load(&path).unwrap();
        assert_eq!(loader.share_limits(), saver.share_limits());
        assert_eq!(loader.probabilities(), saver.probabilities());
        loader.clear().unwrap();
        assert!(loader.share_limits().is_empty() && !loader.table().has_limits());
    }
}
