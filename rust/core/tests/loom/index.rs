//! Look-ups beside links, unlinks and reuse of slots.

use std::sync::Arc;

use curricle_core::words::Word;
use curricle_core::{NewTask, Session, Table, modelled};

use crate::{exhaust, explore, session, spawn, tenancy_words, watch};

const CAPACITY: usize = 3;

/// The chain of a task in a session of `CAPACITY`.
fn chain_of(task_id: i64) -> usize {
    let session = session(CAPACITY, &[task_id], None);
    let heads = session.table().heads();
    heads.iter().position(|head| head.get() != 0).unwrap()
}

/// The first tasks of the first chain and of another.
fn tasks_by_chain() -> ([i64; 3], [i64; 2]) {
    let (here, there): (Vec<i64>, Vec<i64>) = (0..40).partition(|id| chain_of(*id) == 0);
    ([here[0], here[1], here[2]], [there[0], there[1]])
}

/// What the index is made of, and the version that tells readers of a change.
fn index_words(table: &Table) -> impl Iterator<Item = &Word> {
    (0..CAPACITY)
        .flat_map(|slot| tenancy_words(table, slot))
        .chain(table.heads())
        .chain([&table.header().intent.index_version])
}

fn watched(tasks: &[i64]) -> Arc<Session> {
    let session = session(CAPACITY, tasks, None);
    watch(session.table(), index_words(session.table()));
    session
}

fn create(session: &Session, task_id: i64) -> bool {
    session.create(task_id, &NewTask::default()).unwrap()
}

/// A task that nobody touches is found.
fn finds(session: &Session, task_id: i64) {
    assert!(
        session.table().find(task_id).is_some(),
        "task {task_id} was missed"
    );
    assert_eq!(session.read(task_id).unwrap().task_id, task_id);
}

/// A task that comes is found for good once it is found, and is itself.
fn comes(session: &Session, task_id: i64) {
    let seen = [(); 2].map(|()| session.read(task_id).map(|data| data.task_id));
    assert!([[None; 2], [None, Some(task_id)], [Some(task_id); 2]].contains(&seen));
}

/// A task that goes is gone for good, and is itself until then.
fn goes(session: &Session, task_id: i64) {
    let seen = [(); 2].map(|()| session.read(task_id).map(|data| data.task_id));
    assert!([[None; 2], [Some(task_id), None], [Some(task_id); 2]].contains(&seen));
}

type Work = fn(&Session, &[i64; 3], &[i64; 2]);

/// One execution: `first` tasks of the first chain are there when the threads start, `end` tasks
/// when they have ended.
fn run(first: usize, threads: &'static [Work], end: u64) -> impl Fn() + Send + Sync + 'static {
    let (here, there) = tasks_by_chain();
    move || {
        let session = watched(&here[..first]);
        let threads: Vec<_> = threads
            .iter()
            .map(|work| spawn(&session, move |session| work(session, &here, &there)))
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        modelled::settle();
        assert_eq!(session.verify().unwrap().tasks, end);
    }
}

#[test]
fn a_neighbour_is_found_while_a_task_is_linked_before_it() {
    explore(
        2,
        run(
            1,
            &[
                |session, here, _| assert!(create(session, here[1])),
                |session, here, _| finds(session, here[0]),
                |session, here, _| comes(session, here[1]),
            ],
            2,
        ),
    );
}

#[test]
fn a_neighbour_is_found_while_the_task_before_it_is_unlinked() {
    explore(
        2,
        run(
            2,
            &[
                |session, here, _| assert!(session.remove(here[1], false).unwrap()),
                |session, here, _| finds(session, here[0]),
                |session, here, _| goes(session, here[1]),
            ],
            1,
        ),
    );
}

/// The slot before a task comes to lie in another chain: whoever is led astray looks again.
#[test]
fn a_neighbour_is_found_while_the_slot_before_it_is_reused_in_another_chain() {
    exhaust(run(
        2,
        &[
            |session, here, there| assert!(session.replace(here[1], there[0], None).unwrap()),
            |session, here, _| finds(session, here[0]),
        ],
        2,
    ));
}

#[test]
fn whoever_is_replaced_goes() {
    explore(
        2,
        run(
            2,
            &[
                |session, here, there| assert!(session.replace(here[1], there[0], None).unwrap()),
                |session, here, _| goes(session, here[1]),
            ],
            2,
        ),
    );
}

#[test]
fn whoever_replaces_comes() {
    explore(
        2,
        run(
            2,
            &[
                |session, here, there| assert!(session.replace(here[1], there[0], None).unwrap()),
                |session, _, there| comes(session, there[0]),
            ],
            2,
        ),
    );
}

#[test]
fn two_creators_of_a_task_make_one() {
    explore(
        1,
        run(
            1,
            &[
                |session, here, _| {
                    create(session, here[1]);
                },
                |session, here, _| {
                    create(session, here[1]);
                },
                |session, here, _| comes(session, here[1]),
                |session, here, _| finds(session, here[0]),
            ],
            2,
        ),
    );
}
