//! The plain model, the calls, and what either does with them.

use std::collections::HashMap;

use curricle_core::episode_ends::Ended;
use curricle_core::{Error, NewTask, Rules, Session, SessionOptions, Stream, Ticket};
use proptest::prelude::*;

/// Environment steps of every episode, so that sums of steps follow from counts.
pub const STEPS: u64 = 3;

pub const LABELS: [&str; 3] = ["a", "b", "c"];

pub fn open(capacity: usize) -> Session {
    Session::open(&SessionOptions {
        capacity: Some(capacity),
        rules: Some(Rules::default()),
        columns: vec!["staleness".to_owned()],
        max_labels: LABELS.len(),
        max_inactive_labels: 1,
        seed: 7,
        ..SessionOptions::default()
    })
    .unwrap()
}

#[derive(Debug, Clone)]
pub enum Call {
    Create(i64, Option<usize>),
    Remove(i64, bool),
    Replace(i64, i64),
    Update(i64, f64),
    UpdateMany(Vec<(i64, f64)>),
    Draw,
    DrawMany(usize, bool),
    Report(usize, f64),
    ReportMany(Vec<f64>),
    Label(i64, Option<usize>),
}

/// Eighths, whose sums are exact in any order.
pub fn score() -> impl Strategy<Value = f64> + Clone {
    prop_oneof![
        Just(0.0),
        Just(1.0),
        (-40_i32..40).prop_map(|n| f64::from(n) / 8.0)
    ]
}

pub fn label() -> impl Strategy<Value = Option<usize>> {
    prop::option::of(0..LABELS.len())
}

/// A call about the tasks of `id`.
pub fn call(id: impl Strategy<Value = i64> + Clone + 'static) -> impl Strategy<Value = Call> {
    let scored = (id.clone(), score());
    prop_oneof![
        (id.clone(), label()).prop_map(|(id, label)| Call::Create(id, label)),
        (id.clone(), any::<bool>()).prop_map(|(id, evict)| Call::Remove(id, evict)),
        (id.clone(), id.clone()).prop_map(|(old, new)| Call::Replace(old, new)),
        scored
            .clone()
            .prop_map(|(id, score)| Call::Update(id, score)),
        prop::collection::vec(scored, 1..8).prop_map(Call::UpdateMany),
        Just(Call::Draw),
        (1_usize..4, any::<bool>()).prop_map(|(n, replace)| Call::DrawMany(n, replace)),
        (0_usize..4, score()).prop_map(|(ticket, score)| Call::Report(ticket, score)),
        prop::collection::vec(score(), 1..6).prop_map(Call::ReportMany),
        (id, label()).prop_map(|(id, label)| Call::Label(id, label)),
    ]
}

#[derive(Debug, Default, Clone, PartialEq)]
pub struct Task {
    pub completions: u64,
    pub total_score: f64,
    pub label: Option<usize>,
    pub scheduled: u64,
    /// Number of the task among all that were created.
    tenancy: u64,
}

/// A draw of a task of the model's.
#[derive(Debug)]
struct Drawn {
    ticket: Ticket,
    tenancy: u64,
}

#[derive(Debug, Default)]
pub struct Model {
    pub tasks: HashMap<i64, Task>,
    drawn: Vec<Drawn>,
    /// Draws of tasks that are another model's.
    pub foreign: Vec<Ticket>,
    pub draws: u64,
    pub created: u64,
    pub completions: u64,
    pub late: u64,
}

impl Model {
    fn create(&mut self, id: i64, label: Option<usize>) {
        self.created += 1;
        let task = Task {
            label,
            tenancy: self.created,
            ..Task::default()
        };
        self.tasks.insert(id, task);
    }

    fn complete(&mut self, id: i64, score: f64) {
        let task = self.tasks.get_mut(&id).unwrap();
        task.completions += 1;
        task.total_score += score;
        self.completions += 1;
    }

    /// A score of a task that is created if it is unknown.
    fn update(&mut self, id: i64, score: f64) {
        if !self.tasks.contains_key(&id) {
            self.create(id, None);
        }
        self.complete(id, score);
    }

    fn draw(&mut self, ticket: Ticket, owns: impl Fn(i64) -> bool) {
        self.draws += 1;
        if !owns(ticket.task_id) {
            self.foreign.push(ticket);
            return;
        }
        let task = self.tasks.get_mut(&ticket.task_id).unwrap();
        task.scheduled += 1;
        let tenancy = task.tenancy;
        self.drawn.push(Drawn { ticket, tenancy });
    }

    /// A report counts if the task is the one that was drawn, and is late otherwise.
    fn report(&mut self, drawn: &Drawn, score: f64, counted: bool) {
        let id = drawn.ticket.task_id;
        let same = |task: &Task| task.tenancy == drawn.tenancy;
        assert_eq!(counted, self.tasks.get(&id).is_some_and(same));
        if counted {
            self.complete(id, score);
        } else {
            self.late += 1;
        }
    }

    /// Everything is gone, but that reports were late.
    pub fn clear(&mut self) {
        *self = Self {
            late: self.late,
            ..Self::default()
        };
    }

    /// Everything was replaced: no draw from before counts any more.
    pub fn forget_draws(&mut self) {
        self.drawn.clear();
    }
}

