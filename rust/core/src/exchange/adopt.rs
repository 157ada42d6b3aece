//! Brings the live session to the state of a sync, with what workers have reported since its offer
//! on top. Workers go on meanwhile: each record changes in one commit, and creation waits.

use std::collections::{HashMap, HashSet};

use super::mirror::Mirror;
use super::steps::{Step, Steps, What};
use crate::commit::{Change, Old, StripeGuard};
use crate::error::{Error, Result};
use crate::journal::{Adopting, Note};
use crate::labels::hash;
use crate::progress::weigh;
use crate::record::TaskData;
use crate::rules::Progress;
use crate::structure::StructureGuard;
use crate::table::Table;
use crate::tally::{Retired, Tally, fixed};

/// Records that share one holding of a stripe's lock at most, so that nobody waits long for it.
const HOLDING: usize = 64;

/// Where the text of a label is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    None,
    OfMirror(u32),
    OfTail(usize),
}

/// What becomes of a task.
#[derive(Default)]
struct Outcome {
    record: Option<(TaskData, Option<Tag>)>,
    /// What is retired on the way, with its label.
    retired: Vec<(Option<Tag>, Retired)>,
}

/// What workers did since the offer.
struct Tail {
    labels: Vec<String>,
    of_tasks: HashMap<i64, Vec<Step>>,
    /// Up to where each stripe's entries are in it.
    read: Vec<u64>,
}

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
        journal.adopting.publish(Adopting::NOW);
        let done = self.adopt_records(mirror, whole);
        if done.is_err() {
            journal.adopting.publish(Adopting::TORN);
            return done;
        }
        let late = mirror.take_late();
        live.header().counters.late_reports.add(late);
        self.settle_offer(&mirror.included)?;
        journal.number.publish(mirror.number);
        journal.adopting.publish(Adopting::NOT);
        mirror.changed.clear();
        mirror.structural = false;
        Ok(())
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

/// A share of what is retired, so that the parts of all stripes add up to it.
fn part_of(whole: &Retired, stripe: usize, stripes: usize) -> Retired {
    let count = |count: u64| {
        let each = count / stripes as u64;
        if stripe == 0 {
            count - each * (stripes as u64 - 1)
        } else {
            each
        }
    };
    let each = whole.score / stripes as i128;
    let score = match stripe {
        0 => whole.score - each * (stripes as i128 - 1),
        _ => each,
    };
    Retired {
        created: count(whole.created),
        evicted: count(whole.evicted),
        removed: count(whole.removed),
        completions: count(whole.completions),
        score,
        env_steps: count(whole.env_steps),
        scheduled: 0,
    }
}

