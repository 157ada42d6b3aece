//! Listing and removing named sessions.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::draft::draft_of;
use super::failure;
use super::flock::{identity, try_flock};
use super::identity::user;
use super::lockfile::{LOOK, LockFile, beside};
use super::members::members;
use super::origin::Origin;
use super::place::{FOLDER, LOCK_SUFFIX, PREFIX, named};
use super::preamble::Preamble;
use super::shared::{is_held, open_file};
use crate::{Error, Result};

/// One named session of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// The session's name.
    pub name: String,
    /// The session's file.
    pub path: PathBuf,
    /// Whether a process is attached; unknown for another user's session.
    pub live: Option<bool>,
    /// Whether the session outlives its processes; unknown for another user's session and for a
    /// damaged one.
    pub persist: Option<bool>,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Inode of the file.
    pub inode: u64,
    /// When and by whom it was made; unknown for another user's session and for a damaged one.
    pub origin: Origin,
    /// Ids of the attached processes; unknown where the system does not tell, as of another
    /// container's.
    pub processes: Option<Vec<u32>>,
    /// Time of the last change of the file by other means than through a mapping.
    pub modified: SystemTime,
    /// User id of the owner.
    pub owner: u32,
}

/// Every named session, dead ones and other users' included, in order of their names. What
/// killed processes left beside sessions goes: lock files, and drafts where these need a name.
///
/// # Errors
///
/// [`Error::Session`] where the folder cannot be read.
pub fn list() -> Result<Vec<SessionInfo>> {
    let folder = Path::new(FOLDER);
    let fail = |error: io::Error| failure(folder, "cannot be listed", &error);
    let mut sessions = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let (file, path) = (entry.file_name(), entry.path());
        let Some(name) = file.to_str().and_then(|file| file.strip_prefix(PREFIX)) else {
            continue;
        };
        if let Some(session) = name.strip_suffix(LOCK_SUFFIX) {
            sweep(&path, session.strip_suffix(LOCK_SUFFIX).unwrap_or(session));
            continue;
        }
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() && !name.is_empty() => {
                sessions.extend(describe(name.to_owned(), path, &metadata)?);
            }
            // Another kind of file is no session; one that vanished meanwhile none any more.
            _ => {}
        }
    }
    sessions.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sessions)
}

/// Removes the session `name`; false where there is none. Processes that are attached to a
/// session removed by force keep working on it, but nobody can join them.
///
/// # Errors
///
/// [`Error::Session`] where the session is live and `force` is not set, is another user's, or
/// cannot be removed; [`Error::Value`] for a name that no session can have.
pub fn remove(name: &str, force: bool) -> Result<bool> {
    let path = named(name)?;
    if open_file(&path)?.is_none() {
        return Ok(false);
    }
    let _lock = LockFile::acquire(&path)?;
    let Some(descriptor) = open_file(&path)? else {
        return Ok(false);
    };
    let fail = |error| failure(&path, "cannot be removed", &error);
    let idle = try_flock(&descriptor.file(), libc::LOCK_EX).map_err(fail)?;
    if !idle && !force {
        return Err(Error::Session(format!(
            "{}: session {name:?} is in use by live processes; end them, or remove it by force",
            path.display()
        )));
    }
    fs::remove_file(&path).map_err(fail)?;
    Ok(true)
}

/// Removes what was found beside the session `name`, a lock file or a draft, if it is ours and
/// nobody holds the lock. A failure leaves it to the next list.
fn sweep(found: &Path, name: &str) {
    let Ok(session) = named(name) else { return };
    let is_ours = |path: &Path| {
        fs::symlink_metadata(path).map(|found| found.is_file() && found.uid() == user())
    };
    let lock = beside(&session, "");
    // Not where either is another user's, whose processes could not use a lock file of ours.
    if !is_ours(found).unwrap_or(false) || !is_ours(&lock).unwrap_or(true) {
        return;
    }
    // The lock file goes when it is dropped; usually there is no draft.
    if let Ok(Some(_lock)) = LockFile::acquire_within(&session, Duration::ZERO) {
        let _ = fs::remove_file(draft_of(&session));
    }
}

fn describe(name: String, path: PathBuf, metadata: &Metadata) -> Result<Option<SessionInfo>> {
    let (live, preamble) = if metadata.uid() == user() {
        match look(&path)? {
            Some((live, preamble)) => (Some(live), preamble),
            None => return Ok(None),
        }
    } else {
        (None, None)
    };
    // A live session without anybody is one whose processes this one cannot see.
    let processes =
        members(identity(metadata)).filter(|pids| pids.is_empty() != (live == Some(true)));
    Ok(Some(SessionInfo {
        name,
        path,
        live,
        persist: preamble.map(|preamble| preamble.persists()),
        origin: preamble.map_or_else(Origin::default, |preamble| preamble.origin()),
        processes,
        bytes: metadata.len(),
        inode: metadata.ino(),
        modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
        owner: metadata.uid(),
    }))
}

/// Whether somebody is attached and the preamble, if it can be read; nothing where the session is
/// gone.
fn look(path: &Path) -> Result<Option<(bool, Option<Preamble>)>> {
    // Under the lock file, or else a process that leaves could take our lock for somebody's who
    // is attached. Where it stays taken, somebody is making, joining or leaving the session; who
    // only lists it has it for a moment.
    let lock = LockFile::acquire_within(path, LOOK)?;
    let Some(descriptor) = open_file(path)? else {
        return Ok(None);
    };
    let file = descriptor.file();
    let preamble = Preamble::read(path, &file).ok();
    Ok(Some((is_held(path, &file, lock.is_some())?, preamble)))
}
