//! The sessions that the benches work on: in shared memory, as a trainer's.

use std::time::Duration;

use curricle_core::segment::{Mode, Place};
use curricle_core::{Rules, Session, SessionOptions, Stream};

/// Labels of the tasks, in turn.
const LABELS: usize = 32;
/// Tasks that are created or updated in one call.
const BATCH: usize = 1 << 20;

/// A name that no other run has.
pub fn name(what: &str) -> String {
    format!("curricle-bench-{}-{what}", std::process::id())
}

/// An empty session, which is removed when its last process leaves it.
pub fn create(name: &str, capacity: usize) -> Session {
    Session::open(&SessionOptions {
        capacity: Some(capacity),
        rules: Some(Rules {
            score_range: Some((0.0, 1.0)),
            floor: 0.1,
            ..Rules::default()
        }),
        place: Place::Name(name.to_owned()),
        max_labels: LABELS,
        max_inactive_labels: 8,
        mode: Mode::Create,
        lock_timeout: Duration::from_secs(60),
        ..SessionOptions::default()
    })
    .expect("room in /dev/shm")
}

/// Creates tasks 0 to `tasks`, in batches.
pub fn fill(session: &Session, tasks: usize) {
    for start in (0..tasks).step_by(BATCH) {
        let ids: Vec<i64> = (start as i64..tasks.min(start + BATCH) as i64).collect();
        let label = |id: &i64| Some(format!("label {}", *id as usize % LABELS));
        let labels: Vec<_> = ids.iter().map(label).collect();
        session.create_many(&ids, &labels).expect("room");
    }
}

/// One random score for each of the tasks 0 to `tasks`, in batches.
pub fn score_all(session: &Session, tasks: usize, stream: &mut Stream) {
    for start in (0..tasks).step_by(BATCH) {
        let ids: Vec<i64> = (start as i64..tasks.min(start + BATCH) as i64).collect();
        let scores: Vec<f64> = ids.iter().map(|_| stream.next_f64()).collect();
        session
            .update_many(&ids, &scores, &[])
            .expect("known tasks");
    }
}

/// A session of tasks that have learning progress, of differing amounts.
pub fn pool(name: &str, tasks: usize) -> Session {
    let session = create(name, tasks);
    fill(&session, tasks);
    let mut stream = Stream::new(1, 0);
    for _ in 0..3 {
        score_all(&session, tasks, &mut stream);
    }
    session
}