impl Adoption<'_> {
    fn text(&self, tag: Option<Tag>) -> Option<String> {
        match tag? {
            Tag::None => None,
            Tag::OfMirror(label) => self.mirror.label_text(label as usize),
            Tag::OfTail(label) => Some(self.tail.labels[label].clone()),
        }
    }

    fn tag_hash(&self, tag: Option<Tag>) -> u64 {
        match tag {
            None | Some(Tag::None | Tag::OfMirror(0)) => 0,
            Some(Tag::OfMirror(label)) => self.mirror.label_hashes()[label as usize].get(),
            Some(Tag::OfTail(label)) => hash(&self.tail.labels[label]),
        }
    }

    /// The range of scores becomes the mirror's; what workers report goes on widening it.
    fn widen_scores(&self) {
        for at in 0..2_usize {
            let bits = self.mirror.header().score_range[at].get();
            self.live.header().score_range[at].set(bits);
        }
    }

    /// What workers did to a task since the offer, on top of what the mirror has of it.
    fn outcome(&self, task_id: i64) -> Outcome {
        let mut outcome = Outcome::default();
        if let Some(slot) = self.mirror.find(task_id) {
            let (tenant, data) = self.mirror.record(slot).load();
            outcome.record = Some((data, Some(Tag::OfMirror(tenant.label))));
        }
        let tail = self.tail.of_tasks.get(&task_id);
        for step in tail.into_iter().flatten() {
            let record = outcome.record.as_mut();
            match (step.what, record) {
                (What::Episode { score, env_steps }, Some((data, _))) => {
                    self.live.advance(data, score, env_steps);
                }
                (What::Threshold(threshold), Some((data, _))) => {
                    data.success_threshold = threshold;
                }
                (What::Labelled { label }, Some((_, tag))) => {
                    *tag = Some(label.map_or(Tag::None, Tag::OfTail));
                }
                (What::Created { label, born }, None) => {
                    let tag = label.map_or(Tag::None, Tag::OfTail);
                    outcome.record = Some((born.record(task_id), Some(tag)));
                    let retired = Retired {
                        created: 1,
                        ..Retired::default()
                    };
                    outcome.retired.push((Some(tag), retired));
                }
                (What::Evicted | What::Removed, Some((data, tag))) => {
                    let evicted = u64::from(step.what == What::Evicted);
                    let retired = Retired {
                        evicted,
                        removed: 1 - evicted,
                        completions: data.completion_count,
                        score: fixed(data.total_score),
                        env_steps: data.env_steps,
                        ..Retired::default()
                    };
                    let tag = *tag;
                    outcome.retired.push((tag, retired));
                    outcome.record = None;
                }
                _ => {}
            }
        }
        outcome
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
            let what = match entry.note {
                Note::Episode => What::Episode {
                    score: f64::from_bits(entry.value),
                    env_steps: entry.env_steps,
                },
                Note::Threshold => What::Threshold(f64::from_bits(entry.value)),
                _ => continue,
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

    /// Folds labels that mean nothing any more, so that no other one has to be for want of room.
    fn fold_others(&self, meant: &[(String, Retired)]) -> Result<()> {
        let live = self.live;
        for label in 1..live.other_label() {
            let Some(text) = live.label_text(label) else {
                continue;
            };
            if live.is_inactive(label) && !meant.iter().any(|(other, _)| *other == text) {
                self.structure.fold(label)?;
            }
        }
        Ok(())
    }

    /// Sets what became of tasks that are gone to what the mirror says, and what workers did since.
    fn take_retired(&mut self) -> Result<()> {
        let (live, mirror) = (self.live, self.mirror);
        let texts: Vec<(String, Retired)> = (1..mirror.layout.labels)
            .filter_map(|label| {
                let retired = mirror.fold_label(label).retired;
                Some((mirror.label_text(label)?, retired))
            })
            .chain(
                self.retired
                    .iter()
                    .filter_map(|(tag, retired)| Some((self.text(*tag)?, *retired))),
            )
            .filter(|(_, retired)| *retired != Retired::default())
            .collect();
        self.fold_others(&texts)?;
        for (text, _) in &texts {
            self.structure.intern_or_other(Some(text))?;
        }
        let mut of_labels = vec![Retired::default(); live.layout.labels];
        for (text, retired) in &texts {
            let label = live
                .find_label(text)
                .map_or(live.other_label(), |l| l as usize);
            of_labels[label].add(retired);
        }
        of_labels[0] = mirror.fold().retired;
        for (_, retired) in &self.retired {
            of_labels[0].add(retired);
        }
        let guards = live.lock_all()?;
        for (label, retired) in of_labels.iter().enumerate() {
            for guard in &guards {
                let latch = live.totals_of(guard.number(), label);
                let parts = if label == 0 { guards.len() } else { 1 };
                let part = if guard.number() < parts {
                    part_of(retired, guard.number(), parts)
                } else {
                    Retired::default()
                };
                let tally = Tally::load(latch.owned());
                let part = tally.retired_like(&part);
                if part != tally.retired {
                    guard.set_retired(label, part);
                }
            }
        }
        Ok(())
    }
}
