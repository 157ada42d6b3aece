//! Shared sessions where the system cannot have them.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Mapping, Opened, Origin, Request};
use crate::{Error, Result};

/// No session file is ever open here.
#[derive(Debug)]
pub(super) enum Site {}

impl Site {
    pub(super) fn path(&self) -> &Path {
        match *self {}
    }

    pub(super) fn generation(&self) -> u64 {
        match *self {}
    }

    pub(super) fn persists(&self) -> bool {
        match *self {}
    }

    pub(super) fn origin(&self) -> Origin {
        match *self {}
    }

    pub(super) fn is_live(&self) -> Result<bool> {
        match *self {}
    }

    pub(super) fn reattach(&self, _settle: impl FnOnce() -> bool) -> Result<()> {
        match *self {}
    }

    pub(super) fn leave(&self, _keep: bool) -> Result<()> {
        match *self {}
    }
}

/// No lock file is ever held here.
#[derive(Debug)]
pub(super) enum LockFile {}

/// One named session of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// The session's name.
    pub name: String,
    /// The session's file.
    pub path: PathBuf,
    /// Whether a process is attached.
    pub live: Option<bool>,
    /// Whether the session outlives its processes.
    pub persist: Option<bool>,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Inode of the file.
    pub inode: u64,
    /// When and by whom it was made.
    pub origin: Origin,
    /// Ids of the attached processes.
    pub processes: Option<Vec<u32>>,
    /// Time of the last change of the file.
    pub modified: SystemTime,
    /// User id of the owner.
    pub owner: u32,
}

pub(super) fn open(path: PathBuf, _request: &Request) -> Result<(Mapping, Site, Opened, LockFile)> {
    Err(refusal(&path.display().to_string()))
}

/// There are no named sessions on this system.
///
/// # Errors
///
/// None.
pub fn list() -> Result<Vec<SessionInfo>> {
    Ok(Vec::new())
}

/// There are no named sessions to remove on this system.
///
/// # Errors
///
/// Always [`Error::Session`].
pub fn remove(name: &str, _force: bool) -> Result<bool> {
    Err(refusal(name))
}

fn refusal(what: &str) -> Error {
    Error::Session(format!(
        "{what}: shared sessions need Linux with glibc on this build; use the local backend"
    ))
}
