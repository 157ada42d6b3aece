//! A handle on a session: opening, and everything by task id.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};
use crate::journal::Note;
use crate::layout::{Header, Layout, MAX_CONTENT_BYTES, Shape};
use crate::limited_draws::{Labels, LimitedShare};
use crate::limits::Limits;
use crate::local_fork::LocalLocks;
use crate::options::{SessionOptions, column_names, content_of, rules_of, shape_of};
use crate::own_stream::OwnStream;
use crate::progress::check_baseline;
use crate::record::{MAX_SCORE, TaskData, check_record, check_within};
use crate::record_words::Tenant;
use crate::segment::{self, Mode, Opened, Place, Request, Segment};
use crate::structure::{Loading, NewTask};
use crate::table::Table;
use crate::tally::fixed_weight;
use crate::ticket::Ticket;
use crate::tracker::check_finite;
use crate::verify::Verified;

/// A handle on a session.
pub struct Session {
    pub(crate) table: Arc<Table>,
    columns: Vec<String>,
    opened: Opened,
    closed: AtomicBool,
    /// Fork generation of the process that opened the session.
    pub(crate) opened_in: u32,
    pub(crate) stream: OwnStream,
    _local_locks: Option<Arc<LocalLocks>>,
}

/// What is done to a session before others may join it.
fn complete(table: &Table, opened: Opened) -> Result<()> {
    match opened {
        Opened::Attached => return Ok(()),
        Opened::Revived { .. } => {
            table.check_sound()?;
            if table.segment().is_read_only() {
                return table.check_readable();
            }
            table.rebuild()?;
        }
        Opened::Created | Opened::Replaced => {}
    }
    // Also missing where the maker of a session that persists was killed before this.
    if table.label_text(table.other_label()).is_none() {
        table.set_label_text(table.other_label(), crate::labels::OTHER);
    }
    Ok(())
}

/// Sets one number of each task; false for those that are gone.
fn set_each(
    task_ids: &[i64],
    values: &[f64],
    what: &str,
    set: impl Fn(i64, f64) -> Result<()>,
) -> Result<Vec<bool>> {
    if task_ids.len() != values.len() {
        return Err(Error::Value(format!(
            "{} tasks and {} {what}: one a task is needed",
            task_ids.len(),
            values.len()
        )));
    }
    let pairs = task_ids.iter().zip(values);
    pairs
        .map(|(task_id, value)| match set(*task_id, *value) {
            Ok(()) => Ok(true),
            Err(Error::UnknownTask(_)) => Ok(false),
            Err(error) => Err(error),
        })
        .collect()
}

impl Session {
    /// Opens a session.
    ///
    /// # Errors
    /// `Value` for numbers and names out of range; `Session` where it cannot be created, attached
    /// or trusted.
    pub fn open(options: &SessionOptions) -> Result<Self> {
        let shape = options.shape()?;
        if options.content.len() > MAX_CONTENT_BYTES || options.content.contains('\0') {
            return Err(Error::Value(format!(
                "content {:?} has {} bytes; the limit is {MAX_CONTENT_BYTES}, without zeros",
                options.content,
                options.content.len()
            )));
        }
        let rules = options.rules.clone().unwrap_or_default();
        rules.validate()?;
        let attaching = matches!(options.mode, Mode::Attach | Mode::ReadOnly);
        if shape.is_none() && !attaching {
            return Err(Error::Value(
                "a session that may have to be created needs a capacity".to_owned(),
            ));
        }
        let (segment, opened, held) = Segment::open_held(&Request {
            place: &options.place,
            mode: options.mode,
            persist: options.persist,
            size: shape
                .filter(|_| !attaching)
                .map(|shape| Layout::new(shape).bytes),
            init: &|mapping| {
                options.fill(mapping, shape.expect("checked above"), &rules);
                Ok(())
            },
            check: &|mapping, standing| options.check(mapping, standing),
        })?;
        let header: &Header = segment.mapping().get(
            Layout::new(Shape {
                capacity: 1,
                columns: 0,
                max_labels: 1,
                sync_episodes: 0,
            })
            .header,
        );
        let shape = shape_of(header)?;
        let rules = rules_of(header)?;
        let columns = column_names(header, shape.columns);
        let local = matches!(options.place, Place::Local);
        let table = Arc::new(Table::new(
            segment,
            Layout::new(shape),
            rules,
            options.lock_timeout,
        ));
        let completed = complete(&table, opened);
        // Before a table that could not be completed is dropped, which leaves the session.
        drop(held);
        completed?;
        Ok(Self {
            _local_locks: local.then(|| LocalLocks::watch(&table)),
            table,
            columns,
            opened,
            closed: AtomicBool::new(false),
            opened_in: segment::fork_generation(),
            stream: OwnStream::default(),
        })
    }

