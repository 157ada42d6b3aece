//! A session that was last used in another boot: its locks mean nothing any more, and whatever
//! follows from the records is made anew.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::fs::File;
use std::mem::offset_of;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use curricle_core::layout::{Header, Layout, Shape, Stripe};
use curricle_core::segment::{Mode, Opened, Place};
use curricle_core::{Error, NewTask, Rules, Session, SessionOptions, Stream};

const SHAPE: Shape = Shape {
    capacity: 500,
    columns: 0,
    max_labels: 8,
    sync_episodes: 0,
};
const TASKS: i64 = 400;
/// Offsets in every session's file.
const SYNCED: u64 = 28;
const BOOT: u64 = 32;

fn open(path: &Path, mode: Mode) -> Result<Session, Error> {
    Session::open(&SessionOptions {
        capacity: Some(SHAPE.capacity),
        rules: Some(Rules::default()),
        place: Place::Path(path.to_owned()),
        max_labels: SHAPE.max_labels,
        max_inactive_labels: 4,
        seed: 1,
        mode,
        lock_timeout: Duration::from_millis(200),
        ..SessionOptions::default()
    })
}

/// Makes a session with tasks, updates, draws and removals, and leaves it in order.
fn make(path: &Path) {
    let session = open(path, Mode::Create).unwrap();
    let mut stream = Stream::new(1, 2);
    for task_id in 0..TASKS {
        let label = ["a", "b", "c"][usize::try_from(task_id).unwrap() % 3];
        let task = NewTask {
            label: Some(label),
            ..NewTask::default()
        };
        session.create(task_id, &task).unwrap();
    }
    for _ in 0..1000 {
        let ticket = session.draw(Some(&mut stream)).unwrap();
        session.report(&ticket, stream.next_f64(), 2).unwrap();
    }
    for task_id in (0..TASKS).step_by(7) {
        session.remove(task_id, false).unwrap();
    }
    session.close().unwrap();
}

fn overwrite(path: &Path, offset: u64, bytes: &[u8]) {
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(bytes, offset).unwrap();
}

/// What follows from the records, and the locks: offset and length of each.
fn parts() -> Vec<(&'static str, usize, usize)> {
    let layout = Layout::new(SHAPE);
    let dense = layout.stripes * layout.per_stripe * 8;
    let blocks = layout.stripes * layout.block_span * 8;
    let structure = layout.header + offset_of!(Header, structure);
    let mut parts = vec![
        ("index", layout.heads_at, SHAPE.capacity * 8),
        (
            "free slots",
            layout.used_at,
            SHAPE.capacity.div_ceil(64) * 8,
        ),
        ("weights of blocks", layout.block_weights_at, blocks),
        ("counts of blocks", layout.block_counts_at, blocks),
        ("drawn words", layout.drawn_at, dense),
        ("LP for draws", layout.progress_at, dense),
        ("ids for scans", layout.task_ids_at, dense),
        ("structure lock", structure, 64),
    ];
    for stripe in 0..layout.stripes {
        let lock = layout.stripes_at + stripe * size_of::<Stripe>() + offset_of!(Stripe, lock);
        parts.push(("lock of a stripe", lock, 64));
    }
    parts
}

#[test]
fn everything_that_follows_from_the_records_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    for damage in [0x00, 0xFF, 0x5A] {
        let path = folder.path().join(format!("session-{damage}"));
        make(&path);
        let session = open(&path, Mode::Attach).unwrap();
        let before = session.verify().unwrap();
        let records = |session: &Session| {
            let read = |task_id| session.read(task_id);
            (0..TASKS).map(read).collect::<Vec<_>>()
        };
        let records_before = format!("{:?}", records(&session));
        session.close().unwrap();
        for (_, offset, length) in parts() {
            overwrite(&path, offset as u64, &vec![damage; length]);
        }
        overwrite(&path, BOOT, &[7; 8]);
        let session = open(&path, Mode::Attach).unwrap();
        assert_eq!(session.opened(), Opened::Revived { new_boot: true });
        assert_eq!(session.verify().unwrap(), before, "damage {damage:#x}");
        assert_eq!(format!("{:?}", records(&session)), records_before);
        // It works, too: slots are free, locks can be had, draws find their tasks.
        let mut stream = Stream::new(3, 4);
        for task_id in TASKS..TASKS + 50 {
            assert!(session.create(task_id, &NewTask::default()).unwrap());
        }
        for _ in 0..1000 {
            let ticket = session.draw(Some(&mut stream)).unwrap();
            session.report(&ticket, 0.5, 1).unwrap();
        }
        let after = session.verify().unwrap();
        assert_eq!(after.tasks, before.tasks + 50);
        assert_eq!(after.completions, before.completions + 1000);
    }
}

#[test]
fn a_session_that_was_not_written_to_the_disk_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session");
    make(&path);
    overwrite(&path, SYNCED, &[0; 4]);
    // In the same boot the memory of the file is what counts.
    open(&path, Mode::Attach).unwrap().close().unwrap();
    overwrite(&path, SYNCED, &[0; 4]);
    overwrite(&path, BOOT, &[7; 8]);
    for mode in [Mode::Attach, Mode::CreateOrAttach] {
        match open(&path, mode) {
            Err(Error::Session(text)) => {
                assert!(text.contains(path.to_str().unwrap()), "{text}");
                assert!(text.contains("remove the file"), "{text}");
            }
            other => panic!("{:?}", other.map(|session| session.opened())),
        }
    }
}
