//! What is killed: every kind of change, on small sessions.

use super::memory::Memory;
use super::settings::{
    CHUNK, EMPTY, FULL, LIMITED, ONE, ROOMY, SOME, Setting, WIDE, create, draw, limit,
};
use crate::journal::Adopting;
use crate::limits::Limits;

pub type Act = fn(&Memory);

/// One kind of change.
pub struct Operation {
    pub name: &'static str,
    pub setting: Setting,
    pub run: Act,
    /// What it consists of, where a death may come between: each part is all or nothing.
    pub parts: &'static [Act],
    /// Starts of the names of words that change by themselves.
    pub loose: &'static [&'static str],
}

/// An operation that is all or nothing.
const fn whole(name: &'static str, setting: Setting, run: Act) -> Operation {
    Operation {
        name,
        setting,
        run,
        parts: &[],
        loose: &[],
    }
}

impl Operation {
    /// The parts; the whole where there is but one.
    pub fn parts(&self) -> &[Act] {
        match self.parts {
            [] => std::slice::from_ref(&self.run),
            parts => parts,
        }
    }
}

fn update_known(memory: &Memory) {
    memory.session.update(1, 0.75, 3).unwrap();
}

/// The session's highest score moves before the score itself is committed.
fn note_score(memory: &Memory) {
    memory.session.table().note_score(0.75);
}

fn create_unknown(memory: &Memory) {
    create(&memory.session, 5, None);
}

fn update_unknown(memory: &Memory) {
    memory.session.update(5, 0.75, 3).unwrap();
}

fn fold(memory: &Memory) {
    let structure = memory.session.table().lock_structure().unwrap();
    let label = memory.session.table().find_label("b").unwrap();
    structure.fold(label as usize).unwrap();
}

fn intern(memory: &Memory) {
    let structure = memory.session.table().lock_structure().unwrap();
    structure.intern(Some("c")).unwrap();
}

fn limit_known(memory: &Memory) {
    limit(&memory.session, "b", 0.25);
}

fn limit_unknown(memory: &Memory) {
    limit(&memory.session, "c", 0.25);
}

fn lift_limits(memory: &Memory) {
    memory.session.limit_share("b", Limits::NONE).unwrap();
}

fn create_newly_labelled(memory: &Memory) {
    create(&memory.session, 5, Some("c"));
}

fn evict(memory: &Memory) {
    assert!(memory.session.remove(1, true).unwrap());
}

fn replace(memory: &Memory) {
    assert!(memory.session.replace(1, 5, None).unwrap());
}

fn replace_newly_labelled(memory: &Memory) {
    assert!(memory.session.replace(1, 5, Some("c")).unwrap());
}

fn move_to_new_label(memory: &Memory) {
    memory.session.set_label(2, Some("c")).unwrap();
}

fn move_to_known_label(memory: &Memory) {
    memory.session.set_label(2, Some("b")).unwrap();
}

fn weigh_first(memory: &Memory) {
    assert_eq!(memory.session.set_weights(&[1], &[3.5]).unwrap(), [true]);
}

fn weigh_two(memory: &Memory) {
    let set = memory.session.set_weights(&[1, 2], &[3.5, 0.0]).unwrap();
    assert_eq!(set, [true; 2]);
}

fn write_known(memory: &Memory) {
    let mut data = memory.session.read(1).unwrap();
    data.total_score = 12.0;
    data.completion_count = 4;
    data.scheduled_count = 40;
    data.last_scheduled = 50;
    data.columns[0] = 2.5;
    memory.session.write(&data, Some("b")).unwrap();
}

fn write_unknown(memory: &Memory) {
    let mut data = memory.session.read(1).unwrap();
    data.task_id = 5;
    data.scheduled_count = 3;
    memory.session.write(&data, Some("a")).unwrap();
}

fn clear(memory: &Memory) {
    memory.session.clear().unwrap();
}

/// Of another session's file.
fn load(memory: &Memory) {
    memory.session.load(&super::checkpoint()).unwrap();
}

fn batch_first(memory: &Memory) {
    memory.session.update(1, 0.75, 1).unwrap();
}

fn batch_again(memory: &Memory) {
    memory.session.update(1, 0.25, 3).unwrap();
}

