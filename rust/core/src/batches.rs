//! Batches: checked whole before the first write; then each element commits alone.
//!
//! Elements of one stripe share holdings of its lock, of bounded length. A task lives in one
//! stripe, and a batch knows one slot for each task, so elements keep their order per task.

use crate::commit::StripeGuard;
use crate::episode_ends::Ended;
use crate::error::{Error, Result};
use crate::index::hash;
use crate::labels::check_label;
use crate::layout::MAX_STRIPES;
use crate::progress::check_in_range;
use crate::record::{MAX_SCORE, check_score, check_steps};
use crate::record_words::prefetch;
use crate::session::Session;
use crate::structure::NewTask;
use crate::table::Table;

/// Elements that are looked up, and then written, together.
const WINDOW: usize = 1024;
/// Elements that share one holding of a lock at most, so that nobody waits long for it.
const HOLDING: usize = 64;
/// How many elements ahead a record is fetched from memory, where there are many.
const AHEAD: usize = 4;
/// Bytes of records that the processor's caches keep anyway.
const CACHED: usize = 1 << 20;
/// The slot of an element that has none.
const NOWHERE: u32 = u32::MAX;

/// Positions of the tasks of a window, so that equal ones get the same slot whatever others do
/// meanwhile. Open addressing, half full at most.
struct Seen {
    places: [u16; 2 * WINDOW],
}

impl Seen {
    fn new() -> Self {
        Self {
            places: [0; 2 * WINDOW],
        }
    }

    /// Where in `task_ids` the task at `at`, whose hash is given, came first.
    #[inline]
    fn first(&mut self, task_ids: &[i64], at: usize, hash: u64) -> usize {
        let mut place = hash as usize % self.places.len();
        loop {
            match self.places[place] {
                0 => {
                    self.places[place] = u16::try_from(at + 1).expect("at most a window");
                    return at;
                }
                taken if task_ids[usize::from(taken) - 1] == task_ids[at] => {
                    return usize::from(taken) - 1;
                }
                _ => place = (place + 1) % self.places.len(),
            }
        }
    }
}

fn same_length(elements: usize, what: &str, length: usize) -> Result<()> {
    if length == elements {
        return Ok(());
    }
    Err(Error::Value(format!(
        "the batch has {elements} elements and {length} {what}: one for each is needed"
    )))
}

impl Table {
    /// Checks `n` scores and, where there are any, as many environment steps.
    fn check_batch(&self, n: usize, scores: &[f64], env_steps: &[u64]) -> Result<()> {
        same_length(n, "scores", scores.len())?;
        if !env_steps.is_empty() {
            same_length(n, "env_steps", env_steps.len())?;
        }
        // All at once; where that does not do, the first one that is out of range is named.
        let (low, high) = self.rules.score_range.unwrap_or((-MAX_SCORE, MAX_SCORE));
        let (low, high) = (low.max(-MAX_SCORE), high.min(MAX_SCORE));
        let within = |score: &f64| (low <= *score) & (*score <= high);
        if !scores.iter().fold(true, |all, score| all & within(score)) {
            for score in scores {
                check_score(*score)?;
                check_in_range(&self.rules, *score)?;
            }
        }
        env_steps.iter().try_for_each(|steps| check_steps(*steps))?;
        self.check_journal_room(n)
    }

    /// The slot of each task of a window, where unknown ones are created; `NOWHERE` where a full
    /// table keeps them out. Equal tasks get the same slot.
    fn slots_of(&self, task_ids: &[i64]) -> Result<Vec<u32>> {
        let slots = self.unchanging(|| {
            let likely = |task_id: &i64| self.find_likely(*task_id).map(|slot| slot as u32);
            task_ids.iter().map(likely).collect()
        });
        match slots.flatten() {
            Some(slots) => Ok(slots),
            None => self.slots_among_changes(task_ids),
        }
    }

