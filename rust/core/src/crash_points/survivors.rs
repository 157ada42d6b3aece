//! What the next process does after a death, whatever that has left.

use super::memory::Memory;
use super::operations::Act;
use super::settings::labelled;
use super::state::{State, plain};
use crate::error::{Error, Result};
use crate::record::TaskData;
use crate::stream::Stream;
use crate::structure::NewTask;

/// One thing to do next.
pub struct Next {
    pub name: &'static str,
    pub act: Act,
    /// Whether it waits for no change of structure, so that one that died on the way may be
    /// finished after it.
    pub beside: bool,
    /// Whether it is tried after every death; others take turns, unless there is time for all.
    pub always: bool,
    /// Starts of the names of words that follow from what a draw has picked.
    pub loose: &'static [&'static str],
}

/// The tasks that any operation knows.
const IDS: std::ops::Range<i64> = 0..10;

/// Where there is no such task, or no room: as after the same operation without a death.
fn if_possible<T>(result: Result<T>) {
    match result {
        Ok(_)
        | Err(
            Error::Capacity { .. } | Error::UnknownTask(_) | Error::Labels { .. } | Error::Empty,
        ) => {}
        Err(error) => panic!("{error}"),
    }
}

/// Fills the table, empties it, and fills it again: no slot is lost, none is had twice.
fn fill(memory: &Memory) {
    let session = &memory.session;
    let capacity = session.table().layout.shape.capacity;
    for round in 0..2 {
        let ids = (1000 * (round + 1)..).take(capacity + 1);
        let full = ids
            .map(|id| session.create(id, &NewTask::default()))
            .find_map(Result::err);
        assert!(matches!(full, Some(Error::Capacity { .. })), "{full:?}");
        assert_eq!(session.task_ids().len(), capacity);
        if round == 0 {
            for id in session.task_ids() {
                assert!(session.remove(id, true).unwrap());
            }
            assert!(session.task_ids().is_empty());
        }
    }
}

pub const NEXT: &[Next] = &[
    Next {
        name: "verify",
        act: |_| {},
        beside: false,
        always: true,
        loose: &[],
    },
    Next {
        name: "update",
        act: |memory| if_possible(memory.session.update(1, 0.4, 1)),
        beside: true,
        always: false,
        loose: &[],
    },
    Next {
        name: "update a neighbour",
        act: |memory| if_possible(memory.session.update(2, 0.4, 1)),
        beside: true,
        always: false,
        loose: &[],
    },
    Next {
        name: "update the unknown",
        act: |memory| if_possible(memory.session.update(5, 0.4, 1)),
        beside: false,
        always: false,
        loose: &[],
    },
    Next {
        name: "report",
        act: |memory| {
            if let Some(ticket) = memory.tickets.last() {
                if_possible(memory.session.report(ticket, 0.4, 1));
            }
        },
        beside: true,
        always: false,
        loose: &[],
    },
    Next {
        name: "create",
        act: |memory| if_possible(memory.session.create(6, &labelled("a"))),
        beside: false,
        always: false,
        loose: &[],
    },
    Next {
        name: "create with a new label",
        act: |memory| if_possible(memory.session.create(6, &labelled("d"))),
        beside: false,
        always: true,
        loose: &[],
    },
    Next {
        name: "create with the same label",
        act: |memory| if_possible(memory.session.create(6, &labelled("c"))),
        beside: false,
        always: true,
        loose: &[],
    },
    Next {
        name: "label",
        act: |memory| if_possible(memory.session.set_label(1, Some("d"))),
        beside: false,
        always: false,
        loose: &[],
    },
    Next {
        name: "evict",
        act: |memory| if_possible(memory.session.remove(1, true)),
        beside: false,
        always: false,
        loose: &[],
    },
    Next {
        name: "remove a neighbour",
        act: |memory| if_possible(memory.session.remove(2, false)),
        beside: false,
        always: false,
        loose: &[],
    },
    Next {
        name: "replace",
        act: |memory| if_possible(memory.session.replace(2, 6, Some("d"))),
        beside: false,
        always: false,
        loose: &[],
    },
    Next {
        name: "set LP",
        act: |memory| if_possible(memory.session.set_lp(1, 0.7)),
        beside: true,
        always: false,
        loose: &[],
    },
    Next {
        name: "draw",
        act: |memory| {
            let mut stream = Stream::new(3, 3);
            if_possible(memory.session.draw_many(3, true, Some(&mut stream)));
        },
        beside: false,
        always: true,
        loose: &["scheduled", "last scheduled", "draws"],
    },
    Next {
        name: "clear",
        act: |memory| memory.session.clear().unwrap(),
        beside: false,
        always: false,
        loose: &[],
    },
    Next {
        name: "fill",
        act: fill,
        beside: false,
        always: false,
        loose: &[],
    },
];

/// Reads without a lock, beside what a dead process has left: every record is one that the
/// operation may show, and the others are where they were.
pub fn read_around(memory: &Memory, allowed: &[State]) {
    let session = &memory.session;
    let known = |id: i64, data: &TaskData| {
        let record = plain(data);
        let scheduled = format!("scheduled {id}");
        let found = allowed.iter().any(|state| {
            let task = state.whole.tasks.get(&id);
            task.is_some_and(|task| task.0 == record)
        });
        let counted = allowed
            .iter()
            .any(|state| state.words.get(&scheduled) == Some(&data.scheduled_count));
        assert!(found && counted, "half a record: {data:?}");
    };
    for id in IDS {
        let everywhere = allowed
            .iter()
            .all(|state| state.whole.tasks.contains_key(&id));
        let data = session.read(id);
        assert!(data.is_some() || !everywhere, "task {id} is not found");
        if let Some(data) = data {
            known(id, &data);
        }
    }
    for data in session.snapshot() {
        known(data.task_id, &data);
    }
    let (ids, shares) = session.probabilities();
    let sum: f64 = shares.iter().sum();
    assert!(ids.is_empty() || (sum - 1.0).abs() < 1e-9, "{shares:?}");
    let mut totals = session.totals();
    totals.scheduled = 0;
    let totals_known = allowed.iter().any(|state| state.whole.totals == totals);
    assert!(totals_known, "half a total: {totals:?}");
}