    /// The table itself.
    #[inline]
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// What opening did.
    #[must_use]
    pub fn opened(&self) -> Opened {
        self.opened
    }

    /// Names of the algorithm's columns.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// What the session is for; empty where its maker did not say.
    #[must_use]
    pub fn content(&self) -> String {
        content_of(self.table.header())
    }

    /// Seed of the session's streams.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.table.header().seed.get()
    }

    /// Leaves the session; the last to leave removes it, unless it persists.
    ///
    /// # Errors
    /// `Session` where the file could not be removed.
    pub fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Relaxed);
        self.table.segment().close()
    }

    /// Leaves the session; the last to leave removes it, even where it persists.
    ///
    /// # Errors
    /// `Session` where the file could not be removed.
    pub fn discard(&self) -> Result<()> {
        self.closed.store(true, Ordering::Relaxed);
        self.table.segment().discard()
    }

    /// Whether [`Self::close`] was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Creates a task; false if it is there already.
    ///
    /// # Errors
    /// `Capacity`, `Labels`, `Value`, `LockTimeout`, `Session`.
    pub fn create(&self, task_id: i64, new: &NewTask) -> Result<bool> {
        self.table.enter()?;
        if let Some(label) = new.label {
            crate::labels::check_label(label)?;
        }
        Ok(self.table.lock_structure()?.create(task_id, new)?.is_some())
    }

    /// Evicts one task and creates another in one structure change. False, with nothing done, if
    /// `evicted` is gone or `task_id` is there already.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn replace(&self, evicted: i64, task_id: i64, label: Option<&str>) -> Result<bool> {
        self.table.enter()?;
        let new = NewTask {
            label,
            ..NewTask::default()
        };
        self.table.lock_structure()?.replace(evicted, task_id, &new)
    }

    /// Removes a task; false if it is not there.
    ///
    /// # Errors
    /// `LockTimeout`, `Session`.
    pub fn remove(&self, task_id: i64, evict: bool) -> Result<bool> {
        self.table.enter()?;
        self.table.lock_structure()?.remove(task_id, evict)
    }

    /// Removes every task, label and total.
    ///
    /// # Errors
    /// `LockTimeout`, `Session`.
    pub fn clear(&self) -> Result<()> {
        self.table.enter()?;
        let structure = self.table.lock_structure()?;
        drop(structure.wipe(Loading::default())?);
        structure.finish();
        Ok(())
    }

    /// Gives a task a label, or takes it away.
    ///
    /// # Errors
    /// `UnknownTask`, `Labels`, `Value`, `LockTimeout`, `Session`.
    pub fn set_label(&self, task_id: i64, label: Option<&str>) -> Result<()> {
        self.table.enter()?;
        if self.table.lock_structure()?.set_label(task_id, label)? {
            Ok(())
        } else {
            Err(Error::UnknownTask(task_id))
        }
    }

    /// Limits the share of the draws that the tasks of a label get, from the next draw of any
    /// process on.
    ///
    /// # Errors
    /// `Value` for limits that are none, or least shares that add up to more than 1; `Labels`,
    /// `LockTimeout`, `Session`.
    pub fn limit_share(&self, label: &str, limits: Limits) -> Result<()> {
        self.table.enter()?;
        self.table.lock_structure()?.set_limits(label, limits)
    }

    /// Freezes or thaws learning progress and weights, and makes draws uniform or not, in all
    /// processes from their next call on; nothing where nothing is asked for.
    ///
    /// Frozen tasks are drawn as they were: scores count, and averages follow them, but not what
    /// is drawn by. Thawed, each task's progress follows at its next score.
    ///
    /// # Errors
    /// `LockTimeout`, `Session`.
    pub fn steer(&self, frozen: Option<bool>, uniform: Option<bool>) -> Result<()> {
        self.table.enter()?;
        self.table.lock_structure()?.steer(frozen, uniform);
        Ok(())
    }

    /// The labels that have limits.
    #[must_use]
    pub fn share_limits(&self) -> Vec<(String, Limits)> {
        let table = &self.table;
        let text = |(label, limits)| Some((table.label_text(label)?, limits));
        table.beside_loads(|| table.limited_labels().filter_map(text).collect())
    }

    /// What limits make of the shares of draws: each label that has limits and tasks, and (`None`)
    /// all other tasks together, with its share by the law alone and under the limits. Nothing
    /// where no label has limits.
    #[must_use]
    pub fn limited_shares(&self) -> Vec<(Option<String>, (f64, f64))> {
        let table = &self.table;
        let shares = table.beside_loads(|| table.limited_shares());
        let with_text = |set: LimitedShare| {
            let text = match set.labels {
                Labels::One(label) => Some(table.label_text(label)?),
                Labels::Unlimited => None,
            };
            (set.tasks > 0.0).then_some((text, (set.by_law, set.share)))
        };
        shares.into_iter().filter_map(with_text).collect()
    }

    /// A task's record.
    #[inline]
    #[must_use]
    pub fn read(&self, task_id: i64) -> Option<TaskData> {
        let mut data = TaskData::new(task_id);
        self.read_into(task_id, &mut data).then_some(data)
    }

    /// Fills `data` with a task's record; false, and `data` is anything, if it is unknown.
    #[inline]
    pub fn read_into(&self, task_id: i64, data: &mut TaskData) -> bool {
        while let Some(slot) = self.table.find(task_id) {
            let tenant = self.table.record(slot).load_into(data);
            if tenant.live && tenant.task_id == task_id {
                return true;
            }
        }
        false
    }

    /// Writes a whole record. Generation, weight and label number of `data` are the session's.
    ///
    /// The schedule of a task that is there follows in stores of its own, as draws count it.
    ///
    /// # Errors
    /// `Value` for a number that is not finite, `Capacity`, `Labels`, `LockTimeout`, `Session`.
    pub fn write(&self, data: &TaskData, label: Option<&str>) -> Result<()> {
        self.table.enter()?;
        check_record(data)?;
        check_baseline(&self.table.rules, data.random_baseline)?;
        self.table.refuse_beside_journal("writing a record")?;
        self.table.lock_structure()?.write(data, label)
    }

    /// Records of all live tasks in order of their slots, each as of one instant.
    #[must_use]
    pub fn snapshot(&self) -> Vec<TaskData> {
        let record = |(slot, _)| {
            let (tenant, data) = self.table.record(slot).load();
            tenant.live.then_some(data)
        };
        self.table
            .beside_loads(|| self.table.live_slots().filter_map(record).collect())
    }

    /// Ids of all live tasks in order of their slots.
    #[must_use]
    pub fn task_ids(&self) -> Vec<i64> {
        let id = |(_, tenant): (usize, Tenant)| tenant.task_id;
        self.table
            .beside_loads(|| self.table.live_slots().map(id).collect())
    }

    /// Texts of the labels by number; `None` for label 0 and free ones.
    #[must_use]
    pub fn labels(&self) -> Vec<Option<String>> {
        (0..self.table.layout.labels)
            .map(|label| self.table.label_text(label))
            .collect()
    }

    /// See [`Table::update`].
    ///
    /// # Errors
    /// As there, and `Session`.
    #[inline]
    pub fn update(&self, task_id: i64, score: f64, env_steps: u64) -> Result<f64> {
        self.table.enter()?;
        self.table.update(task_id, score, env_steps)
    }

    /// See [`Table::report`].
    ///
    /// # Errors
    /// As there, and `Session`.
    #[inline]
    pub fn report(&self, ticket: &Ticket, score: f64, env_steps: u64) -> Result<Option<f64>> {
        self.table.enter()?;
        self.table.report(ticket, score, env_steps)
    }

    /// Publishes a task's LP; its weight follows.
    ///
    /// # Errors
    /// `UnknownTask`, `Value`, `LockTimeout`, `Session`.
    pub fn set_lp(&self, task_id: i64, lp_score: f64) -> Result<()> {
        self.table.enter()?;
        check_finite(&[("lp_score", lp_score)])?;
        self.table.modify(task_id, |data| {
            data.lp_score = lp_score;
            data.weight = crate::progress::weigh(&self.table.rules, data).max(0.0);
        })
    }

    /// Sets the EMAs and the baseline of a task.
    ///
    /// # Errors
    /// `UnknownTask`, `Value`, `LockTimeout`, `Session`.
    pub fn set_emas(&self, task_id: i64, [fast, slow, raw, baseline]: [f64; 4]) -> Result<()> {
        self.table.enter()?;
        for (name, value) in [
            ("p_fast", fast),
            ("p_slow", slow),
            ("p_true", raw),
            ("random_baseline", baseline),
        ] {
            check_within(name, value, -MAX_SCORE, MAX_SCORE)?;
        }
        check_baseline(&self.table.rules, baseline)?;
        self.table.refuse_beside_journal("setting EMAs")?;
        self.table.modify(task_id, |data| {
            data.p_fast = fast;
            data.p_slow = slow;
            data.p_true = raw;
            data.random_baseline = baseline;
        })
    }

    /// Sets the score from which an episode of a task is a success.
    ///
    /// # Errors
    /// `UnknownTask`, `Value`, `LockTimeout`, `Session`.
    pub fn set_success_threshold(&self, task_id: i64, threshold: f64) -> Result<()> {
        self.table.enter()?;
        check_finite(&[("success_threshold", threshold)])?;
        self.table.modify_noted(task_id, Note::Threshold, |data| {
            data.success_threshold = threshold;
        })
    }

    /// Sets one column of a task.
    ///
    /// # Errors
    /// `Value` for a column that the session has not, `UnknownTask`, `LockTimeout`, `Session`.
    pub fn set_column(&self, task_id: i64, name: &str, value: f64) -> Result<()> {
        self.table.enter()?;
        check_finite(&[(name, value)])?;
        let column = self.column(name)?;
        self.table.set_column(task_id, column, value)
    }

    /// Sets one column of tasks; false for those that are gone.
    ///
    /// # Errors
    /// `Value` for lengths that differ, a number that is not finite or a column that the session
    /// has not, before anything is written; `LockTimeout`, `Session`.
    pub fn set_columns(&self, name: &str, task_ids: &[i64], values: &[f64]) -> Result<Vec<bool>> {
        self.table.enter()?;
        let column = self.column(name)?;
        for value in values {
            check_finite(&[(name, *value)])?;
        }
        set_each(task_ids, values, "values", |task_id, value| {
            self.table.set_column(task_id, column, value)
        })
    }

    /// The number of a column.
    ///
    /// # Errors
    /// `Value` naming the columns that there are.
    pub fn column(&self, name: &str) -> Result<usize> {
        self.columns
            .iter()
            .position(|column| column == name)
            .ok_or_else(|| {
                Error::Value(format!(
                    "the session has no column {name:?}; it has {:?}",
                    self.columns
                ))
            })
    }

    /// Sets the weight and LP of tasks; false for those that are gone.
    ///
    /// # Errors
    /// `Value` for lengths that differ or a weight out of its range, before anything is written; `LockTimeout`, `Session`.
    pub fn set_weights(&self, task_ids: &[i64], weights: &[f64]) -> Result<Vec<bool>> {
        self.table.enter()?;
        for weight in weights {
            fixed_weight(*weight)?;
        }
        set_each(task_ids, weights, "weights", |task_id, weight| {
            self.table.modify(task_id, |data| {
                data.weight = weight;
                data.lp_score = weight;
            })
        })
    }

    /// See [`Table::verify`].
    ///
    /// # Errors
    /// As there, and `Session` for a handle that may not write.
    pub fn verify(&self) -> Result<Verified> {
        self.table.enter()?;
        self.table.verify()
    }

    /// Writes a checkpoint, with the state of the handle's own stream; its size in bytes.
    ///
    /// # Errors
    /// `Checkpoint`, `LockTimeout`, `Session`.
    pub fn save(&self, path: &Path) -> Result<u64> {
        self.table.enter()?;
        self.table.save(path, self.stream_state()?)
    }

    /// Replaces all tasks by those of a checkpoint and goes on with its seed and its stream of
    /// draws. The session keeps its rules: where the saver's were others, what they were.
    ///
    /// # Errors
    /// `Checkpoint` with the session unchanged; `LockTimeout`, `Session`.
    pub fn load(&self, path: &Path) -> Result<Option<String>> {
        self.table.enter()?;
        let loaded = self.table.load(path)?;
        self.set_stream_state(loaded.stream)?;
        Ok(loaded.other_rules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Progress, Rules};

    fn options(columns: &[&str]) -> SessionOptions {
        SessionOptions {
            capacity: Some(4),
            rules: Some(Rules {
                progress: Progress::NoiseAware,
                retry_by_column: true,
                ..Rules::default()
            }),
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            ..SessionOptions::default()
        }
    }

    #[test]
    fn weights_follow_the_column_that_they_depend_on() {
        let session = Session::open(&options(&["retry", "other"])).unwrap();
        for task_id in [1, 2] {
            for _ in 0..20 {
                session.update(task_id, 0.0, 1).unwrap();
            }
        }
        let set = session.set_columns("retry", &[1, 3, 2], &[0.6, 0.1, 0.2]);
        assert_eq!(set.unwrap(), [true, false, true]);
        session.set_columns("other", &[1], &[9.0]).unwrap();
        let (ids, shares) = session.probabilities();
        assert_eq!(ids, [1, 2]);
        assert!((shares[0] - 0.75).abs() < 1e-5, "{shares:?}");
        // An update weighs by it too.
        session.update(1, 0.0, 1).unwrap();
        assert_eq!(session.probabilities().1, shares);
        session.verify().unwrap();
    }

    #[test]
    fn columns_that_cannot_be_set_are_refused_before_anything_is_written() {
        let session = Session::open(&options(&["retry"])).unwrap();
        session.update(1, 0.0, 1).unwrap();
        for (name, ids, values) in [
            ("absent", vec![1], vec![0.5]),
            ("retry", vec![1, 1], vec![0.5, f64::NAN]),
            ("retry", vec![1], vec![0.5, 0.5]),
        ] {
            let refused = session.set_columns(name, &ids, &values);
            assert!(matches!(refused, Err(Error::Value(_))), "{refused:?}");
        }
        assert_eq!(session.read(1).unwrap().columns[0], 0.0);
        let message = Session::open(&options(&[]))
            .map(drop)
            .unwrap_err()
            .to_string();
        assert!(message.contains("first column"), "{message}");
    }
}
