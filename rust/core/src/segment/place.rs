//! Where a session lives, and which names are allowed.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Folder of the named sessions.
pub(super) const FOLDER: &str = "/dev/shm";
/// What the files of named sessions start with.
pub(super) const PREFIX: &str = "curricle.";
/// What the lock files and drafts beside a session end in; no session may.
pub(super) const LOCK_SUFFIX: &str = ".lock";
/// Longest name in bytes of UTF-8.
pub const MAX_NAME: usize = 200;

/// Where a session lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the memory of this process; a forked child gets a copy.
    Local,
    /// In `/dev/shm/curricle.NAME`, gone after a restart of the machine.
    Name(String),
    /// In a file at any path, which outlives the processes that use it.
    Path(PathBuf),
}

impl Place {
    /// Checks the name or path and gives the file, or nothing for a local session.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] for a name or path that is not allowed.
    pub fn file(&self) -> Result<Option<PathBuf>> {
        match self {
            Self::Local => Ok(None),
            Self::Name(name) => named(name).map(Some),
            Self::Path(path) => checked(path).map(Some),
        }
    }
}

/// File of the session `name`.
pub(super) fn named(name: &str) -> Result<PathBuf> {
    let fault = if name.is_empty() {
        "is empty"
    } else if name.len() > MAX_NAME {
        "is too long"
    } else if name.contains(['/', '\0']) {
        "contains '/' or NUL"
    } else if name.starts_with('.') {
        "starts with '.'"
    } else if name.ends_with(LOCK_SUFFIX) {
        "ends in \".lock\""
    } else {
        return Ok(Path::new(FOLDER).join(format!("{PREFIX}{name}")));
    };
    Err(Error::Value(format!(
        "session name {name:?} {fault}: a name has 1 to {MAX_NAME} bytes of UTF-8, no '/' and no \
         NUL, does not start with '.' and does not end in \".lock\""
    )))
}

fn checked(path: &Path) -> Result<PathBuf> {
    let fault = |reason: &str| {
        Err(Error::Value(format!(
            "session path {}: {reason}",
            path.display()
        )))
    };
    let Some(name) = path.file_name() else {
        return fault("it names no file");
    };
    if name.as_encoded_bytes().ends_with(LOCK_SUFFIX.as_bytes()) {
        return fault("it must not end in \".lock\", which lock files do");
    }
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return fault("it contains NUL");
    }
    // A path that stays right when the process changes its folder later.
    let full = match std::path::absolute(path) {
        Ok(full) => full,
        Err(error) => return fault(&error.to_string()),
    };
    if !full.parent().is_some_and(Path::is_dir) {
        return fault("its folder does not exist; make the folder first");
    }
    Ok(full)
}
