//! Sessions among real processes: who makes, joins, keeps and removes them.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

#[path = "segment/helper.rs"]
mod helper;
#[path = "segment/refusals.rs"]
mod refusals;
#[path = "segment/serving.rs"]
mod serving;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use curricle_core::segment::{self, Mode, Opened, Place, SessionInfo};
use helper::{Helper, add, open_at};

/// A session name of its own for each test; whatever is left of it goes on drop.
struct Name(String);

impl Name {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(format!("test-{}-{number}", std::process::id()))
    }

    fn place(&self) -> Place {
        Place::Name(self.0.clone())
    }

    fn file(&self) -> PathBuf {
        Path::new("/dev/shm").join(format!("curricle.{}", self.0))
    }

    fn listed(&self) -> Option<SessionInfo> {
        let sessions = segment::list().unwrap();
        sessions.into_iter().find(|info| info.name == self.0)
    }

    fn command(&self, command: &str) -> String {
        format!("{command} {}", self.0)
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = segment::remove(&self.0, true);
    }
}

/// The other half of the process tests; does nothing when run as a test.
#[test]
fn helper_process() {
    serving::serve();
}

#[test]
fn exactly_one_of_many_processes_creates() {
    let name = Name::new();
    let mut helpers: Vec<_> = (0..8).map(|_| Helper::start()).collect();
    for _ in 0..40 {
        for helper in &mut helpers {
            helper.tell(&name.command("open create-or-attach"));
        }
        let answers: Vec<_> = helpers.iter_mut().map(Helper::answer).collect();
        let created = answers.iter().filter(|&answer| answer == "Created").count();
        let attached = answers
            .iter()
            .filter(|&answer| answer == "Attached")
            .count();
        assert_eq!((created, attached), (1, 7), "{answers:?}");
        let generation = helpers[0].ask("generation");
        for helper in &mut helpers {
            assert_eq!(helper.ask("generation"), generation);
            helper.tell("close");
        }
        assert!(helpers.iter_mut().all(|helper| helper.answer() == "()"));
        assert!(
            !name.file().exists(),
            "the last to leave removes the session"
        );
    }
}

#[test]
fn coming_and_going_never_splits_a_session() {
    let name = Name::new();
    let mut helpers: Vec<_> = (0..8).map(|_| Helper::start()).collect();
    for helper in &mut helpers {
        helper.tell(&name.command("churn 150"));
    }
    let created: usize = helpers
        .iter_mut()
        .map(|helper| helper.answer().parse::<usize>().unwrap())
        .sum();
    assert!(created >= 1);
    assert!(!name.file().exists());
}

#[test]
fn kills_at_any_moment_leave_a_name_that_works() {
    let name = Name::new();
    for lines in 1..25 {
        let mut helpers: Vec<_> = (0..3).map(|_| Helper::start()).collect();
        for helper in &mut helpers {
            helper.tell(&name.command("churn-endlessly"));
        }
        for helper in &mut helpers {
            for _ in 0..lines {
                let answer = helper.answer();
                assert!(!answer.starts_with("error"), "{answer}");
            }
            helper.kill();
        }
    }
    let (segment, opened, _) = open_at(&name.place(), Mode::CreateOrAttach, false).unwrap();
    assert!(matches!(opened, Opened::Created | Opened::Replaced));
    segment.close().unwrap();
    assert!(!name.file().exists());
}

