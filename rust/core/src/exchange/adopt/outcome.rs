//! What becomes of one task: what the mirror has of it, and what workers did since.

use std::collections::HashMap;

use super::Adoption;
use crate::exchange::steps::{Step, What};
use crate::labels::hash;
use crate::record::TaskData;
use crate::tally::{Retired, fixed};

/// Where the text of a label is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    None,
    OfMirror(u32),
    OfTail(usize),
}

/// What becomes of a task.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) record: Option<(TaskData, Option<Tag>)>,
    /// What is retired on the way, with its label.
    pub(super) retired: Vec<(Option<Tag>, Retired)>,
}

/// What workers did since the offer.
pub(super) struct Tail {
    pub(super) labels: Vec<String>,
    pub(super) of_tasks: HashMap<i64, Vec<Step>>,
    /// Up to where each stripe's entries are in it.
    pub(super) read: Vec<u64>,
}

impl Adoption<'_> {
    pub(super) fn text(&self, tag: Option<Tag>) -> Option<String> {
        match tag? {
            Tag::None => None,
            Tag::OfMirror(label) => self.mirror.label_text(label as usize),
            Tag::OfTail(label) => Some(self.tail.labels[label].clone()),
        }
    }

    pub(super) fn tag_hash(&self, tag: Option<Tag>) -> u64 {
        match tag {
            None | Some(Tag::None | Tag::OfMirror(0)) => 0,
            Some(Tag::OfMirror(label)) => self.mirror.label_hashes()[label as usize].get(),
            Some(Tag::OfTail(label)) => hash(&self.tail.labels[label]),
        }
    }

    /// What workers did to a task since the offer, on top of what the mirror has of it.
    pub(super) fn outcome(&self, task_id: i64) -> Outcome {
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
}
