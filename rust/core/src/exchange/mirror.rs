//! The state of the last sync, in memory of the process that syncs; and the replay onto it, which
//! every node does alike.

use std::collections::HashSet;

use super::messages::{Included, Offer, State};
use super::steps::{Step, Steps, What};
use super::wire::garbled;
use crate::error::{Error, Result};
use crate::labels::OTHER;
use crate::options::SessionOptions;
use crate::progress::check_in_range;
use crate::session::Session;
use crate::structure::{Loading, StructureGuard};
use crate::table::Table;

/// The state of a sync, and what it was made from.
pub(crate) struct Mirror {
    pub(crate) session: Session,
    /// Name of the live session's journal.
    pub(crate) uid: u64,
    pub(crate) number: u64,
    pub(crate) included: Included,
    /// Sum of the hashes of all records.
    records: u128,
    /// Sum of the hashes of what labels have retired, which only changes of the set of tasks change.
    labels: u128,
    /// Late reports that the live session has counted already.
    pub(crate) late_known: u64,
    /// Tasks that are to be looked at in the live session.
    pub(crate) changed: HashSet<i64>,
    /// Whether the set of tasks, or a label, has changed.
    pub(crate) structural: bool,
}

impl Mirror {
    /// A state that a node has sent, for a node like `live`.
    ///
    /// # Errors
    /// `Session` for what no node like it can have sent.
    pub(crate) fn of(live: &Session, state: &[u8]) -> Result<Self> {
        let table = live.table();
        let shape = &table.layout.shape;
        let session = Session::open(&SessionOptions {
            capacity: Some(shape.capacity),
            rules: Some(table.rules.clone()),
            columns: live.columns().to_vec(),
            max_labels: shape.max_labels,
            max_inactive_labels: usize::try_from(table.header().max_inactive_labels.get())
                .unwrap_or(usize::MAX),
            ..SessionOptions::default()
        })?;
        let state = State::read(state)?;
        let saved = session
            .table()
            .checked(state.checkpoint)
            .map_err(|reason| garbled(&reason))?;
        session
            .table()
            .lock_structure()?
            .fill(saved, Loading::default())?;
        let late_known = session.table().header().counters.late_reports.get();
        Ok(Self {
            records: session.table().records_digest(),
            labels: session.table().labels_digest(),
            uid: 0,
            number: state.number,
            included: state.included,
            late_known,
            changed: HashSet::new(),
            structural: false,
            session,
        })
    }

    pub(crate) fn table(&self) -> &Table {
        self.session.table()
    }

    pub(crate) fn digest(&self) -> u128 {
        self.table().digest_with(self.records, self.labels)
    }

    /// Late reports since this was asked last.
    pub(crate) fn take_late(&mut self) -> u64 {
        let late = self.table().header().counters.late_reports.get();
        late - std::mem::replace(&mut self.late_known, late)
    }

    fn record_digest(&self, task_id: i64) -> u128 {
        self.table().find(task_id).map_or(0, |slot| {
            let data = self.table().record(slot).load().1;
            self.table().record_digest(&data)
        })
    }

    /// Notes that a task changes now.
    fn touch(&mut self, task_id: i64) {
        if self.changed.insert(task_id) {
            self.records = self.records.wrapping_sub(self.record_digest(task_id));
        }
    }

    /// Replays offers, each with the name of its journal, and counts the sync.
    ///
    /// # Errors
    /// `LockTimeout`, which nobody has seen: no other process or thread knows the mirror.
    pub(crate) fn replay(&mut self, offers: &[(u64, Offer)]) -> Result<()> {
        for (uid, offer) in offers {
            let taken = self.included.entry(*uid).or_insert(0);
            if offer.number <= *taken {
                continue;
            }
            *taken = offer.number;
            for step in &offer.steps.steps {
                self.touch(step.task_id);
                self.play(step, &offer.steps)?;
            }
        }
        for task_id in &self.changed {
            let digest = self.record_digest(*task_id);
            self.records = self.records.wrapping_add(digest);
        }
        if self.structural {
            self.labels = self.table().labels_digest();
        }
        self.number += 1;
        Ok(())
    }

    fn play(&mut self, step: &Step, steps: &Steps) -> Result<()> {
        let task_id = step.task_id;
        match step.what {
            What::Episode { score, env_steps } => {
                if !self.table().play_episode(task_id, score, env_steps)? {
                    self.table().header().counters.late_reports.add(1);
                }
                return Ok(());
            }
            What::Threshold(threshold) => {
                let set = self
                    .table()
                    .modify(task_id, |data| data.success_threshold = threshold);
                return set.or_else(unless_gone);
            }
            _ => {}
        }
        self.structural = true;
        if let What::Created { .. } = step.what
            && self.table().find(task_id).is_none()
            && self.table().len() == self.table().layout.shape.capacity
        {
            self.make_room()?;
        }
        let structure = self.session.table().lock_structure()?;
        match step.what {
            What::Created { label, born } => {
                if structure.table.find(task_id).is_none() {
                    let mut data = born.record(task_id);
                    data.label = structure.intern_or_other(steps.text(label))?;
                    structure.settle(&mut data)?;
                }
            }
            What::Labelled { label } => {
                if structure.table.find(task_id).is_some() {
                    let number = structure.intern_or_other(steps.text(label))?;
                    let text = structure.table.label_text(number as usize);
                    structure.set_label(task_id, text.as_deref())?;
                }
            }
            evicted => {
                structure.remove(task_id, evicted == What::Evicted)?;
            }
        }
        Ok(())
    }

    /// Evicts the task of least learning progress: of those with enough scores, if there is one.
    fn make_room(&mut self) -> Result<()> {
        let table = self.table();
        let enough = [table.rules.min_samples, 1, 0];
        let choice = enough
            .iter()
            .find_map(|scores| table.choose_eviction(*scores, 1.0));
        let capacity = table.layout.shape.capacity;
        let task_id = choice.ok_or(Error::Capacity { capacity })?;
        self.touch(task_id);
        self.table().lock_structure()?.remove(task_id, true)?;
        Ok(())
    }
}

fn unless_gone(error: Error) -> Result<()> {
    match error {
        Error::UnknownTask(_) => Ok(()),
        error => Err(error),
    }
}

impl Table {
    /// An episode of a task; false where the task is gone, or where the score does not count.
    fn play_episode(&self, task_id: i64, score: f64, env_steps: u64) -> Result<bool> {
        let Some(slot) = self.find(task_id) else {
            return Ok(false);
        };
        if check_in_range(&self.rules, score).is_err() {
            return Ok(false);
        }
        let guard = self.lock_stripe(self.layout.stripe_of(slot))?;
        match self
            .complete(&guard, slot, score, env_steps)
            .map_err(|error| *error)
        {
            Ok(_) => Ok(true),
            // A weight that only the statistics of all nodes together give.
            Err(Error::Value(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl StructureGuard<'_> {
    /// The number of a label; that of "other" where there is no room for it.
    pub(crate) fn intern_or_other(&self, label: Option<&str>) -> Result<u32> {
        match self.intern(label) {
            Err(Error::Labels { .. }) => self.intern(Some(OTHER)),
            number => number,
        }
    }
}
