//! Batches: checked whole before the first write; then each element commits alone.

use crate::error::{Error, Result};
use crate::labels::check_label;
use crate::progress::check_in_range;
use crate::record::check_score;
use crate::session::Session;
use crate::structure::NewTask;

impl Session {
    /// Creates tasks, with `labels` as many or none at all; true where the task is new.
    ///
    /// # Errors
    /// `Value` for a label that is none and `Capacity` where there is no room for all new tasks,
    /// before anything is written; `Capacity` where others took the room meanwhile; `Labels`,
    /// `LockTimeout`, `Session`.
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
    /// `Value` for a score out of range, before anything is written; `LockTimeout`, `Session`.
    pub fn update_many(
        &self,
        task_ids: &[i64],
        scores: &[f64],
        env_steps: &[u64],
    ) -> Result<Vec<f64>> {
        let table = self.table();
        for score in scores {
            check_score(*score)?;
            check_in_range(&table.rules, *score)?;
        }
        let update = |(at, (task_id, score)): (usize, (&i64, &f64))| match self.update(
            *task_id,
            *score,
            env_steps.get(at).copied().unwrap_or(0),
        ) {
            Err(Error::Capacity { .. }) => Ok(f64::NAN),
            lp => lp,
        };
        task_ids
            .iter()
            .zip(scores)
            .enumerate()
            .map(update)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rules::Rules;
    use crate::segment::{Mode, Place};
    use crate::session::SessionOptions;

    fn session() -> Session {
        let rules = Rules {
            score_range: Some((0.0, 1.0)),
            ..Rules::default()
        };
        Session::open(&SessionOptions {
            capacity: Some(4),
            rules: Some(rules),
            place: Place::Local,
            columns: Vec::new(),
            max_labels: 4,
            max_inactive_labels: 4,
            seed: 0,
            mode: Mode::Create,
            persist: false,
            lock_timeout: Duration::from_secs(5),
        })
        .unwrap()
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