    /// [`Self::slots_of`] where tasks are unknown, or come and go meanwhile.
    #[cold]
    fn slots_among_changes(&self, task_ids: &[i64]) -> Result<Vec<u32>> {
        let mut seen = Seen::new();
        let mut slots = Vec::with_capacity(task_ids.len());
        for (at, task_id) in task_ids.iter().enumerate() {
            let hash = hash(*task_id);
            let first = seen.first(task_ids, at, hash);
            let slot = if first < at {
                slots[first]
            } else if let Some(slot) = self.find_likely_by(hash) {
                slot as u32
            } else {
                self.find_or_create(*task_id)?
            };
            slots.push(slot);
        }
        Ok(slots)
    }

    #[cold]
    fn find_or_create(&self, task_id: i64) -> Result<u32> {
        loop {
            if let Some(slot) = self.find(task_id) {
                return Ok(slot as u32);
            }
            match self.lock_structure()?.create(task_id, &NewTask::default()) {
                Ok(Some(slot)) => return Ok(slot as u32),
                Ok(None) => {}
                Err(Error::Capacity { .. }) => return Ok(NOWHERE),
                Err(error) => return Err(error),
            }
        }
    }

    /// Has the processor fetch what a score of the task in a slot of a stripe changes.
    #[inline]
    fn prefetch(&self, stripe: usize, slot: usize) {
        self.record(slot).prefetch_all();
        let (drawn, progress) = self.scanned(stripe, slot >> self.layout.stripes.trailing_zeros());
        prefetch(drawn);
        prefetch(progress);
    }

    /// Calls `locked` for each element of a window with the lock of its stripe; where that gives
    /// false, `alone` without a lock.
    fn by_stripe(
        &self,
        slots: &[u32],
        mut locked: impl FnMut(&StripeGuard, usize) -> Result<bool>,
        mut alone: impl FnMut(usize) -> Result<()>,
    ) -> Result<()> {
        // A counting sort by stripe, which leaves the order within a stripe.
        let stripe_of = |slot: u32| self.layout.stripe_of(slot as usize);
        let mut ends = [0; MAX_STRIPES];
        let placed = || {
            slots
                .iter()
                .enumerate()
                .filter(|(_, slot)| **slot != NOWHERE)
        };
        placed().for_each(|(_, slot)| ends[stripe_of(*slot)] += 1);
        let mut end = 0;
        for place in &mut ends {
            (*place, end) = (end, end + *place);
        }
        let mut order = vec![0_u16; end];
        for (at, slot) in placed() {
            let place = &mut ends[stripe_of(*slot)];
            order[*place] = at as u16;
            *place += 1;
        }
        let fetches = self.layout.shape.capacity * self.layout.record_words * 8 > CACHED;
        let mut start = 0;
        for (stripe, end) in ends.into_iter().enumerate() {
            for holding in order[start..end].chunks(HOLDING) {
                let mut guard = self.lock_stripe(stripe)?;
                for (i, at) in holding.iter().enumerate() {
                    if fetches && let Some(soon) = holding.get(i + AHEAD) {
                        self.prefetch(stripe, slots[usize::from(*soon)] as usize);
                    }
                    let at = usize::from(*at);
                    if !locked(&guard, at)? {
                        drop(guard);
                        alone(at)?;
                        guard = self.lock_stripe(stripe)?;
                    }
                }
            }
            start = end;
        }
        Ok(())
    }

    /// Reports tickets that are consumed already; `lps` stays `None` where nothing was written.
    fn report_consumed_many(&self, ended: &Ended, lps: &mut [Option<f64>]) -> Result<()> {
        let Ended {
            tickets,
            scores,
            env_steps,
        } = *ended;
        for (start, lps) in (0..).step_by(WINDOW).zip(lps.chunks_mut(WINDOW)) {
            let tickets = &tickets[start..start + lps.len()];
            let slots: Vec<u32> = tickets.iter().map(|ticket| ticket.slot).collect();
            self.by_stripe(
                &slots,
                |guard, at| {
                    let (score, steps) = (scores[start + at], env_steps.get(start + at));
                    let steps = steps.copied().unwrap_or(0);
                    let lp = self.complete_ticket(guard, &tickets[at], score, steps);
                    lps[at] = Some(lp.map_err(|error| *error)?.unwrap_or(f64::NAN));
                    Ok(true)
                },
                |_| Ok(()),
            )?;
        }
        Ok(())
    }
}

