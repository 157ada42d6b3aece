//! Brings the live session to the state of a sync, with what workers have reported since its offer
//! on top. Workers go on meanwhile: each record changes in one commit, and creation waits.

mod outcome;
mod retired;

use std::collections::{HashMap, HashSet};

use self::outcome::{Outcome, Tag, Tail};
use super::mirror::Mirror;
use super::steps::{Step, Steps, What};
use crate::commit::{Change, Old, StripeGuard};
use crate::error::{Error, Result};
use crate::journal::{Adopting, Note};
use crate::progress::weigh;
use crate::record::TaskData;
use crate::rules::Progress;
use crate::structure::StructureGuard;
use crate::table::Table;
use crate::tally::Retired;

/// Records that share one holding of a stripe's lock at most, so that nobody waits long for it.
const HOLDING: usize = 64;

struct Adoption<'a> {
    structure: &'a StructureGuard<'a>,
    live: &'a Table,
    mirror: &'a Table,
    tail: Tail,
    retired: Vec<(Option<Tag>, Retired)>,
}

impl StructureGuard<'_> {
    /// Takes over what the mirror has: of all tasks where `whole` says so, else of those that have
    /// changed.
    ///
    /// # Errors
    /// `LockTimeout`, `Interrupted`: the session is between two states then, which the next sync
    /// finishes.
    pub(crate) fn adopt(&self, mirror: &mut Mirror, whole: bool) -> Result<()> {
        let live = self.table;
        let journal = live.journal_or_refuse()?;
        journal.stand(journal.number(), Adopting::Now);
        let done = self.adopt_records(mirror, whole);
        if done.is_err() {
            journal.stand(journal.number(), Adopting::Torn);
            return done;
        }
        let late = mirror.take_late();
        live.header().counters.late_reports.add(late);
        journal.stand(mirror.number, Adopting::Not);
        mirror.changed.clear();
        mirror.structural = false;
        self.settle_offer()
    }

    fn adopt_records(&self, mirror: &Mirror, whole: bool) -> Result<()> {
        let live = self.table;
        let mut of_stripes = Vec::new();
        let mut read = Vec::new();
        for stripe in 0..live.layout.stripes {
            let guard = live.lock_stripe(stripe)?;
            let words = live.journal_stripe(stripe);
            read.push(words.length.get());
            of_stripes.push(guard.entries(words.mark.get().max(words.base.get()), read[stripe]));
        }
        let steps = Steps::of(live, &of_stripes);
        let mut tasks = mirror.changed.clone();
        let moved = |step: &&Step| !matches!(step.what, What::Episode { .. } | What::Threshold(_));
        let moved: HashSet<i64> = steps
            .steps
            .iter()
            .filter(moved)
            .map(|step| step.task_id)
            .collect();
        if whole {
            tasks.extend(ids(live));
            tasks.extend(ids(mirror.table()));
        }
        tasks.extend(&moved);
        let mut of_tasks: HashMap<i64, Vec<Step>> = HashMap::new();
        for step in steps.steps {
            if tasks.contains(&step.task_id) {
                of_tasks.entry(step.task_id).or_default().push(step);
            }
        }
        let mut adoption = Adoption {
            structure: self,
            live,
            mirror: mirror.table(),
            tail: Tail {
                labels: steps.labels,
                of_tasks,
                read,
            },
            retired: Vec::new(),
        };
        adoption.widen_scores();
        adoption.take_records(&tasks, &moved)?;
        if whole || mirror.structural || !moved.is_empty() {
            adoption.take_retired()?;
        }
        Ok(())
    }
}

fn ids(table: &Table) -> impl Iterator<Item = i64> {
    table.live_slots().map(|(_, tenant)| tenant.task_id)
}

