//! What a user sees of a session, to be held against what may be seen after a death.

use std::collections::{BTreeMap, BTreeSet};

use crate::journal::Entry;
use crate::limits::Limits;
use crate::record::TaskData;
use crate::session::Session;
use crate::totals::Totals;

/// What changes in one commit, and the words that change by themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    pub whole: Whole,
    pub words: BTreeMap<String, u64>,
}

/// Records, totals and labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Whole {
    /// Each with the text of its label.
    pub tasks: BTreeMap<i64, (TaskData, Option<String>)>,
    pub totals: Totals,
    pub labels: BTreeMap<String, Totals>,
    pub interned: BTreeSet<String>,
    pub limits: Vec<(String, Limits)>,
    /// What is written down for the next sync, stripe by stripe.
    pub journal: Vec<Vec<Entry>>,
}

/// What the journal holds; changes of the set of tasks without their numbers, of which a death may
/// skip one, and without the label's, which tells in the order of labels.
fn journal(session: &Session) -> Vec<Vec<Entry>> {
    let table = session.table();
    if !table.has_journal() {
        return Vec::new();
    }
    let plain = |entry: &Entry| {
        let mut entry = *entry;
        if entry.note.is_structural() {
            (entry.value, entry.label) = (0, u64::from(entry.label != 0));
        }
        entry
    };
    let of_stripe = |stripe| {
        let guard = table.lock_stripe(stripe).unwrap();
        let words = table.journal_stripe(stripe);
        let entries = guard.entries(words.base.get(), words.length.get());
        entries.iter().map(plain).collect()
    };
    (0..table.layout.stripes).map(of_stripe).collect()
}

/// A record without what is looked at elsewhere, with a time that two runs have in common, and
/// without the generation, which a load that was cut off may have moved on.
pub fn plain(data: &TaskData) -> TaskData {
    assert!(data.creation_time > 1e9, "{data:?}");
    TaskData {
        creation_time: 0.0,
        generation: 0,
        scheduled_count: 0,
        last_scheduled: 0,
        label: 0,
        ..data.clone()
    }
}

impl State {
    /// Of a session that nobody changes, after whatever is left over was recovered. Every task is
    /// looked up through the index as well.
    pub fn of(session: &Session) -> Self {
        let verified = session.verify().unwrap();
        let texts = session.labels();
        let mut words = BTreeMap::from([("scheduled in all".to_owned(), verified.scheduled)]);
        let mut tasks = BTreeMap::new();
        for data in session.snapshot() {
            let id = data.task_id;
            assert_eq!(
                session.read(id).as_ref(),
                Some(&data),
                "by index and by slot"
            );
            words.insert(format!("scheduled {id}"), data.scheduled_count);
            words.insert(format!("last scheduled {id}"), data.last_scheduled);
            let label = match data.label {
                0 => None,
                label => Some(texts[label as usize].clone().expect("the label of a task")),
            };
            let before = tasks.insert(id, (plain(&data), label));
            assert!(before.is_none(), "task {id} twice");
        }
        assert_eq!(verified.tasks as usize, tasks.len());
        let mut totals = session.totals();
        words.insert("draws".into(), std::mem::take(&mut totals.scheduled));
        let mut labels = BTreeMap::new();
        for (label, mut totals) in session.label_totals() {
            words.insert(
                format!("draws of {label}"),
                std::mem::take(&mut totals.scheduled),
            );
            // One that was never more than interned is no different from one that is not there.
            if totals != Totals::default() {
                labels.insert(label, totals);
            }
        }
        let counts = session.counts();
        words.insert("late reports".into(), counts.late_reports);
        for (name, bound) in ["lowest score", "highest score"]
            .iter()
            .zip(counts.score_range)
        {
            words.insert((*name).into(), bound.to_bits());
        }
        let mut interned = BTreeSet::new();
        for text in texts.into_iter().flatten() {
            assert!(interned.insert(text.clone()), "label {text} twice");
        }
        let limits = session.share_limits();
        assert!(limits.is_empty() || session.table().has_limits());
        let whole = Whole {
            tasks,
            totals,
            labels,
            interned,
            limits,
            journal: journal(session),
        };
        Self { whole, words }
    }

    /// Whether it is one of some states. Each `loose` word, by the start of its name, may be that
    /// of another of them; any value will do for those `ignored`.
    pub fn is_among(&self, states: &[Self], loose: &[&str], ignored: &[&str]) -> bool {
        let named =
            |starts: &[&str], name: &str| starts.iter().any(|start| name.starts_with(start));
        let words = self.words.iter();
        words
            .filter(|(name, _)| !named(ignored, name))
            .all(|(name, value)| {
                !named(loose, name)
                    || states
                        .iter()
                        .any(|state| state.words.get(name) == Some(value))
            })
            && states.iter().any(|state| {
                let same = |(name, value): (&String, &u64)| {
                    named(loose, name)
                        || named(ignored, name)
                        || self.words.get(name) == Some(value)
                };
                state.whole == self.whole && state.words.iter().all(same)
            })
    }
}
