//! A file as a session: it is refused, or it works.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use curricle_core::segment::{Mode, Place};
use curricle_core::{Error, Session};

use super::edits::{apply, bytes_of, words_of};
use super::sessions::{lived_in, options, seen, use_up};

/// Words of the part that says what the file is, before any content.
const PREAMBLE_WORDS: usize = 16;

/// Any bytes as a session's file.
pub fn segment_file(input: &[u8]) {
    open(input, Mode::ReadOnly);
    open(input, Mode::Attach);
}

/// A valid session's file with some words changed. The first byte says which ones may be, and how
/// the file is opened.
pub fn segment_edits(input: &[u8]) {
    static VALID: OnceLock<Vec<u64>> = OnceLock::new();
    let valid = VALID.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("session");
        lived_in(Place::Path(path.clone()))
            .close()
            .expect("the last one leaves");
        words_of(&fs::read(path).expect("the file of a session at a path stays"))
    });
    let Some((how, edits)) = input.split_first() else {
        return;
    };
    let start = if how & 1 == 0 { PREAMBLE_WORDS } else { 0 };
    let mut words = valid[start..].to_vec();
    apply(edits, &mut words, false);
    let bytes = bytes_of(&[&valid[..start], &words].concat());
    open(
        &bytes,
        if how & 2 == 0 {
            Mode::Attach
        } else {
            Mode::ReadOnly
        },
    );
}

fn open(bytes: &[u8], mode: Mode) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("session");
    fs::write(&path, bytes).expect("a file");
    match Session::open(&options(Place::Path(path), mode)) {
        Ok(session) => work(&session, mode, folder.path()),
        Err(Error::Session(_)) => {}
        Err(error) => panic!("{error}"),
    }
}

fn work(session: &Session, mode: Mode, folder: &Path) {
    seen(session);
    if mode == Mode::Attach {
        use_up(session, folder);
        seen(session);
    }
    session.close().expect("the last one leaves");
}
