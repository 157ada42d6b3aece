//! The lock file beside a session: whoever makes, joins, revives, leaves or removes a session
//! does so under it, one process (and thread) at a time.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::descriptor::Descriptor;
use super::place::LOCK_SUFFIX;
use crate::{Error, Result};

/// Longest wait for a lock file.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// A lock file that this thread holds; removed on drop.
pub(super) struct LockFile {
    path: PathBuf,
    descriptor: Descriptor,
}

impl LockFile {
    /// Waits for the lock file of the session at `session`.
    pub(super) fn acquire(session: &Path) -> Result<Self> {
        let path = beside(session, "");
        let mut patience = Patience::new(LIMIT);
        loop {
            if let Some(held) = Self::attempt(&path)? {
                return Ok(held);
            }
            if !patience.pause() {
                return Err(Error::LockTimeout {
                    what: format!("the lock file {}", path.display()),
                    seconds: LIMIT.as_secs_f64(),
                    holder: read_holder(&path),
                });
            }
        }
    }

    /// Takes the lock file if nobody has it.
    pub(super) fn try_acquire(session: &Path) -> Result<Option<Self>> {
        Self::attempt(&beside(session, ""))
    }

    fn attempt(path: &Path) -> Result<Option<Self>> {
        let mut options = File::options();
        options.read(true).write(true).create(true).mode(0o600);
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let fail = |error| super::failure(path, "the lock file cannot be used", &error);
        let descriptor = Descriptor::open(path, &options).map_err(fail)?;
        let file = descriptor.file();
        // A holder before us may have removed the file while we opened it: then it is no lock.
        if !try_flock(&file, libc::LOCK_EX).map_err(fail)? || !is_at(&file, path).map_err(fail)? {
            return Ok(None);
        }
        // Only for the message of those who wait in vain.
        let holder = std::process::id().to_string();
        file.write_all_at(holder.as_bytes(), 0).map_err(fail)?;
        file.set_len(holder.len() as u64).map_err(fail)?;
        Ok(Some(Self {
            path: path.to_owned(),
            descriptor,
        }))
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        if self.descriptor.is_open() {
            // Nothing to be done about a failure: the next holder removes the file.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// `<session><middle>.lock`.
pub(super) fn beside(session: &Path, middle: &str) -> PathBuf {
    let mut name = session.as_os_str().to_owned();
    name.push(middle);
    name.push(LOCK_SUFFIX);
    PathBuf::from(name)
}

fn read_holder(path: &Path) -> String {
    fs::read_to_string(path)
        .ok()
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}

/// Whether `path` names the very file that is open, and not another or none.
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(identity(&found) == identity(&file.metadata()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether both are openings of the same file.
pub(super) fn is_same(one: &File, other: &File) -> io::Result<bool> {
    Ok(identity(&one.metadata()?) == identity(&other.metadata()?))
}

/// Device and inode.
pub(super) fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Takes a lock on the whole file if it can be had at once.
pub(super) fn try_flock(file: &File, kind: i32) -> io::Result<bool> {
    match flock(file, kind | libc::LOCK_NB) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes a lock on the whole file if it can be had within `limit`.
pub(super) fn flock_within(file: &File, kind: i32, limit: Duration) -> io::Result<bool> {
    let mut patience = Patience::new(limit);
    loop {
        if try_flock(file, kind)? {
            return Ok(true);
        }
        if !patience.pause() {
            return Ok(false);
        }
    }
}

fn flock(file: &File, operation: i32) -> io::Result<()> {
    // SAFETY: the descriptor is open for the whole call.
    if unsafe { libc::flock(file.as_raw_fd(), operation) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Pauses that grow from a yield to a millisecond, up to a limit in all.
struct Patience {
    end: Instant,
    next: Duration,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self {
            end: Instant::now() + limit,
            next: Duration::from_micros(10),
        }
    }

    /// Pauses; false where the limit is past.
    fn pause(&mut self) -> bool {
        if Instant::now() >= self.end {
            return false;
        }
        thread::sleep(self.next);
        self.next = (self.next * 2).min(Duration::from_millis(1));
        true
    }
}
