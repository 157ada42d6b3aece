//! Several threads beside readers: what does not hang on their order is exact.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use curricle_core::episode_ends::Ended;
use curricle_core::{Error, NewTask, Session, Stream, Ticket};
use proptest::prelude::*;

use crate::plain::{Call, LABELS, Model, STEPS, apply, call, compare, open};

/// Times that a case is run, since its outcome hangs on timing.
const RUNS: usize = 4;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Runs `work` for each of the `parts` in a thread of its own, beside two readers.
fn beside_readers<P: Sync, T: Send>(
    session: &Session,
    parts: &[P],
    work: impl Fn(usize, &P) -> T + Sync,
) -> Vec<T> {
    let running = AtomicUsize::new(parts.len());
    /// Counts a worker as gone, also when it fails, so that readers end.
    struct Leave<'a>(&'a AtomicUsize);
    impl Drop for Leave<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    std::thread::scope(|scope| {
        let (running, work) = (&running, &work);
        let workers: Vec<_> = parts
            .iter()
            .enumerate()
            .map(|(number, part)| {
                scope.spawn(move || {
                    let _leave = Leave(running);
                    work(number, part)
                })
            })
            .collect();
        scope.spawn(|| read_until(session, || running.load(Ordering::Relaxed) == 0));
        scope.spawn(|| save_until(session, || running.load(Ordering::Relaxed) == 0));
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    })
}

/// Reads what is there: each record, and each total, is of one instant, and none goes back.
fn read_until(session: &Session, done: impl Fn() -> bool) {
    let (mut completions, mut scheduled) = (0, 0);
    loop {
        let last = done();
        for data in session.snapshot() {
            assert_eq!(data.env_steps, STEPS * data.completion_count);
        }
        let totals = session.totals();
        assert_eq!(totals.env_steps, STEPS * totals.completions);
        assert!(totals.completions >= completions && totals.scheduled >= scheduled);
        (completions, scheduled) = (totals.completions, totals.scheduled);
        for (label, totals) in session.label_totals() {
            assert_eq!(
                totals.env_steps,
                STEPS * totals.completions,
                "label {label}"
            );
        }
        let sum: f64 = session.probabilities().1.iter().sum();
        assert!(sum == 0.0 || (sum - 1.0).abs() < 1e-9, "{sum}");
        if last {
            return;
        }
    }
}

/// Saves, and loads into another session, which agrees with itself.
fn save_until(session: &Session, done: impl Fn() -> bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    loop {
        let last = done();
        session.save(&path).unwrap();
        let loaded = open(ROOM);
        loaded.load(&path).unwrap();
        let totals = loaded.totals();
        assert_eq!(totals.env_steps, STEPS * totals.completions);
        assert_eq!(loaded.verify().unwrap().completions, totals.completions);
        if last {
            return;
        }
    }
}

/// Tasks of one thread.
const OWN: i64 = 12;
const MOST_THREADS: i64 = 4;
/// Room for all tasks that there can be.
const ROOM: usize = 100;

/// Calls for each of several threads, about tasks that only that thread changes.
fn calls_apart() -> impl Strategy<Value = Vec<Vec<Call>>> {
    (2..=MOST_THREADS).prop_flat_map(|threads| {
        (0..threads)
            .map(|number| prop::collection::vec(call(OWN * number..OWN * (number + 1)), 1..150))
            .collect::<Vec<_>>()
    })
}

/// What a thread with tasks of its own ends with.
struct Apart {
    model: Model,
    /// Draws of others' tasks that it reported, in order, and whether they counted.
    reported: Vec<(Ticket, f64, bool)>,
}

fn work_apart(session: &Session, number: usize, calls: &[Call]) -> Apart {
    let first = OWN * i64::try_from(number).unwrap();
    let mut stream = Stream::new(3, number as u64);
    let (mut model, mut reported) = (Model::default(), Vec::new());
    for call in calls {
        let owns = |id: i64| (first..first + OWN).contains(&id);
        apply(session, &mut model, &mut stream, usize::MAX, owns, call);
        if let (Call::Report(_, score), Some(ticket)) = (call, model.foreign.get(reported.len())) {
            let counted = session.report(ticket, *score, STEPS).unwrap().is_some();
            reported.push((*ticket, *score, counted));
        }
    }
    Apart { model, reported }
}

/// One model of what several threads did.
fn merge(session: &Session, threads: Vec<Apart>) -> Model {
    let mut all = Model::default();
    let mut foreign = Vec::new();
    let mut reported = Vec::new();
    for thread in threads {
        all.tasks.extend(thread.model.tasks);
        all.draws += thread.model.draws;
        all.created += thread.model.created;
        all.completions += thread.model.completions;
        all.late += thread.model.late;
        foreign.extend(thread.model.foreign);
        reported.extend(thread.reported);
    }
    for (id, task) in &mut all.tasks {
        let slot = session.table().find(*id).unwrap();
        let generation = session.read(*id).unwrap().generation;
        let is_of = |ticket: &Ticket| {
            (ticket.task_id, ticket.slot as usize, ticket.generation) == (*id, slot, generation)
        };
        task.scheduled += foreign.iter().filter(|ticket| is_of(ticket)).count() as u64;
        for (_, score, counted) in reported.iter().filter(|(ticket, ..)| is_of(ticket)) {
            assert!(counted, "a report of a live task was late");
            task.completions += 1;
            task.total_score += score;
        }
    }
    let counted = reported.iter().filter(|(.., counted)| *counted).count();
    all.completions += counted as u64;
    all.late += (reported.len() - counted) as u64;
    all
}