#[test]
fn threads_of_one_process_share_a_session() {
    let name = Name::new();
    let place = name.place();
    let opened: Vec<_> = std::thread::scope(|scope| {
        let open = || open_at(&place, Mode::CreateOrAttach, false).unwrap();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let created = opened
        .iter()
        .filter(|(_, opened, _)| *opened == Opened::Created);
    assert_eq!(created.count(), 1);
    assert_eq!(add(&opened[0].0).unwrap(), 1);
    assert_eq!(add(&opened[7].0).unwrap(), 2);
    drop(opened);
    assert!(!name.file().exists());
}

#[test]
fn a_closed_handle_says_so_and_keeps_its_memory() {
    let name = Name::new();
    let (first, _, _) = open_at(&name.place(), Mode::Create, false).unwrap();
    let (second, _, _) = open_at(&name.place(), Mode::Attach, false).unwrap();
    add(&first).unwrap();
    first.close().unwrap();
    first.close().unwrap();
    assert!(add(&first).unwrap_err().to_string().contains("was closed"));
    assert!(name.file().exists(), "somebody is still attached");
    assert_eq!(add(&second).unwrap(), 2);
    second.close().unwrap();
    assert!(!name.file().exists());
    assert_eq!(first.mapping().len(), helper::SIZE);
    assert_eq!(second.generation(), first.generation());
}

#[test]
fn a_touched_child_keeps_the_session_alive() {
    let name = Name::new();
    let mut helper = Helper::start();
    assert_eq!(
        helper.ask(&name.command("open create-or-attach")),
        "Created"
    );
    assert_eq!(helper.ask("add"), "1");
    assert_eq!(helper.ask("fork touched"), "2");
    assert_eq!(helper.ask("close"), "()");
    let (segment, opened, _) = open_at(&name.place(), Mode::Attach, false).unwrap();
    assert_eq!(opened, Opened::Attached);
    assert_eq!(add(&segment).unwrap(), 3);
    drop(segment);
    assert!(name.listed().is_some_and(|info| info.live == Some(true)));
    assert_eq!(helper.ask("release"), "left");
    assert_eq!(helper.answer(), "exit 0");
    assert!(!name.file().exists(), "the child was the last to leave");
}

#[test]
fn a_touched_child_survives_the_kill_of_its_parent() {
    let name = Name::new();
    let mut helper = Helper::start();
    assert_eq!(
        helper.ask(&name.command("open create-or-attach")),
        "Created"
    );
    assert_eq!(helper.ask("fork orphaned"), "1");
    helper.kill();
    assert!(name.listed().is_some_and(|info| info.live == Some(true)));
    helper.end_input();
    assert_eq!(helper.answer(), "left");
    assert_eq!(helper.next_answer(), None);
    assert!(!name.file().exists());
}

#[test]
fn an_untouched_child_neither_counts_nor_removes() {
    let name = Name::new();
    let mut helper = Helper::start();
    assert_eq!(
        helper.ask(&name.command("open create-or-attach")),
        "Created"
    );
    assert_eq!(helper.ask("fork untouched"), "untouched");
    assert_eq!(helper.ask("release"), "left");
    assert_eq!(helper.answer(), "exit 0");
    assert!(name.file().exists(), "the parent is still attached");
    assert_eq!(helper.ask("fork untouched"), "untouched");
    assert_eq!(helper.ask("close"), "()");
    assert!(
        !name.file().exists(),
        "a child that never used the session does not hold it"
    );
    // Its drop must not take the place's next session for its own.
    let (segment, opened, _) = open_at(&name.place(), Mode::CreateOrAttach, false).unwrap();
    assert_eq!(opened, Opened::Created);
    assert_eq!(helper.ask("release"), "left");
    assert_eq!(helper.answer(), "exit 0");
    assert!(name.file().exists());
    drop(segment);
}

#[test]
fn an_untouched_child_does_not_keep_a_killed_parents_session() {
    let name = Name::new();
    let mut helper = Helper::start();
    assert_eq!(
        helper.ask(&name.command("open create-or-attach")),
        "Created"
    );
    assert_eq!(helper.ask("fork untouched-orphaned"), "untouched-orphaned");
    helper.kill();
    // The child still lives, with the parent's mapping.
    assert!(name.listed().is_some_and(|info| info.live == Some(false)));
    let (segment, opened, _) = open_at(&name.place(), Mode::CreateOrAttach, false).unwrap();
    assert_eq!(opened, Opened::Replaced);
    helper.end_input();
    assert_eq!(helper.answer(), "left");
    assert_eq!(helper.next_answer(), None);
    assert!(name.file().exists());
    drop(segment);
}

#[test]
fn forks_amid_opening_and_closing_threads_do_no_harm() {
    let name = Name::new();
    assert_eq!(
        Helper::start().ask(&name.command("forks-amid-churn 100")),
        "()"
    );
    assert!(!name.file().exists());
}

#[test]
fn forks_leave_local_critical_sections_whole() {
    assert_eq!(Helper::start().ask("guarded-forks 100"), "whole");
}

#[test]
fn a_dead_session_is_replaced() {
    let name = Name::new();
    let mut helper = Helper::start();
    assert_eq!(
        helper.ask(&name.command("open create-or-attach")),
        "Created"
    );
    assert_eq!(helper.ask("add"), "1");
    helper.kill();
    let info = name.listed().unwrap();
    assert_eq!((info.live, info.persist), (Some(false), Some(false)));
    let error = open_at(&name.place(), Mode::Attach, false).unwrap_err();
    assert!(error.to_string().contains("is dead"), "{error}");
    let (look, _, _) = open_at(&name.place(), Mode::ReadOnly, false).unwrap();
    assert!(!look.is_live().unwrap());
    let (segment, opened, _) = open_at(&name.place(), Mode::CreateOrAttach, false).unwrap();
    assert_eq!(opened, Opened::Replaced);
    assert_eq!(add(&segment).unwrap(), 1);
}

#[test]
fn a_persistent_session_is_revived() {
    let name = Name::new();
    let (segment, opened, _) = open_at(&name.place(), Mode::CreateOrAttach, true).unwrap();
    assert_eq!(opened, Opened::Created);
    assert!(segment.persists());
    add(&segment).unwrap();
    drop(segment);
    let info = name.listed().unwrap();
    assert_eq!((info.live, info.persist), (Some(false), Some(true)));
    assert!(open_at(&name.place(), Mode::Create, true).is_err());
    let (segment, opened, standing) = open_at(&name.place(), Mode::Attach, false).unwrap();
    assert_eq!(opened, Opened::Revived { new_boot: false });
    let standing = standing.unwrap();
    assert!(standing.exclusive && standing.synced && !standing.new_boot);
    assert_eq!(add(&segment).unwrap(), 2);
    drop(segment);
    assert!(segment::remove(&name.0, false).unwrap());
    assert!(!segment::remove(&name.0, false).unwrap());
}

#[test]
fn a_path_outlives_processes_boots_and_kills() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.session");
    let place = Place::Path(file.clone());
    let (segment, opened, _) = open_at(&place, Mode::CreateOrAttach, false).unwrap();
    assert_eq!(opened, Opened::Created);
    assert_eq!(add(&segment).unwrap(), 1);
    segment.close().unwrap();

    refusals::overwrite(&file, 32, &[7; 8]);
    let (segment, opened, standing) = open_at(&place, Mode::CreateOrAttach, false).unwrap();
    assert_eq!(opened, Opened::Revived { new_boot: true });
    assert!(standing.unwrap().synced);
    // The boot is ours now, so that others can join.
    let (joined, opened, standing) = open_at(&place, Mode::Attach, false).unwrap();
    assert_eq!(opened, Opened::Attached);
    assert!(!standing.unwrap().exclusive);
    assert_eq!(add(&joined).unwrap(), 2);
    drop((segment, joined));

    let mut helper = Helper::start();
    let command = format!("open attach {}", file.display());
    assert_eq!(helper.ask(&command), "Revived { new_boot: false }");
    assert_eq!(helper.ask("add"), "3");
    helper.kill();
    let (segment, _, standing) = open_at(&place, Mode::Attach, false).unwrap();
    assert!(!standing.unwrap().synced, "nobody left in order");
    assert_eq!(add(&segment).unwrap(), 4);
    drop(segment);
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "no lock file stays"
    );
}