fn batch_unknown(memory: &Memory) {
    memory.session.update(5, 0.5, 4).unwrap();
}

fn batch_other_stripe(memory: &Memory) {
    memory.session.update(2, 0.5, 2).unwrap();
}

const BATCH_PARTS: &[fn(&Memory)] = &[
    create_unknown,
    note_score,
    batch_first,
    batch_again,
    batch_unknown,
    batch_other_stripe,
];

fn update_many(memory: &Memory) {
    let (ids, scores, steps) = ([1, 2, 1, 5], [0.75, 0.5, 0.25, 0.5], [1, 2, 3, 4]);
    memory.session.update_many(&ids, &scores, &steps).unwrap();
}

fn report(memory: &Memory, ticket: usize) -> Option<f64> {
    memory
        .session
        .report(&memory.tickets[ticket], 0.75, 2)
        .unwrap()
}

fn report_open(memory: &Memory) {
    report(memory, 4).expect("a live task");
}

fn report_late(memory: &Memory) {
    assert!(report(memory, 0).is_none());
}

fn update_twice(memory: &Memory) {
    update_known(memory);
    update_known(memory);
}

fn offer(memory: &Memory) {
    let structure = memory.session.table().lock_structure().unwrap();
    structure.offer(0, &Default::default()).unwrap();
}

/// An offer for a sync whose state the session has.
fn settle(memory: &Memory) {
    let structure = memory.session.table().lock_structure().unwrap();
    structure.offer(0, &Default::default()).unwrap();
    let journal = memory.session.table().journal().unwrap();
    journal.stand(1, Adopting::Not);
    structure.settle_offer().unwrap();
}

/// What a sync brings is not written down, also where somebody else has to finish it.
fn remove_by_sync(memory: &Memory) {
    let structure = memory.session.table().lock_structure().unwrap();
    let journal = memory.session.table().journal().unwrap();
    journal.stand(journal.number(), Adopting::Now);
    assert!(structure.remove(1, false).unwrap());
    journal.stand(journal.number(), Adopting::Not);
}

pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "update",
        setting: SOME,
        run: update_known,
        parts: &[note_score, update_known],
        loose: &[],
    },
    Operation {
        name: "update, one stripe",
        setting: ONE,
        run: update_known,
        parts: &[note_score, update_known],
        loose: &[],
    },
    whole("update, first score", SOME, batch_other_stripe),
    Operation {
        name: "update, unknown task",
        setting: SOME,
        run: update_unknown,
        parts: &[create_unknown, note_score, update_unknown],
        loose: &[],
    },
    Operation {
        name: "report by ticket",
        setting: SOME,
        run: report_open,
        parts: &[note_score, report_open],
        loose: &[],
    },
    whole("report by ticket, late", SOME, report_late),
    whole("create, first task", EMPTY, create_unknown),
    whole("create, last slot", WIDE, create_unknown),
    whole("create, known label", SOME, |memory| {
        create(&memory.session, 5, Some("b"))
    }),
    Operation {
        name: "create, new label",
        setting: ROOMY,
        run: create_newly_labelled,
        parts: &[intern, create_newly_labelled],
        loose: &[],
    },
    Operation {
        name: "create, label table full",
        setting: SOME,
        run: create_newly_labelled,
        parts: &[fold, intern, create_newly_labelled],
        loose: &[],
    },
    whole("remove", SOME, |memory| {
        assert!(memory.session.remove(1, false).unwrap())
    }),
    whole("evict", FULL, evict),
    whole("evict, last task", ONE, evict),
    Operation {
        name: "replace",
        setting: FULL,
        run: replace,
        parts: &[evict, create_unknown],
        loose: &[],
    },
    Operation {
        name: "replace, label table full",
        setting: FULL,
        run: replace_newly_labelled,
        parts: &[fold, intern, evict, create_newly_labelled],
        loose: &[],
    },
    whole("label, known", SOME, move_to_known_label),
    whole("label, none", WIDE, |memory| {
        memory.session.set_label(4, None).unwrap()
    }),
    Operation {
        name: "label, label table full",
        setting: SOME,
        run: move_to_new_label,
        parts: &[fold, intern, move_to_new_label],
        loose: &[],
    },
    whole("fold a label", SOME, fold),
    whole("limit a label", SOME, limit_known),
    whole("limit a limited label", LIMITED, limit_known),
    Operation {
        name: "limit a new label, label table full",
        setting: SOME,
        run: limit_unknown,
        parts: &[fold, intern, limit_unknown],
        loose: &[],
    },
    whole("lift limits", LIMITED, lift_limits),
    whole("set LP", SOME, |memory| {
        memory.session.set_lp(1, 0.5).unwrap()
    }),
    whole("set EMAs", SOME, |memory| {
        memory.session.set_emas(1, [0.1, 0.2, 0.3, 0.4]).unwrap()
    }),
    whole("set threshold", SOME, |memory| {
        memory.session.set_success_threshold(1, 0.25).unwrap()
    }),
    whole("set column", SOME, |memory| {
        memory.session.set_column(1, "staleness", 4.5).unwrap()
    }),
    Operation {
        name: "set weights",
        setting: SOME,
        run: weigh_two,
        parts: &[weigh_first, weigh_two],
        loose: &[],
    },
    Operation {
        name: "write, known task",
        setting: SOME,
        run: write_known,
        parts: &[],
        loose: &["scheduled", "last scheduled"],
    },
    whole("write, new task", SOME, write_unknown),
    Operation {
        name: "update batch",
        setting: SOME,
        run: update_many,
        parts: BATCH_PARTS,
        loose: &[],
    },
    Operation {
        name: "create batch",
        setting: EMPTY,
        run: |memory| {
            let new = memory.session.create_many(&[5, 6, 5], &[]).unwrap();
            assert_eq!(new, [true, true, false]);
        },
        parts: &[create_unknown, |memory| create(&memory.session, 6, None)],
        loose: &[],
    },
    Operation {
        name: "draw",
        setting: SOME,
        run: |memory| {
            draw(&memory.session, 1);
        },
        parts: &[],
        loose: &["scheduled", "last scheduled", "draws"],
    },
    whole("clear", SOME, clear),
    whole("clear with limits", LIMITED, clear),
    // Whoever comes next loads the file once more.
    whole("load", SOME, load),
    whole("load over limits", LIMITED, load),
    Operation {
        name: "update, journal",
        setting: SOME.synced(),
        run: update_known,
        parts: &[note_score, update_known],
        loose: &[],
    },
    Operation {
        name: "update, journal, end of a chunk",
        setting: CHUNK,
        run: update_twice,
        parts: &[note_score, update_known, update_known],
        loose: &[],
    },
    Operation {
        name: "update, journal, unknown task",
        setting: SOME.synced(),
        run: update_unknown,
        parts: &[create_unknown, note_score, update_unknown],
        loose: &[],
    },
    Operation {
        name: "update batch, journal",
        setting: SOME.synced(),
        run: update_many,
        parts: BATCH_PARTS,
        loose: &[],
    },
    Operation {
        name: "report by ticket, journal",
        setting: SOME.synced(),
        run: report_open,
        parts: &[note_score, report_open],
        loose: &[],
    },
    whole("remove, journal", SOME.synced(), |memory| {
        assert!(memory.session.remove(1, false).unwrap())
    }),
    Operation {
        name: "replace, journal, label table full",
        setting: FULL.synced(),
        run: replace_newly_labelled,
        parts: &[fold, intern, evict, create_newly_labelled],
        loose: &[],
    },
    Operation {
        name: "label, journal, label table full",
        setting: SOME.synced(),
        run: move_to_new_label,
        parts: &[fold, intern, move_to_new_label],
        loose: &[],
    },
    whole("set threshold, journal", SOME.synced(), |memory| {
        memory.session.set_success_threshold(1, 0.25).unwrap()
    }),
    whole("clear, journal", SOME.synced(), clear),
    whole("load, journal", SOME.synced(), load),
    whole("offer", WIDE.synced(), offer),
    whole("settle an offer", CHUNK, settle),
    whole("remove by a sync", SOME.synced(), remove_by_sync),
    whole("verify", WIDE, |memory| {
        memory.session.verify().unwrap();
    }),
];
