//! What happened on one node, in an order that is right for each of its tasks.

use std::collections::HashMap;

use super::wire::{Reader, Writer, garbled};
use crate::error::{Error, Result};
use crate::journal::{Entry, Note};
use crate::labels::OTHER;
use crate::record::{TaskData, check_score, check_steps};
use crate::table::Table;
use crate::tracker::check_finite;

/// One episode, or one change of the set of tasks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Step {
    pub(crate) task_id: i64,
    pub(crate) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum What {
    Episode { score: f64, env_steps: u64 },
    Created { label: Option<usize>, born: Born },
    Evicted,
    Removed,
    Labelled { label: Option<usize> },
    Threshold(f64),
}

impl What {
    /// What an entry says that leaves the set of tasks and their labels as they are.
    pub(crate) fn of_record(entry: &Entry) -> Option<Self> {
        match entry.note {
            Note::Episode => Some(Self::Episode {
                score: f64::from_bits(entry.value),
                env_steps: entry.env_steps,
            }),
            Note::Threshold => Some(Self::Threshold(f64::from_bits(entry.value))),
            _ => None,
        }
    }
}

/// What a task has from its creation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Born {
    time: f64,
    seed: u64,
    generator_type: f64,
    success_threshold: f64,
}

impl Born {
    fn of(data: &TaskData) -> Self {
        Self {
            time: data.creation_time,
            seed: data.seed,
            generator_type: data.generator_type,
            success_threshold: data.success_threshold,
        }
    }

    /// The record of a task that nobody has played.
    pub(crate) fn record(&self, task_id: i64) -> TaskData {
        TaskData {
            creation_time: self.time,
            seed: self.seed,
            generator_type: self.generator_type,
            success_threshold: self.success_threshold,
            ..TaskData::new(task_id)
        }
    }
}

/// Steps, and the labels that they name by their place.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Steps {
    pub(crate) labels: Vec<String>,
    pub(crate) steps: Vec<Step>,
}

/// The entries of all stripes as one sequence.
///
/// Changes of the set of tasks come in the order in which they were made, and before each of them
/// whatever its stripe wrote down earlier: a task moves between stripes by such changes only.
pub(crate) fn in_order(of_stripes: &[Vec<Entry>]) -> impl Iterator<Item = &Entry> {
    let mut changes: Vec<(u64, usize, usize)> = Vec::new();
    for (stripe, entries) in of_stripes.iter().enumerate() {
        let structural = entries.iter().enumerate();
        let structural = structural.filter(|(_, entry)| entry.note.is_structural());
        changes.extend(structural.map(|(at, entry)| (entry.value, stripe, at + 1)));
    }
    changes.sort_unstable();
    let rest = of_stripes.iter().enumerate();
    changes.extend(rest.map(|(stripe, entries)| (u64::MAX, stripe, entries.len())));
    let mut done = vec![0; of_stripes.len()];
    changes.into_iter().flat_map(move |(_, stripe, end)| {
        let start = std::mem::replace(&mut done[stripe], end);
        &of_stripes[stripe][start..end]
    })
}

impl Steps {
    /// What entries say. What a task has from its creation is in its record, if it is still there,
    /// and does not matter otherwise. For the holder of the structure lock.
    pub(crate) fn of(table: &Table, of_stripes: &[Vec<Entry>]) -> Self {
        let mut steps = Self::default();
        let mut serials: HashMap<u64, usize> = HashMap::new();
        let mut texts: HashMap<u64, String> = HashMap::new();
        for entry in in_order(of_stripes) {
            if entry.label != 0 && texts.is_empty() {
                texts = (1..table.layout.labels)
                    .filter_map(|label| Some((table.label_serial(label), table.label_text(label)?)))
                    .collect();
            }
            let mut label = || {
                (entry.label != 0).then(|| {
                    *serials.entry(entry.label).or_insert_with(|| {
                        // One that is gone was folded since.
                        let text = texts.get(&entry.label).map_or(OTHER, String::as_str);
                        steps.labels.push(text.to_owned());
                        steps.labels.len() - 1
                    })
                })
            };
            let what = match entry.note {
                Note::Nothing => continue,
                Note::Episode | Note::Threshold => {
                    What::of_record(entry).expect("of a record alone")
                }
                Note::Created => {
                    let slot = table.find(entry.task_id);
                    let data = slot.map(|slot| table.record(slot).load().1);
                    What::Created {
                        label: label(),
                        born: Born::of(&data.unwrap_or_else(|| TaskData::new(entry.task_id))),
                    }
                }
                Note::Evicted => What::Evicted,
                Note::Removed => What::Removed,
                Note::Labelled => What::Labelled { label: label() },
            };
            let task_id = entry.task_id;
            steps.steps.push(Step { task_id, what });
        }
        steps
    }