impl Session {
    /// Creates tasks, with `labels` as many or none at all; true where the task is new.
    ///
    /// # Errors
    /// `Value` for a label that is none, `Capacity` and `Labels` where there is no room for all new
    /// tasks and labels, before anything is written; the latter two also where others took the
    /// room meanwhile; `LockTimeout`, `Session`.
    pub fn create_many(&self, task_ids: &[i64], labels: &[Option<String>]) -> Result<Vec<bool>> {
        let table = self.table();
        labels
            .iter()
            .flatten()
            .try_for_each(|label| check_label(label))?;
        let mut new: Vec<i64> = task_ids
            .iter()
            .copied()
            .filter(|task_id| table.find(*task_id).is_none())
            .collect();
        new.sort_unstable();
        new.dedup();
        let capacity = table.layout.shape.capacity;
        if new.len() > capacity.saturating_sub(table.len()) {
            return Err(Error::Capacity { capacity });
        }
        let labelled = task_ids.iter().zip(labels);
        table.check_room_for(
            labelled
                .filter(|(task_id, _)| new.binary_search(task_id).is_ok())
                .filter_map(|(_, label)| label.as_deref()),
        )?;
        let create = |(at, task_id): (usize, &i64)| {
            let new = NewTask {
                label: labels.get(at).and_then(Option::as_deref),
                ..NewTask::default()
            };
            self.create(*task_id, &new)
        };
        task_ids.iter().enumerate().map(create).collect()
    }

    /// One score a task, in their order, with `env_steps` as many or none at all. The LP after
    /// each, NaN where a full table kept an unknown task out.
    ///
    /// # Errors
    /// `Value` for lengths that differ or a score out of range, before anything is written;
    /// `LockTimeout`, `Session`.
    pub fn update_many(
        &self,
        task_ids: &[i64],
        scores: &[f64],
        env_steps: &[u64],
    ) -> Result<Vec<f64>> {
        let table = self.table();
        table.enter()?;
        table.check_batch(task_ids.len(), scores, env_steps)?;
        let steps = |at| env_steps.get(at).copied().unwrap_or(0);
        let mut lps = vec![f64::NAN; task_ids.len()];
        for (start, lps) in (0..).step_by(WINDOW).zip(lps.chunks_mut(WINDOW)) {
            let ids = &task_ids[start..start + lps.len()];
            let slots = table.slots_of(ids)?;
            let lps = std::cell::Cell::from_mut(lps).as_slice_of_cells();
            table.by_stripe(
                &slots,
                |guard, at| {
                    let slot = slots[at] as usize;
                    if !table.record(slot).is_home_of(ids[at]) {
                        return Ok(false);
                    }
                    let (score, steps) = (scores[start + at], steps(start + at));
                    let lp = table.complete(guard, slot, score, steps);
                    lps[at].set(lp.map_err(|error| *error)?);
                    Ok(true)
                },
                |at| match table.update(ids[at], scores[start + at], steps(start + at)) {
                    Ok(lp) => {
                        lps[at].set(lp);
                        Ok(())
                    }
                    Err(Error::Capacity { .. }) => Ok(()),
                    Err(error) => Err(error),
                },
            )?;
        }
        Ok(lps)
    }