/// What a thread did to tasks that others change as well, or several did.
#[derive(Default)]
struct Shared {
    /// Episodes that counted, and the sum of their scores, by task.
    counted: HashMap<i64, (u64, f64)>,
    gone: HashMap<i64, u64>,
    draws: u64,
    late: u64,
}

impl Shared {
    fn leave(&mut self, id: i64, left: bool) {
        if left {
            *self.gone.entry(id).or_default() += 1;
        }
    }

    fn report(&mut self, ticket: &Ticket, score: f64, counted: bool) {
        if counted {
            self.count(ticket.task_id, score);
        } else {
            self.late += 1;
        }
    }

    fn add(&mut self, other: Self) {
        for (id, (count, score)) in other.counted {
            let sum = self.counted.entry(id).or_default();
            *sum = (sum.0 + count, sum.1 + score);
        }
        for (id, left) in other.gone {
            *self.gone.entry(id).or_default() += left;
        }
        self.draws += other.draws;
        self.late += other.late;
    }

    fn count(&mut self, id: i64, score: f64) {
        let sum = self.counted.entry(id).or_default();
        *sum = (sum.0 + 1, sum.1 + score);
    }
}

fn work_together(session: &Session, number: usize, calls: &[Call]) -> Shared {
    let mut stream = Stream::new(5, number as u64);
    let mut did = Shared::default();
    let mut open: Vec<Ticket> = Vec::new();
    for call in calls {
        let mut drawn = Ok(Vec::new());
        match call {
            Call::Create(id, label) => {
                let new = NewTask {
                    label: label.map(|label| LABELS[label]),
                    ..NewTask::default()
                };
                session.create(*id, &new).unwrap();
            }
            Call::Remove(id, evict) => did.leave(*id, session.remove(*id, *evict).unwrap()),
            Call::Replace(old, new) => did.leave(*old, session.replace(*old, *new, None).unwrap()),
            Call::Update(id, score) => {
                session.update(*id, *score, STEPS).unwrap();
                did.count(*id, *score);
            }
            Call::UpdateMany(scored) => {
                let (ids, scores): (Vec<i64>, Vec<f64>) = scored.iter().copied().unzip();
                let lps = session
                    .update_many(&ids, &scores, &vec![STEPS; ids.len()])
                    .unwrap();
                assert!(lps.iter().all(|lp| !lp.is_nan()));
                scored.iter().for_each(|(id, score)| did.count(*id, *score));
            }
            Call::Draw => drawn = session.draw(Some(&mut stream)).map(|ticket| vec![ticket]),
            Call::DrawMany(n, replace) => {
                drawn = session.draw_many(*n, *replace, Some(&mut stream));
            }
            Call::Report(which, score) => {
                if *which < open.len() {
                    let ticket = open.swap_remove(*which);
                    let lp = session.report(&ticket, *score, STEPS).unwrap();
                    did.report(&ticket, *score, lp.is_some());
                }
            }
            Call::ReportMany(scores) => {
                let n = scores.len().min(open.len());
                let tickets: Vec<Ticket> = open.drain(..n).collect();
                let lps = session
                    .report_many(&Ended {
                        tickets: &tickets,
                        scores: &scores[..n],
                        env_steps: &vec![STEPS; n],
                    })
                    .unwrap();
                for ((ticket, score), lp) in tickets.iter().zip(scores).zip(lps) {
                    did.report(ticket, *score, !lp.is_nan());
                }
            }
            Call::Label(id, label) => {
                match session.set_label(*id, label.map(|label| LABELS[label])) {
                    Ok(()) | Err(Error::UnknownTask(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
        match drawn {
            Ok(tickets) => {
                did.draws += tickets.len() as u64;
                open.extend(tickets);
            }
            // Nobody there, or too few for different ones.
            Err(Error::Empty | Error::Value(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    did
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn threads_with_tasks_of_their_own_do_what_their_models_do(calls in calls_apart()) {
        for _ in 0..RUNS {
            let session = open(ROOM);
            let threads = beside_readers(&session, &calls, |number, calls| {
                work_apart(&session, number, calls)
            });
            let model = merge(&session, threads);
            compare(&session, &model);
            prop_assert_eq!(session.totals().scheduled, model.draws);
            prop_assert_eq!(session.totals().created, model.created);
        }
    }

    #[test]
    fn threads_that_share_their_tasks_lose_and_double_nothing(
        calls in prop::collection::vec(prop::collection::vec(call(0_i64..OWN), 1..150), 2..=4),
    ) {
        for _ in 0..RUNS {
            let session = open(ROOM);
            let threads = beside_readers(&session, &calls, |number, calls| {
                work_together(&session, number, calls)
            });
            let mut sum = Shared::default();
            for thread in threads {
                sum.add(thread);
            }
            let totals = session.totals();
            let scores: f64 = sum.counted.values().map(|(_, score)| score).sum();
            prop_assert_eq!(totals.completions, sum.counted.values().map(|(n, _)| n).sum::<u64>());
            prop_assert_eq!(totals.score_sum, scores);
            prop_assert_eq!(totals.scheduled, sum.draws);
            prop_assert_eq!(totals.evicted + totals.removed, sum.gone.values().sum::<u64>());
            prop_assert_eq!(totals.created - totals.evicted - totals.removed, totals.tasks);
            prop_assert_eq!(session.counts().late_reports, sum.late);
            for data in session.snapshot() {
                // Of a task that was never removed, the record holds everything.
                if !sum.gone.contains_key(&data.task_id) {
                    let counted = sum.counted.get(&data.task_id).copied().unwrap_or_default();
                    prop_assert_eq!((data.completion_count, data.total_score), counted);
                }
            }
            prop_assert_eq!(session.verify().unwrap().scheduled, sum.draws);
        }
    }
}