impl Adoption<'_> {
    /// The range of scores becomes the mirror's; what workers report goes on widening it.
    fn widen_scores(&self) {
        for at in 0..2_usize {
            let bits = self.mirror.header().score_range[at].get();
            self.live.header().score_range[at].set(bits);
        }
    }

    fn take_records(&mut self, tasks: &HashSet<i64>, moved: &HashSet<i64>) -> Result<()> {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for task_id in tasks {
            match self.live.find(*task_id) {
                Some(slot) => known.push((self.live.layout.stripe_of(slot), *task_id)),
                None => unknown.push(*task_id),
            }
        }
        // In an order that is the same in every run.
        known.sort_unstable();
        unknown.sort_unstable();
        let mut changed = Vec::new();
        let mut relabelled = Vec::new();
        for (stripe, task_id) in known {
            let stays = self.mirror.find(task_id).is_some() || moved.contains(&task_id);
            let outcome = if moved.contains(&task_id) || !stays {
                Some(self.outcome(task_id))
            } else {
                None
            };
            if outcome
                .as_ref()
                .is_some_and(|outcome| outcome.record.is_none())
            {
                // What is retired is set as a whole.
                self.retired
                    .extend(outcome.map(|outcome| outcome.retired).unwrap_or_default());
                self.structure.remove(task_id, false)?;
            } else if self.has_same_label(task_id, outcome.as_ref()) {
                changed.push((stripe, task_id));
            } else {
                relabelled.push(task_id);
            }
        }
        for of_stripe in changed.chunk_by(|one, other| one.0 == other.0) {
            for holding in of_stripe.chunks(HOLDING) {
                let guard = self.live.lock_stripe(of_stripe[0].0)?;
                self.read_on(&guard);
                for (_, task_id) in holding {
                    self.take_record(&guard, *task_id, None)?;
                }
            }
        }
        self.relabel(relabelled)?;
        for task_id in unknown {
            let outcome = self.outcome(task_id);
            self.retired.extend(outcome.retired);
            if let Some((mut data, tag)) = outcome.record {
                self.make_room(moved)?;
                data.label = self.structure.intern_or_other(self.text(tag).as_deref())?;
                (data.scheduled_count, data.last_scheduled) = (0, 0);
                data.columns = Default::default();
                self.structure.settle(&mut data)?;
            }
        }
        Ok(())
    }

    /// Takes the records of tasks that have other labels than here.
    fn relabel(&mut self, tasks: Vec<i64>) -> Result<()> {
        let mut without_room = Vec::new();
        for task_id in tasks {
            let text = self.text(self.outcome(task_id).record.and_then(|(_, tag)| tag));
            let label = match self.structure.intern(text.as_deref()) {
                // There is room once all tasks have left the labels that they had.
                Err(Error::Labels { .. }) => {
                    without_room.push((task_id, text));
                    0
                }
                label => label?,
            };
            let Some(slot) = self.live.find(task_id) else {
                continue;
            };
            let guard = self.live.lock_stripe(self.live.layout.stripe_of(slot))?;
            self.read_on(&guard);
            self.take_record(&guard, task_id, Some(label))?;
        }
        for (task_id, text) in without_room {
            let label = self.structure.intern_or_other(text.as_deref())?;
            let text = self.live.label_text(label as usize);
            self.structure.set_label(task_id, text.as_deref())?;
        }
        Ok(())
    }

    /// Whether the live session labels a task as it is to be labelled.
    fn has_same_label(&self, task_id: i64, outcome: Option<&Outcome>) -> bool {
        let Some(slot) = self.live.find(task_id) else {
            return true;
        };
        let here = match self.live.record(slot).tenant().label {
            0 => 0,
            label => self.live.label_hashes()[label as usize].get(),
        };
        let tag = match outcome {
            Some(outcome) => outcome.record.as_ref().and_then(|(_, tag)| *tag),
            None => self
                .mirror
                .find(task_id)
                .map(|slot| Tag::OfMirror(self.mirror.record(slot).tenant().label)),
        };
        here == self.tag_hash(tag)
    }

    /// Takes in what workers have reported in a stripe meanwhile: episodes, nothing else, since
    /// the structure lock is held.
    fn read_on(&mut self, guard: &StripeGuard) {
        let stripe = guard.number();
        let length = self.live.journal_stripe(stripe).length.get();
        for entry in guard.entries(self.tail.read[stripe], length) {
            let Some(what) = What::of_record(&entry) else {
                continue;
            };
            let task_id = entry.task_id;
            let steps = self.tail.of_tasks.entry(task_id).or_default();
            steps.push(Step { task_id, what });
        }
        self.tail.read[stripe] = length;
    }

    /// Brings one record to what it is to be.
    fn take_record(&mut self, guard: &StripeGuard, task_id: i64, label: Option<u32>) -> Result<()> {
        let Some(slot) = self.live.find(task_id) else {
            return Ok(());
        };
        let record = self.live.record(slot);
        let (tenant, before) = record.load_owned();
        let outcome = self.outcome(task_id);
        self.retired.extend(outcome.retired);
        let Some((data, _)) = outcome.record else {
            return Ok(());
        };
        let mut new = TaskData {
            generation: before.generation,
            label: label.unwrap_or(before.label),
            scheduled_count: before.scheduled_count,
            last_scheduled: before.last_scheduled,
            columns: before.columns,
            ..data
        };
        if self.tail.of_tasks.contains_key(&task_id) {
            new.last_completed = before.last_completed;
        }
        let rules = &self.live.rules;
        if rules.progress == Progress::Given || self.live.is_frozen() {
            (new.lp_score, new.weight) = (before.lp_score, before.weight);
        } else if rules.retry_by_column {
            new.weight = weigh(rules, &new);
        }
        if new == before {
            return Ok(());
        }
        let old = Old::of(tenant, &before);
        match guard.commit(slot, &old, &mut new, Change::Update, Note::Nothing) {
            // A weight that only the statistics of all nodes together give: the next score, or the
            // next sync, brings another one.
            Err(Error::Value(_)) => Ok(()),
            done => done,
        }
    }

    /// Lets a task that only this node knows yet give way: it is in the journal still, and the
    /// next sync decides.
    fn make_room(&self, moved: &HashSet<i64>) -> Result<()> {
        let capacity = self.live.layout.shape.capacity;
        if self.live.len() < capacity {
            return Ok(());
        }
        let only_here = |task_id: &&i64| {
            self.mirror.find(**task_id).is_none() && self.live.find(**task_id).is_some()
        };
        let task_id = moved.iter().filter(only_here).min();
        let task_id = task_id.ok_or(Error::Capacity { capacity })?;
        self.structure.remove(*task_id, false).map(drop)
    }
}