    /// Reports episodes that were drawn; the LP after each, NaN where the task is gone meanwhile. After an error in the midst, the tickets whose
    /// reports were not made are open still.
    ///
    /// # Errors
    /// `Value` for lengths that differ, a number out of range or a ticket that is not open, before
    /// anything is written; `LockTimeout`, `Session`.
    pub fn report_many(&self, ended: &Ended) -> Result<Vec<f64>> {
        let Ended {
            tickets,
            scores,
            env_steps,
        } = *ended;
        let table = self.table();
        table.enter()?;
        table.check_batch(tickets.len(), scores, env_steps)?;
        table.consume_all(tickets)?;
        let mut lps = vec![None; tickets.len()];
        table
            .report_consumed_many(ended, &mut lps)
            .inspect_err(|_| {
                // What was written stays reported.
                let unwritten = tickets.iter().zip(&lps).filter(|(_, lp)| lp.is_none());
                unwritten.for_each(|(ticket, _)| table.reopen(ticket));
            })?;
        Ok(lps.into_iter().map(|lp| lp.unwrap_or(f64::NAN)).collect())
    }
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::SessionOptions;
    use crate::rules::Rules;
    use crate::stream::Stream;
    use crate::ticket::Ticket;

    fn session() -> Session {
        session_of(4)
    }

    fn session_of(capacity: usize) -> Session {
        let rules = Rules {
            score_range: Some((0.0, 1.0)),
            ..Rules::default()
        };
        Session::open(&SessionOptions {
            capacity: Some(capacity),
            rules: Some(rules),
            max_labels: 4,
            ..SessionOptions::default()
        })
        .unwrap()
    }

