//! Listing and removing named sessions.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::failure;
use super::identity::user;
use super::lockfile::{LockFile, try_flock};
use super::place::{FOLDER, LOCK_SUFFIX, PREFIX, named};
use super::preamble::Preamble;
use super::shared::open_file;
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
    /// Time of the last change of the file by other means than through a mapping.
    pub modified: SystemTime,
    /// User id of the owner.
    pub owner: u32,
}

/// Every named session, dead ones and other users' included, in order of their names.
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
        let Some(name) = session_name(&entry.file_name()) else {
            continue;
        };
        let path = entry.path();
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => {
                sessions.extend(describe(name, path, &metadata)?);
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

fn session_name(file: &OsStr) -> Option<String> {
    let name = file.to_str()?.strip_prefix(PREFIX)?;
    (!name.is_empty() && !name.ends_with(LOCK_SUFFIX)).then(|| name.to_owned())
}

fn describe(name: String, path: PathBuf, metadata: &Metadata) -> Result<Option<SessionInfo>> {
    let (live, persist) = if metadata.uid() == user() {
        match look(&path)? {
            Some((live, persist)) => (Some(live), persist),
            None => return Ok(None),
        }
    } else {
        (None, None)
    };
    Ok(Some(SessionInfo {
        name,
        path,
        live,
        persist,
        bytes: metadata.len(),
        inode: metadata.ino(),
        modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
        owner: metadata.uid(),
    }))
}

/// Whether somebody is attached and whether the session persists; nothing where it is gone.
fn look(path: &Path) -> Result<Option<(bool, Option<bool>)>> {
    // Under the lock file, or else a process that leaves could take our lock for somebody's who
    // is attached. Where it is taken, somebody is making, joining or leaving the session.
    let lock = LockFile::try_acquire(path)?;
    let Some(descriptor) = open_file(path)? else {
        return Ok(None);
    };
    let file = descriptor.file();
    let persist = Preamble::read(path, &file)
        .ok()
        .map(|preamble| preamble.persists());
    let idle = lock.is_some()
        && try_flock(&file, libc::LOCK_EX)
            .map_err(|error| failure(path, "cannot be locked", &error))?;
    Ok(Some((!idle, persist)))
}
