//! The sessions that changes start from.

use super::memory::Memory;
use crate::journal::CHUNK_ENTRIES;
use crate::limits::Limits;
use crate::options::SessionOptions;
use crate::rules::Rules;
use crate::segment::Place;
use crate::session::Session;
use crate::stream::Stream;
use crate::structure::NewTask;
use crate::ticket::Ticket;

/// A session to start from.
#[derive(Clone, Copy)]
pub struct Setting {
    pub capacity: usize,
    /// Room of the journal, 0 without one.
    pub sync_episodes: usize,
    pub make: fn(&Session) -> Vec<Ticket>,
}

impl Setting {
    /// The same with a journal.
    pub const fn synced(self) -> Self {
        Self {
            sync_episodes: 200,
            ..self
        }
    }

    fn open(&self, place: Place) -> Session {
        let options = SessionOptions {
            capacity: Some(self.capacity),
            rules: Some(Rules::default()),
            place,
            columns: vec!["staleness".to_owned()],
            max_labels: 2,
            max_inactive_labels: 0,
            sync_episodes: self.sync_episodes,
            seed: 7,
            ..SessionOptions::default()
        };
        Session::open(&options).unwrap()
    }

    /// In a file, so that processes can share it; and a fork, which waits for the locks of local
    /// sessions, keeps away from it.
    pub fn memory(&self) -> Memory {
        let folder = tempfile::tempdir().unwrap();
        let session = self.open(Place::Path(folder.path().join("session")));
        let tickets = (self.make)(&session);
        Memory::of(session, tickets, folder)
    }
}

pub fn labelled(label: &str) -> NewTask<'_> {
    NewTask {
        label: Some(label),
        ..NewTask::default()
    }
}

pub fn create(session: &Session, task_id: i64, label: Option<&str>) {
    let new = NewTask {
        label,
        ..NewTask::default()
    };
    assert!(session.create(task_id, &new).unwrap());
}

pub fn draw(session: &Session, n: usize) -> Vec<Ticket> {
    session
        .draw_many(n, true, Some(&mut Stream::new(1, 1)))
        .unwrap()
}

pub const EMPTY: Setting = Setting {
    capacity: 3,
    sync_episodes: 0,
    make: |_| Vec::new(),
};

/// One task, one stripe.
pub const ONE: Setting = Setting {
    capacity: 1,
    sync_episodes: 0,
    make: |session| {
        create(session, 1, Some("a"));
        session.update(1, 0.5, 1).unwrap();
        draw(session, 2)
    },
};

/// As [`ONE`], with a journal whose next entry is the last but one of its chunk.
pub const CHUNK: Setting = Setting {
    capacity: 1,
    sync_episodes: 200,
    make: |session| {
        let tickets = (ONE.make)(session);
        for _ in 0..CHUNK_ENTRIES - 4 {
            session.update(1, 0.5, 1).unwrap();
        }
        tickets
    },
};

/// Two tasks in two stripes, a free slot, and a full label table in which one label has had draws
/// and scores but has no task any more. The first two tickets are late.
pub const SOME: Setting = Setting {
    capacity: 3,
    sync_episodes: 0,
    make: |session| {
        create(session, 9, Some("b"));
        let mut tickets = draw(session, 2);
        session.update(9, 0.5, 2).unwrap();
        session.remove(9, true).unwrap();
        create(session, 1, Some("a"));
        create(session, 2, Some("a"));
        session.update(1, 0.2, 1).unwrap();
        tickets.extend(draw(session, 5));
        tickets
    },
};

/// Two tasks without labels, and a free slot.
pub const ROOMY: Setting = Setting {
    capacity: 3,
    sync_episodes: 0,
    make: |session| {
        create(session, 1, None);
        create(session, 2, None);
        session.update(1, 0.2, 1).unwrap();
        draw(session, 4)
    },
};

/// As [`SOME`], without a free slot.
pub const FULL: Setting = Setting {
    capacity: 3,
    sync_episodes: 0,
    make: |session| {
        let tickets = (SOME.make)(session);
        create(session, 3, None);
        session.update(3, 0.9, 1).unwrap();
        tickets
    },
};

/// Four tasks in four stripes, and a free slot.
pub const WIDE: Setting = Setting {
    capacity: 5,
    sync_episodes: 0,
    make: |session| {
        for (id, label) in [(1, Some("a")), (2, Some("a")), (3, None), (4, Some("b"))] {
            create(session, id, label);
        }
        session.update(4, 1.0, 1).unwrap();
        draw(session, 8)
    },
};

/// Full, with slots in two words of the free-slot bits.
pub const LONG: Setting = Setting {
    capacity: 66,
    sync_episodes: 0,
    make: |session| {
        (1..=66).for_each(|id| create(session, id, None));
        Vec::new()
    },
};

/// A session with a late report, retired tasks and two labels, one of them unknown elsewhere.
pub fn save_another(path: &std::path::Path) {
    let memory = FULL.memory();
    let late = memory.session.report(&memory.tickets[0], 0.75, 2);
    assert!(late.unwrap().is_none());
    memory.session.remove(2, true).unwrap();
    memory.session.create(8, &labelled("x")).unwrap();
    memory.session.update(8, -2.0, 5).unwrap();
    memory.session.save(path).unwrap();
}

/// As [`SOME`], with limits on the label without tasks.
pub const LIMITED: Setting = Setting {
    capacity: SOME.capacity,
    sync_episodes: 0,
    make: |session| {
        let tickets = (SOME.make)(session);
        limit(session, "b", 0.125);
        tickets
    },
};

pub fn limit(session: &Session, label: &str, least: f64) {
    let limits = Limits { least, most: 0.5 };
    session.limit_share(label, limits).unwrap();
}
