//! What is refused, and in which words.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use curricle_core::Error;
use curricle_core::segment::{MAX_NAME, Mode, PREAMBLE, Place, Request, Segment};

use super::Name;
use super::helper::{Helper, SIZE, open_at};

/// Writes into a session file from outside.
pub fn overwrite(path: &Path, offset: u64, bytes: &[u8]) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(bytes, offset).unwrap();
}

fn refusal(place: &Place, mode: Mode) -> String {
    match open_at(place, mode, false) {
        Err(Error::Session(text)) => text,
        Err(other) => panic!("not a session error: {other}"),
        Ok((_, opened, _)) => panic!("{opened:?}"),
    }
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

#[test]
fn names_outside_the_rules() {
    let long = "n".repeat(MAX_NAME + 1);
    for name in ["", ".hidden", "a/b", "a\0b", "a.lock", &long] {
        let place = Place::Name(name.to_owned());
        match open_at(&place, Mode::CreateOrAttach, false) {
            Err(Error::Value(text)) => assert_says(&text, &["200 bytes", "no '/'"]),
            other => panic!("{name:?}: {other:?}"),
        }
    }
    for path in ["/", "/no/such/folder/session", "/tmp/session.lock"] {
        let place = Place::Path(path.into());
        let error = open_at(&place, Mode::CreateOrAttach, false).unwrap_err();
        assert!(matches!(error, Error::Value(_)), "{path}: {error}");
    }
}

#[test]
fn the_longest_name_works() {
    let place = Place::Name(format!("{:x<MAX_NAME$}", super::Name::new().0));
    drop(open_at(&place, Mode::Create, false).unwrap());
}

#[test]
fn sessions_that_do_not_exist() {
    let name = Name::new();
    for mode in [Mode::Attach, Mode::ReadOnly] {
        assert_says(&refusal(&name.place(), mode), &["no such session"]);
    }
    assert!(!name.file().exists());
    for mode in [Mode::Attach, Mode::ReadOnly] {
        let error = open_at(&Place::Local, mode, false).unwrap_err();
        assert!(matches!(error, Error::Value(_)));
    }
}

#[test]
fn sessions_that_are_live_where_a_new_one_is_asked_for() {
    let name = Name::new();
    let _live = open_at(&name.place(), Mode::Create, false).unwrap();
    assert_says(&refusal(&name.place(), Mode::Create), &["in use"]);
}

#[test]
fn files_cut_short() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session");
    let place = Place::Path(path.clone());
    drop(open_at(&place, Mode::Create, false).unwrap());
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(SIZE as u64 - 4096).unwrap();
    let sizes = [SIZE.to_string(), (SIZE - 4096).to_string()];
    assert_says(
        &refusal(&place, Mode::CreateOrAttach),
        &[path.to_str().unwrap(), &sizes[0], &sizes[1]],
    );
    for length in [0, PREAMBLE as u64 - 1] {
        file.set_len(length).unwrap();
        let counts = format!("has {length} bytes");
        assert_says(
            &refusal(&place, Mode::CreateOrAttach),
            &[&counts, "not a session"],
        );
    }
}

#[test]
fn files_that_are_no_session() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let place = Place::Path(path.clone());
    let text = "somebody's notes, not to be touched; ".repeat(10);
    fs::write(&path, &text).unwrap();
    assert_says(
        &refusal(&place, Mode::CreateOrAttach),
        &["somebody", "CURRICLE", path.to_str().unwrap()],
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), text);

    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for not_a_file in [link, folder.path().to_owned()] {
        let place = Place::Path(not_a_file);
        assert_says(
            &refusal(&place, Mode::CreateOrAttach),
            &["not a plain file"],
        );
    }
}

#[test]
fn sessions_of_another_kind_of_system() {
    let fields = [
        (8, "byte order", "01010101"),
        (12, "format version", "16843009"),
        (32, "boot id", "0101010101010101"),
        (40, "pid namespace", "72340172838076673"),
        (56, "C library", "16843009"),
        (60, "mutex size", "16843009"),
    ];
    for (offset, what, theirs) in fields {
        let name = Name::new();
        let (live, _, _) = open_at(&name.place(), Mode::Create, true).unwrap();
        let length = if theirs.len() == 16 || what == "pid namespace" {
            8
        } else {
            4
        };
        overwrite(&name.file(), offset, &vec![1; length]);
        let text = refusal(&name.place(), Mode::CreateOrAttach);
        assert_says(&text, &[what, theirs, name.file().to_str().unwrap()]);
        drop(live);
        assert!(name.file().exists());
        let system = ["boot id", "pid namespace"].contains(&what);
        let look = open_at(&name.place(), Mode::ReadOnly, false);
        assert_eq!(look.is_ok(), system, "a look uses no lock");
        let alone = open_at(&name.place(), Mode::Attach, false);
        assert_eq!(
            alone.is_ok(),
            system,
            "alone, only locks are tied to boot and namespace"
        );
    }
}

#[test]
fn more_than_there_is_room_for() {
    let name = Name::new();
    for size in [1 << 50, usize::MAX] {
        let request = Request {
            place: &name.place(),
            mode: Mode::Create,
            persist: false,
            size: Some(size),
            init: &|_| Ok(()),
            check: &|_, _| Ok(()),
        };
        let error = Segment::open(&request).unwrap_err();
        assert!(matches!(error, Error::Session(_)));
        let text = error.to_string();
        assert_says(
            &text,
            &[&size.to_string(), "bytes are available in /dev/shm"],
        );
        assert_says(
            &text,
            &["capacity", "--shm-size", "path on a disk", "local backend"],
        );
        assert!(!name.file().exists());
    }
    let folder = tempfile::tempdir().unwrap();
    let command = format!("small-disk {}", folder.path().display());
    let answer = Helper::start().ask(&command);
    if answer != "unprivileged" {
        assert_says(&answer, &["needs 65536 bytes, ", "bytes are available in"]);
        let available = answer.split("needs 65536 bytes, ").nth(1).unwrap();
        let available: usize = available.split(' ').next().unwrap().parse().unwrap();
        // The file system keeps a page or so for itself.
        assert!((16_384..=32_768).contains(&available), "{answer}");
    }
}

#[test]
fn processes_of_another_namespace_or_user() {
    let name = Name::new();
    let _live = open_at(&name.place(), Mode::Create, false).unwrap();
    let answer = Helper::start().ask(&name.command("other-namespace"));
    if answer != "unprivileged" {
        assert_says(&answer, &["error", "pid namespace"]);
    }
    let answer = Helper::start().ask(&name.command("other-user"));
    if answer != "unprivileged" {
        assert_says(&answer, &["belongs to user 0", "runs as user 65534"]);
    }
}

#[test]
fn content_that_the_caller_refuses() {
    let name = Name::new();
    let (live, _, _) = open_at(&name.place(), Mode::Create, false).unwrap();
    let request = Request {
        place: &name.place(),
        mode: Mode::CreateOrAttach,
        persist: false,
        size: Some(SIZE),
        init: &|_| Ok(()),
        check: &|_, _| Err(Error::Value("another capacity".to_owned())),
    };
    let error = Segment::open(&request).unwrap_err();
    assert_eq!(error.to_string(), "another capacity");
    drop(live);
    assert!(!name.file().exists());
    let request = Request {
        init: &|_| Err(Error::Value("cannot be filled".to_owned())),
        ..request
    };
    assert!(Segment::open(&request).is_err());
    assert!(!name.file().exists(), "nothing half-made stays");
}
