//! Sessions to begin with, and everything that can be done with one.

use std::path::Path;
use std::time::Duration;

use curricle_core::segment::{Mode, Place};
use curricle_core::{Error, NewTask, Rules, Session, SessionOptions, Stream};

/// Slots of the sessions that edits begin with.
pub const CAPACITY: usize = 5;

/// Options of a small session.
pub fn options(place: Place, mode: Mode) -> SessionOptions {
    let making = matches!(mode, Mode::Create);
    SessionOptions {
        capacity: making.then_some(CAPACITY),
        place,
        columns: if making {
            vec!["staleness".to_owned()]
        } else {
            Vec::new()
        },
        max_labels: 3,
        max_inactive_labels: 1,
        seed: 7,
        mode,
        lock_timeout: Duration::from_millis(200),
        ..SessionOptions::default()
    }
}

/// A session in which a little of everything has happened.
pub fn lived_in(place: Place) -> Session {
    let session = Session::open(&options(place, Mode::Create)).expect("a new session");
    for (task_id, label) in [(1, None), (2, Some("a")), (3, Some("b")), (-4, Some("a"))] {
        let new = NewTask {
            label,
            ..NewTask::default()
        };
        session.create(task_id, &new).expect("room");
    }
    for (task_id, score) in [(1, 0.25), (2, 1.0), (2, 0.5), (3, -2.0)] {
        session.update(task_id, score, 3).expect("a score");
    }
    session.replace(3, 5, Some("c")).expect("an eviction");
    session.set_column(2, "staleness", 0.5).expect("a column");
    let ticket = session.draw(None).expect("a task");
    session.report(&ticket, 0.75, 2).expect("a report");
    session
}

/// Everything that can be seen of a session, to the last bit.
pub fn seen(session: &Session) -> String {
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        session.snapshot(),
        session.labels(),
        session.totals(),
        session.label_totals(),
        session.probabilities(),
        session.counts(),
        session.content(),
        session.columns(),
        session.label_changes(&mut Vec::new()),
        session
            .task_ids()
            .iter()
            .map(|id| session.read(*id))
            .collect::<Vec<_>>(),
    )
}

/// Changes everything that can be changed, and agrees with itself before and after.
pub fn use_up(session: &Session, folder: &Path) {
    let sound = session.verify().is_ok();
    let agrees = |session: &Session| {
        let verified = session.verify();
        assert!(!sound || verified.is_ok(), "{:?}", verified.err());
    };
    let ids = session.task_ids();
    for task_id in ids.iter().take(8).chain([&77]) {
        done(session.update(*task_id, 0.5, 1));
        done(session.set_lp(*task_id, 0.125));
        done(session.set_label(*task_id, Some("d")));
    }
    agrees(session);
    let mut stream = Stream::new(1, 2);
    for _ in 0..4 {
        if let Some(ticket) = done(session.draw(Some(&mut stream))) {
            done(session.report(&ticket, 0.5, 1));
        }
    }
    done(session.draw_many(2, false, Some(&mut stream)));
    if let [first, second, ..] = ids[..] {
        done(session.replace(first, 1 << 40, Some("e")));
        done(session.remove(second, false));
    }
    agrees(session);
    let path = folder.join("saved");
    if done(session.save(&path)).is_some() {
        done(session.load(&path));
    }
    agrees(session);
    let _ = session.table().choose_eviction(1, 0.5);
    session.clear().expect("nobody holds a lock");
    session
        .verify()
        .expect("an empty session agrees with itself");
}

/// The result of a call that may be refused, but not for want of a lock that nobody holds.
fn done<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Err(error @ (Error::LockTimeout { .. } | Error::Interrupted)) => panic!("{error}"),
        result => result.ok(),
    }
}

/// Rules that differ from those of [`lived_in`].
pub fn other_rules() -> Rules {
    Rules {
        exploration: 1.0,
        min_samples: 0,
        ..Rules::default()
    }
}
