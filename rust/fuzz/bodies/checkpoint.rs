//! A file as a checkpoint: it is loaded whole, or nothing has changed.

use std::fs;
use std::sync::OnceLock;

use curricle_core::segment::{Mode, Place};
use curricle_core::{Error, Session};
use xxhash_rust::xxh3::xxh3_64;

use super::edits::{apply, bytes_of, words_of};
use super::sessions::{lived_in, options, other_rules, seen, use_up};

/// Magic, version and number of words.
pub(super) const HEAD_WORDS: usize = 3;

fn valid() -> &'static [u64] {
    static VALID: OnceLock<Vec<u64>> = OnceLock::new();
    VALID.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("checkpoint");
        lived_in(Place::Local).save(&path).expect("room");
        words_of(&fs::read(path).expect("what was saved"))
    })
}

/// Any bytes as a checkpoint: as they are, and as the body of one whose head and hash fit.
pub fn checkpoint_file(input: &[u8]) {
    load(input);
    load(&framed(&words_of(input)));
}

/// A valid checkpoint with some words changed and a head and a hash that fit.
pub fn checkpoint_edits(input: &[u8]) {
    let mut body = valid()[HEAD_WORDS..valid().len() - 1].to_vec();
    apply(input, &mut body, true);
    load(&framed(&body));
}

/// A file with this body: its head and its hash fit.
pub fn framed(body: &[u64]) -> Vec<u8> {
    let length = (HEAD_WORDS + body.len() + 1) as u64;
    let mut bytes = bytes_of(&[&valid()[..2], &[length], body].concat());
    bytes.extend(xxh3_64(&bytes).to_le_bytes());
    bytes
}

fn load(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("checkpoint");
    fs::write(&path, bytes).expect("a file");
    let mut options = options(Place::Local, Mode::Create);
    options.rules = Some(other_rules());
    let other = Session::open(&options).expect("a new session");
    for session in [lived_in(Place::Local), other] {
        let stream = session.stream_state().expect("a stream");
        let before = seen(&session);
        match session.load(&path) {
            Ok(_) => {
                session
                    .verify()
                    .expect("what was loaded agrees with itself");
                seen(&session);
                use_up(&session, folder.path());
            }
            Err(Error::Checkpoint { .. }) => {
                assert_eq!(before, seen(&session));
                assert_eq!(stream, session.stream_state().expect("a stream"));
                session.verify().expect("nothing has changed");
            }
            Err(error) => panic!("{error}"),
        }
    }
}