#[test]
fn a_look_neither_writes_nor_keeps_a_session() {
    let name = Name::new();
    let (writer, _, _) = open_at(&name.place(), Mode::Create, false).unwrap();
    let (reader, opened, _) = open_at(&name.place(), Mode::ReadOnly, false).unwrap();
    assert_eq!(opened, Opened::Attached);
    assert!(reader.is_read_only() && !writer.is_read_only());
    assert!(reader.is_live().unwrap());
    let ours = name.listed().unwrap();
    assert_eq!(ours.processes, Some(vec![std::process::id()]));
    assert_eq!(ours.origin.creator, Some(std::process::id()));
    assert_eq!(ours.origin, reader.origin());
    let age = ours.origin.created.unwrap().elapsed().unwrap();
    assert!(age.as_secs() < 60, "{age:?}");
    assert_eq!(add(&writer).unwrap(), 1);
    drop(writer);
    assert!(!name.file().exists(), "a look keeps nothing");
    assert!(!reader.is_live().unwrap());
    // What was there stays to be looked at.
    let content: &[std::sync::atomic::AtomicU64] = reader.mapping().slice(segment::PREAMBLE, 1);
    assert_eq!(content[0].load(Ordering::Relaxed), 1);
    let (next, opened, _) = open_at(&name.place(), Mode::CreateOrAttach, false).unwrap();
    assert_eq!(opened, Opened::Created);
    assert!(
        !reader.is_live().unwrap(),
        "the next one is another session"
    );
    drop(reader);
    assert!(name.listed().unwrap().live.unwrap());
    drop(next);
}

#[test]
fn a_live_session_is_removed_by_force_only() {
    let name = Name::new();
    let (segment, _, _) = open_at(&name.place(), Mode::Create, false).unwrap();
    let error = segment::remove(&name.0, false).unwrap_err().to_string();
    assert!(
        error.contains(&name.0) && error.contains("in use"),
        "{error}"
    );
    assert!(segment::remove(&name.0, true).unwrap());
    assert_eq!(add(&segment).unwrap(), 1);
    let (next, opened, _) = open_at(&name.place(), Mode::CreateOrAttach, false).unwrap();
    assert_eq!(opened, Opened::Created);
    drop(segment);
    assert!(
        name.file().exists(),
        "the next session is not the removed one"
    );
    drop(next);
}

#[test]
fn a_list_tells_names_and_sizes() {
    let name = Name::new();
    let (segment, _, _) = open_at(&name.place(), Mode::Create, false).unwrap();
    let info = name.listed().unwrap();
    assert_eq!(info.path, name.file());
    assert_eq!(info.bytes, helper::SIZE as u64);
    assert_eq!((info.live, info.persist), (Some(true), Some(false)));
    drop(segment);
    assert_eq!(name.listed(), None);
}

#[test]
fn a_session_is_made_without_proc() {
    let name = Name::new();
    let answer = Helper::start().ask(&name.command("without-proc"));
    assert!(answer == "Created" || answer == "unprivileged", "{answer}");
    assert!(!name.file().exists());
}