/// Makes a call on a session and its model, which knows the tasks that it `owns`. A session with
/// room for `capacity` tasks is full only where the model is.
pub fn apply(
    session: &Session,
    model: &mut Model,
    stream: &mut Stream,
    capacity: usize,
    owns: impl Fn(i64) -> bool,
    call: &Call,
) {
    match call {
        Call::Create(id, label) => {
            let new = NewTask {
                label: label.map(|label| LABELS[label]),
                ..NewTask::default()
            };
            match session.create(*id, &new) {
                Ok(created) => {
                    assert_eq!(created, !model.tasks.contains_key(id));
                    if created {
                        model.create(*id, *label);
                    }
                }
                Err(Error::Capacity { .. }) => assert_eq!(model.tasks.len(), capacity),
                Err(error) => panic!("{error}"),
            }
        }
        Call::Remove(id, evict) => {
            let removed = session.remove(*id, *evict).unwrap();
            assert_eq!(removed, model.tasks.remove(id).is_some());
        }
        Call::Replace(old, new) => {
            let possible = model.tasks.contains_key(old) && !model.tasks.contains_key(new);
            assert_eq!(session.replace(*old, *new, None).unwrap(), possible);
            if possible {
                model.tasks.remove(old);
                model.create(*new, None);
            }
        }
        Call::Update(id, score) => match session.update(*id, *score, STEPS) {
            Ok(_) => model.update(*id, *score),
            Err(Error::Capacity { .. }) => {
                assert!(!model.tasks.contains_key(id));
                assert_eq!(model.tasks.len(), capacity);
            }
            Err(error) => panic!("{error}"),
        },
        Call::UpdateMany(scored) => {
            let (ids, scores): (Vec<i64>, Vec<f64>) = scored.iter().copied().unzip();
            let lps = session
                .update_many(&ids, &scores, &vec![STEPS; ids.len()])
                .unwrap();
            let (refused, taken): (Vec<_>, Vec<_>) =
                scored.iter().zip(&lps).partition(|(_, lp)| lp.is_nan());
            for ((id, score), _) in taken {
                model.update(*id, *score);
            }
            for ((id, _), _) in refused {
                assert!(!model.tasks.contains_key(id));
                assert_eq!(model.tasks.len(), capacity);
            }
        }
        Call::Draw => match session.draw(Some(stream)) {
            Ok(ticket) => model.draw(ticket, owns),
            Err(Error::Empty) => assert!(model.tasks.is_empty()),
            Err(error) => panic!("{error}"),
        },
        Call::DrawMany(n, replace) => match session.draw_many(*n, *replace, Some(stream)) {
            Ok(tickets) => {
                for (at, ticket) in tickets.iter().enumerate() {
                    let same = |other: &Ticket| other.task_id == ticket.task_id;
                    assert!(*replace || !tickets[..at].iter().any(same));
                    model.draw(*ticket, &owns);
                }
            }
            Err(Error::Empty) => assert!(model.tasks.is_empty()),
            Err(Error::Value(_)) => assert!(!replace),
            Err(error) => panic!("{error}"),
        },
        Call::Report(which, score) => {
            if *which < model.drawn.len() {
                let drawn = model.drawn.swap_remove(*which);
                let lp = session.report(&drawn.ticket, *score, STEPS).unwrap();
                model.report(&drawn, *score, lp.is_some());
            }
        }
        Call::ReportMany(scores) => {
            let n = scores.len().min(model.drawn.len());
            let drawn: Vec<Drawn> = model.drawn.drain(..n).collect();
            let tickets: Vec<Ticket> = drawn.iter().map(|drawn| drawn.ticket).collect();
            let lps = session
                .report_many(&Ended {
                    tickets: &tickets,
                    scores: &scores[..n],
                    env_steps: &vec![STEPS; n],
                })
                .unwrap();
            for ((drawn, score), lp) in drawn.iter().zip(scores).zip(lps) {
                model.report(drawn, *score, !lp.is_nan());
            }
        }
        Call::Label(id, label) => {
            let set = session.set_label(*id, label.map(|label| LABELS[label]));
            assert_eq!(set.is_ok(), model.tasks.contains_key(id));
            if let Some(task) = model.tasks.get_mut(id) {
                task.label = *label;
            }
        }
    }
}

/// Holds a session against the model of all its tasks.
pub fn compare(session: &Session, model: &Model) {
    let labels = session.labels();
    for (id, task) in &model.tasks {
        let data = session.read(*id).unwrap();
        let found = Task {
            completions: data.completion_count,
            total_score: data.total_score,
            label: labels[data.label as usize]
                .as_ref()
                .map(|text| LABELS.iter().position(|label| label == text).unwrap()),
            scheduled: data.scheduled_count,
            tenancy: task.tenancy,
        };
        assert_eq!(found, *task, "task {id}");
        assert_eq!(data.env_steps, STEPS * data.completion_count);
    }
    for (label, totals) in session.label_totals() {
        let of_label = model
            .tasks
            .values()
            .filter(|task| task.label.map(|label| LABELS[label]) == Some(label.as_str()));
        assert_eq!(totals.tasks as usize, of_label.count(), "label {label}");
    }
    assert_eq!(session.task_ids().len(), model.tasks.len());
    let totals = session.totals();
    assert_eq!(totals.completions, model.completions);
    assert_eq!(session.counts().late_reports, model.late);
    assert_eq!(session.verify().unwrap().scheduled, totals.scheduled);
}
