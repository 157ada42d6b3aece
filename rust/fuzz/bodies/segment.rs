//! A file as a session: it is refused, or it works.

use std::fs::{self, File};
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use curricle_core::segment::{Mode, Place, boot_id, pid_namespace};
use curricle_core::{Error, Session};

use super::edits::{apply, bytes_of, without_zeros, words_of};
use super::seeds::smallest;
use super::sessions::{lived_in, options, seen, use_up};

/// Words of the part that says what the file is, before any content.
const PREAMBLE_WORDS: usize = 16;
/// Bytes that say which boot of the machine and which pid namespace had the session last.
const OWNER: Range<usize> = 32..48;

/// Any bytes as a session's file: as they are, and with the zeros up to the size of the smallest
/// session that inputs leave out, most of which are its open tickets.
pub fn segment_file(input: &[u8]) {
    open(input, input.len(), Mode::Attach);
    let size = input.len().max(smallest());
    open(input, size, Mode::ReadOnly);
    open(input, size, Mode::Attach);
}

/// A valid session's file with some words changed, of those that hold anything. The first byte says
/// which ones may be, and how the file is opened.
pub fn segment_edits(input: &[u8]) {
    static VALID: OnceLock<(Vec<u64>, usize)> = OnceLock::new();
    let (valid, size) = VALID.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("session");
        lived_in(Place::Path(path.clone()))
            .close()
            .expect("the last one leaves");
        let bytes = fs::read(&path).expect("the file of a session at a path stays");
        let words = words_of(&bytes);
        (without_zeros(&words).to_vec(), bytes.len())
    });
    let Some((how, edits)) = input.split_first() else {
        return;
    };
    let start = if how & 1 == 0 { PREAMBLE_WORDS } else { 0 };
    let mut words = valid[start..].to_vec();
    apply(edits, &mut words, false);
    let bytes = bytes_of(&[&valid[..start], &words].concat());
    let mode = if how & 2 == 0 {
        Mode::Attach
    } else {
        Mode::ReadOnly
    };
    open(&bytes, *size, mode);
}

/// A session in a file that holds these bytes and zeros up to `size`. One that names no boot of the
/// machine is of this one, as only such a file can be read without taking it over.
///
/// # Errors
/// What opening it gives.
pub fn session_of(bytes: &[u8], size: usize, mode: Mode, folder: &Path) -> Result<Session, Error> {
    let path = folder.join("session");
    let mut bytes = bytes.to_vec();
    let owner = bytes.get_mut(OWNER).filter(|owner| **owner == [0; 16]);
    if let Some(owner) = owner {
        owner.copy_from_slice(&bytes_of(&[boot_id(), pid_namespace()]));
    }
    fs::write(&path, bytes).expect("a file");
    let file = File::options().write(true).open(&path).expect("the file");
    file.set_len(size as u64).expect("a hole");
    Session::open(&options(Place::Path(path), mode))
}

fn open(bytes: &[u8], size: usize, mode: Mode) {
    let folder = tempfile::tempdir().expect("a folder");
    match session_of(bytes, size, mode, folder.path()) {
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
