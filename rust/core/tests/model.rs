//! The whole tracker against a plain model, over random sequences of calls.

use std::collections::BTreeMap;
use std::time::Duration;

use curricle_core::segment::{Mode, Place};
use curricle_core::{Error, NewTask, Rules, Session, SessionOptions, Stream, Ticket};
use proptest::prelude::*;

fn options(capacity: usize) -> SessionOptions {
    SessionOptions {
        capacity: Some(capacity),
        rules: Some(Rules::default()),
        place: Place::Local,
        content: String::new(),
        columns: vec!["staleness".to_owned()],
        max_labels: 3,
        max_inactive_labels: 1,
        seed: 7,
        mode: Mode::CreateOrAttach,
        persist: false,
        lock_timeout: Duration::from_secs(5),
    }
}

#[derive(Debug, Clone)]
enum Call {
    Create(i64, Option<usize>),
    Remove(i64, bool),
    Replace(i64, i64),
    Update(i64, f64),
    Draw,
    Report(usize, f64),
    Label(i64, Option<usize>),
}

const LABELS: [&str; 3] = ["a", "b", "c"];

fn call() -> impl Strategy<Value = Call> {
    let id = || prop_oneof![-3_i64..12, Just(i64::MAX), Just(i64::MIN)];
    let label = || prop::option::of(0..LABELS.len());
    let score = || prop_oneof![Just(0.0), Just(1.0), -5.0..5.0];
    prop_oneof![
        (id(), label()).prop_map(|(id, label)| Call::Create(id, label)),
        (id(), any::<bool>()).prop_map(|(id, evict)| Call::Remove(id, evict)),
        (id(), id()).prop_map(|(old, new)| Call::Replace(old, new)),
        (id(), score()).prop_map(|(id, score)| Call::Update(id, score)),
        Just(Call::Draw),
        (0_usize..4, score()).prop_map(|(ticket, score)| Call::Report(ticket, score)),
        (id(), label()).prop_map(|(id, label)| Call::Label(id, label)),
    ]
}

#[derive(Debug, Default, Clone, PartialEq)]
struct Task {
    scores: Vec<f64>,
    label: Option<usize>,
    scheduled: u64,
    tenancy: usize,
}

#[derive(Debug, Default)]
struct Model {
    tasks: BTreeMap<i64, Task>,
    tickets: Vec<(Ticket, usize)>,
    tenancies: usize,
    completions: u64,
    late: u64,
}

impl Model {
    fn create(&mut self, id: i64, label: Option<usize>) {
        self.tenancies += 1;
        let tenancy = self.tenancies;
        let task = Task {
            label,
            tenancy,
            ..Task::default()
        };
        self.tasks.insert(id, task);
    }
}

fn apply(session: &Session, model: &mut Model, stream: &mut Stream, capacity: usize, call: &Call) {
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
                Err(Error::Capacity { capacity: limit }) => {
                    assert_eq!((limit, model.tasks.len()), (capacity, capacity));
                }
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
        Call::Update(id, score) => match session.update(*id, *score, 3) {
            Ok(_) => {
                if !model.tasks.contains_key(id) {
                    model.create(*id, None);
                }
                model.tasks.get_mut(id).unwrap().scores.push(*score);
                model.completions += 1;
            }
            Err(Error::Capacity { .. }) => assert_eq!(model.tasks.len(), capacity),
            Err(error) => panic!("{error}"),
        },
        Call::Draw => match session.draw(Some(stream)) {
            Ok(ticket) => {
                let task = model.tasks.get_mut(&ticket.task_id).unwrap();
                task.scheduled += 1;
                model.tickets.push((ticket, task.tenancy));
            }
            Err(Error::Empty) => assert!(model.tasks.is_empty()),
            Err(error) => panic!("{error}"),
        },
        Call::Report(which, score) => {
            if *which >= model.tickets.len() {
                return;
            }
            let (ticket, tenancy) = model.tickets.swap_remove(*which);
            let counted = session.report(&ticket, *score, 1).unwrap().is_some();
            match model.tasks.get_mut(&ticket.task_id) {
                Some(task) if task.tenancy == tenancy => {
                    assert!(counted);
                    task.scores.push(*score);
                    model.completions += 1;
                }
                _ => {
                    assert!(!counted, "a late ticket was counted");
                    model.late += 1;
                }
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

fn compare(session: &Session, model: &Model) {
    let labels = session.labels();
    let ids = session.task_ids();
    assert_eq!(ids.len(), model.tasks.len());
    for (id, task) in &model.tasks {
        let data = session.read(*id).unwrap();
        assert_eq!(data.completion_count as usize, task.scores.len());
        assert_eq!(data.scheduled_count, task.scheduled);
        assert!((data.total_score - task.scores.iter().sum::<f64>()).abs() < 1e-9);
        assert_eq!(
            labels[data.label as usize].as_deref(),
            task.label.map(|label| LABELS[label])
        );
    }
    let totals = session.totals();
    assert_eq!(totals.completions, model.completions);
    assert_eq!(session.counts().late_reports, model.late);
    let verified = session.verify().unwrap();
    assert_eq!(verified.scheduled, totals.scheduled);
    for (label, totals) in session.label_totals() {
        let of_label = model
            .tasks
            .values()
            .filter(|task| task.label.map(|label| LABELS[label]) == Some(label.as_str()));
        assert_eq!(totals.tasks as usize, of_label.count(), "label {label}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_sequence_of_calls_does_what_the_model_does(
        capacity in 1_usize..40,
        calls in prop::collection::vec(call(), 1..120),
    ) {
        let session = Session::open(&options(capacity)).unwrap();
        let mut model = Model::default();
        let mut stream = Stream::new(1, 2);
        for call in &calls {
            apply(&session, &mut model, &mut stream, capacity, call);
        }
        compare(&session, &model);
    }

    #[test]
    fn a_checkpoint_brings_everything_back(
        calls in prop::collection::vec(call(), 1..120),
        larger in 0_usize..50,
    ) {
        let session = Session::open(&options(20)).unwrap();
        let mut model = Model::default();
        let mut stream = Stream::new(1, 2);
        for call in &calls {
            apply(&session, &mut model, &mut stream, 20, call);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        session.save(&path).unwrap();
        let loaded = Session::open(&options(20 + larger)).unwrap();
        loaded.update(5, 0.5, 1).unwrap();
        loaded.load(&path).unwrap();
        let texts = |session: &Session| {
            let labels = session.labels();
            session.snapshot().into_iter().map(|mut data| {
                let label = labels[data.label as usize].clone();
                data.label = 0;
                (data, label)
            }).collect::<Vec<_>>()
        };
        prop_assert_eq!(texts(&session), texts(&loaded));
        prop_assert_eq!(session.totals(), loaded.totals());
        compare(&loaded, &model);
        for _ in 0..20 {
            let (one, other) = (session.draw(None), loaded.draw(None));
            match (one, other) {
                (Ok(one), Ok(other)) if larger == 0 => {
                    prop_assert_eq!(one, Ticket { serial: one.serial, ..other });
                }
                (Ok(_), Ok(_)) | (Err(Error::Empty), Err(Error::Empty)) => {}
                (one, other) => panic!("{one:?} {other:?}"),
            }
        }
    }
}