    fn ended<'a>(tickets: &'a [Ticket], scores: &'a [f64], env_steps: &'a [u64]) -> Ended<'a> {
        Ended {
            tickets,
            scores,
            env_steps,
        }
    }

    #[test]
    fn a_batch_is_as_many_updates_in_order() {
        let (batch, single) = (session(), session());
        let (ids, scores, steps) = ([1, 2, 1], [0.0, 0.5, 1.0], [7, 8, 9]);
        let lps = batch.update_many(&ids, &scores, &steps).unwrap();
        for at in 0..3 {
            assert_eq!(
                single.update(ids[at], scores[at], steps[at]).unwrap(),
                lps[at]
            );
        }
        let times_apart = |session: &Session, id| {
            let mut data = session.read(id).unwrap();
            data.creation_time = 0.0;
            data
        };
        assert_eq!(times_apart(&batch, 1), times_apart(&single, 1));
        assert_eq!(batch.read(1).unwrap().env_steps, 16);
    }

    #[test]
    fn a_long_batch_is_as_many_updates_in_order() {
        let (batch, single) = (session_of(300), session_of(300));
        let mut stream = Stream::new(1, 0);
        let n = 3 * WINDOW + 17;
        let ids: Vec<i64> = (0..n).map(|_| stream.below(300) as i64 - 50).collect();
        let scores: Vec<f64> = (0..n).map(|_| stream.next_f64()).collect();
        let lps = batch.update_many(&ids, &scores, &[]).unwrap();
        for at in 0..n {
            assert_eq!(single.update(ids[at], scores[at], 0).unwrap(), lps[at]);
        }
        assert_eq!(batch.totals().completions, n as u64);
        assert_eq!(batch.totals().lp_sum, single.totals().lp_sum);
        batch.verify().unwrap();
    }

    #[test]
    fn batches_among_evictions_lose_and_invent_nothing() {
        let session = session_of(64);
        let (batches, n) = (200, 500);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..2)
                .map(|worker| {
                    let session = &session;
                    scope.spawn(move || {
                        let mut stream = Stream::new(2, worker);
                        for _ in 0..batches {
                            let ids: Vec<i64> = (0..n).map(|_| stream.below(40) as i64).collect();
                            let lps = session.update_many(&ids, &vec![0.5; n], &[]).unwrap();
                            assert!(lps.iter().all(|lp| lp.is_finite()));
                        }
                    })
                })
                .collect();
            let mut id = 0;
            while workers.iter().any(|worker| !worker.is_finished()) {
                id = (id + 1) % 40;
                session.remove(id, true).unwrap();
            }
        });
        assert_eq!(session.totals().completions, 2 * batches * n as u64);
        session.verify().unwrap();
    }

    #[test]
    fn reports_are_as_many_single_ones() {
        let (batch, single) = (session_of(50), session_of(50));
        let ids: Vec<i64> = (0..50).collect();
        let tickets = |session: &Session| {
            session.create_many(&ids, &[]).unwrap();
            let mut stream = Stream::new(3, 0);
            session.draw_many(2000, true, Some(&mut stream)).unwrap()
        };
        let (drawn, drawn_too) = (tickets(&batch), tickets(&single));
        for session in [&batch, &single] {
            session.remove(7, true).unwrap();
        }
        let scores: Vec<f64> = (0..2000).map(|at| f64::from(at % 5) / 4.0).collect();
        let steps: Vec<u64> = (0..2000).collect();
        let lps = batch.report_many(&ended(&drawn, &scores, &steps)).unwrap();
        for at in 0..2000 {
            let lp = single
                .report(&drawn_too[at], scores[at], steps[at])
                .unwrap();
            let found = lps[at];
            assert!(lp.map_or(found.is_nan(), |lp| lp == found));
            assert_eq!(lp.is_none(), drawn[at].task_id == 7);
        }
        assert_eq!(batch.totals(), single.totals());
        assert_eq!(batch.counts().late_reports, single.counts().late_reports);
        batch.verify().unwrap();
    }

    #[test]
    fn one_bad_report_keeps_the_whole_batch_out() {
        let session = session();
        session.create_many(&[1, 2], &[]).unwrap();
        let good = session.draw_many(2, false, None).unwrap();
        let mut foreign = good.clone();
        foreign[1].slot = 4;
        let refused = |tickets: &[Ticket], scores: &[f64], steps: &[u64]| {
            let error = session.report_many(&ended(tickets, scores, steps));
            assert!(matches!(error, Err(Error::Value(_))));
        };
        refused(&good, &[0.5, 1.5], &[]);
        refused(&good, &[0.5], &[]);
        refused(&good, &[0.5, 0.5], &[1]);
        refused(&foreign, &[0.5, 0.5], &[]);
        refused(&good, &[0.5, 0.5], &[1, u64::MAX]);
        refused(&[good[0], good[0]], &[0.5, 0.5], &[]);
        assert_eq!(session.totals().completions, 0);
        session
            .report_many(&ended(&good, &[0.5, 0.5], &[]))
            .unwrap();
    }

    #[test]
    fn one_bad_score_keeps_the_whole_batch_out() {
        let session = session();
        assert!(session.update_many(&[1, 2], &[0.5, 1.5], &[]).is_err());
        assert!(session.update_many(&[1, 2], &[0.5, f64::NAN], &[]).is_err());
        assert_eq!(session.read(1), None);
    }

    #[test]
    fn a_full_table_keeps_unknown_tasks_out_one_by_one() {
        let session = session();
        let lps = session
            .update_many(&[1, 2, 3, 4, 5, 1], &[0.5; 6], &[])
            .unwrap();
        assert!(lps[4].is_nan());
        assert!([0, 1, 2, 3, 5].iter().all(|at| lps[*at].is_finite()));
        assert_eq!(session.totals().completions, 5);
    }

    #[test]
    fn creation_needs_room_for_all_new_tasks() {
        let session = session();
        assert_eq!(
            session.create_many(&[1, 2, 1], &[]).unwrap(),
            [true, true, false]
        );
        assert!(matches!(
            session.create_many(&[2, 3, 4, 5], &[]),
            Err(Error::Capacity { .. })
        ));
        assert_eq!(session.task_ids(), [1, 2]);
        let labels = [Some("a".to_owned()), None];
        assert_eq!(session.create_many(&[3, 4], &labels).unwrap(), [true, true]);
        assert_eq!(session.read(4).unwrap().label, 0);
        assert_eq!(
            session.labels()[session.read(3).unwrap().label as usize].as_deref(),
            Some("a")
        );
    }

    #[test]
    fn one_bad_label_keeps_the_whole_batch_out() {
        let session = session();
        let labels = [None, Some(String::new())];
        assert!(session.create_many(&[1, 2], &labels).is_err());
        assert!(session.task_ids().is_empty());
    }
}