    /// Without the creation of tasks that are there already.
    pub(crate) fn without_known(&mut self, known: &Table) {
        let mut changed = std::collections::HashSet::new();
        self.steps.retain(|step| match step.what {
            What::Created { .. } => {
                changed.contains(&step.task_id) || known.find(step.task_id).is_none()
            }
            What::Evicted | What::Removed => {
                changed.insert(step.task_id);
                true
            }
            _ => true,
        });
    }

    pub(crate) fn write(&self, to: &mut Writer) {
        to.number(self.labels.len() as u64);
        self.labels.iter().for_each(|label| to.text(label));
        to.number(self.steps.len() as u64);
        let mut before = 0;
        for step in &self.steps {
            let label = |to: &mut Writer, label: Option<usize>| {
                to.number(label.map_or(0, |label| label as u64 + 1));
            };
            let (kind, value) = match step.what {
                What::Episode { score, .. } => (0, score),
                What::Created { born, .. } => (1, born.time),
                What::Evicted => (2, 0.0),
                What::Removed => (3, 0.0),
                What::Labelled { .. } => (4, 0.0),
                What::Threshold(value) => (5, value),
            };
            to.kind_and_float(kind, value);
            to.signed(step.task_id.wrapping_sub(before));
            before = step.task_id;
            match step.what {
                What::Episode { env_steps, .. } => to.number(env_steps),
                What::Created { label: of, born } => {
                    label(to, of);
                    to.number(born.seed);
                    to.kind_and_float(0, born.generator_type);
                    to.kind_and_float(0, born.success_threshold);
                }
                What::Labelled { label: of } => label(to, of),
                What::Evicted | What::Removed | What::Threshold(_) => {}
            }
        }
    }

    pub(crate) fn read(from: &mut Reader) -> Result<Self> {
        let labels = (0..from.count()?)
            .map(|_| from.label())
            .collect::<Result<Vec<_>>>()?;
        let count = from.count()?;
        let mut steps = Vec::with_capacity(count);
        let (mut before, labelled) = (0_i64, labels.len() as u64);
        let label = |from: &mut Reader| match from.number()? {
            0 => Ok(None),
            label if label <= labelled => Ok(Some(label as usize - 1)),
            _ => Err(garbled("a label that it does not name")),
        };
        let finite = |value: f64| {
            check_finite(&[("value", value)]).map_err(|_| garbled("a number that is none"))?;
            Ok::<f64, Error>(value)
        };
        for _ in 0..count {
            let (kind, value) = from.kind_and_float()?;
            let value = finite(value)?;
            before = before.wrapping_add(from.signed()?);
            let what = match kind {
                0 => {
                    let env_steps = from.number()?;
                    check_score(value)
                        .and_then(|()| check_steps(env_steps))
                        .map_err(|_| garbled("a score out of range"))?;
                    What::Episode {
                        score: value,
                        env_steps,
                    }
                }
                1 => What::Created {
                    label: label(from)?,
                    born: Born {
                        time: value,
                        seed: from.number()?,
                        generator_type: finite(from.kind_and_float()?.1)?,
                        success_threshold: finite(from.kind_and_float()?.1)?,
                    },
                },
                2 => What::Evicted,
                3 => What::Removed,
                4 => What::Labelled {
                    label: label(from)?,
                },
                5 => What::Threshold(value),
                _ => return Err(garbled("a step of an unknown kind")),
            };
            let task_id = before;
            steps.push(Step { task_id, what });
        }
        Ok(Self { labels, steps })
    }

    /// The text of a label.
    pub(crate) fn text(&self, label: Option<usize>) -> Option<&str> {
        label.map(|label| self.labels[label].as_str())
    }

    /// Number of episodes.
    pub(crate) fn episodes(&self) -> usize {
        let is_episode = |step: &&Step| matches!(step.what, What::Episode { .. });
        self.steps.iter().filter(is_episode).count()
    }
}
