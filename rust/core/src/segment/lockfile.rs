//! The lock file beside a session: whoever makes, joins, revives, leaves or removes a session
//! does so under it, one process (and thread) at a time.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::descriptor::Descriptor;
use super::flock::{identity, is_at, try_flock};
use super::place::LOCK_SUFFIX;
use crate::interrupt::{SLICE, is_interrupted};
use crate::{Error, Result};

/// Longest wait for a lock file.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// How long a mere look at a session waits for its lock file.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// A lock file that this thread holds; removed on drop.
#[derive(Debug)]
pub(super) struct LockFile {
    path: PathBuf,
    descriptor: Descriptor,
}

impl LockFile {
    /// Waits for the lock file of the session at `session`.
    pub(super) fn acquire(session: &Path) -> Result<Self> {
        Self::or_time_out(session, Self::wait(session, LIMIT, is_interrupted)?)
    }

    /// [`Self::acquire`] for cleaning up, which nothing but the limit cuts off.
    pub(super) fn acquire_to_leave(session: &Path) -> Result<Self> {
        Self::or_time_out(session, Self::acquire_within(session, LIMIT)?)
    }

    fn or_time_out(session: &Path, held: Option<Self>) -> Result<Self> {
        match held {
            Some(held) => Ok(held),
            None => {
                let path = beside(session, "");
                Err(Error::LockTimeout {
                    what: format!("the lock file {}", path.display()),
                    seconds: LIMIT.as_secs_f64(),
                    holder: read_holder(&path),
                })
            }
        }
    }

    /// Takes the lock file if it can be had within `limit`.
    pub(super) fn acquire_within(session: &Path, limit: Duration) -> Result<Option<Self>> {
        Self::wait(session, limit, |_| false)
    }

    fn wait(
        session: &Path,
        limit: Duration,
        is_interrupted: impl Fn(Duration) -> bool,
    ) -> Result<Option<Self>> {
        let path = beside(session, "");
        let mut patience = Patience::new(limit);
        let (start, mut asked) = (Instant::now(), Duration::ZERO);
        loop {
            if let Some(held) = Self::attempt(&path)? {
                return Ok(Some(held));
            }
            let slept = start.elapsed();
            if asked.is_zero() || slept > asked + SLICE {
                if is_interrupted(asked) {
                    return Err(Error::Interrupted);
                }
                asked = slept;
            }
            if !patience.pause() {
                return Ok(None);
            }
        }
    }

    fn attempt(path: &Path) -> Result<Option<Self>> {
        Self::hold(path, open(path)?)
    }

    fn hold(path: &Path, descriptor: Descriptor) -> Result<Option<Self>> {
        let fail = |error| unusable(path, &error);
        let file = descriptor.file();
        // A holder before us may have removed the file while we opened it: then it is no lock.
        if !try_flock(&file, libc::LOCK_EX).map_err(fail)? || !is_at(&file, path).map_err(fail)? {
            return Ok(None);
        }
        // Only for the message of those who wait in vain; a full folder must not keep anybody from
        // leaving a session, which frees its memory.
        let holder = std::process::id().to_string();
        let written = file.write_all_at(holder.as_bytes(), 0);
        let _ = written.and_then(|()| file.set_len(holder.len() as u64));
        Ok(Some(Self {
            path: path.to_owned(),
            descriptor,
        }))
    }
}

fn open(path: &Path) -> Result<Descriptor> {
    let mut options = File::options();
    options.read(true).write(true).create(true).mode(0o600);
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    Descriptor::open(path, &options).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &io::Error) -> Error {
    super::failure(path, "the lock file cannot be used", error)
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

/// Whether both are openings of the same file.
pub(super) fn is_same(one: &File, other: &File) -> io::Result<bool> {
    Ok(identity(&one.metadata()?) == identity(&other.metadata()?))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_file_that_its_holder_removed_is_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let session = folder.path().join("session");
        let path = beside(&session, "");
        let first = LockFile::acquire(&session).unwrap();
        let late = open(&path).unwrap();
        drop(first);
        let again = open(&path).unwrap();
        let second = LockFile::acquire(&session).unwrap();
        assert!(LockFile::hold(&path, late).unwrap().is_none());
        assert!(
            path.exists(),
            "the second holder's lock file is not touched"
        );
        drop(second);
        assert!(LockFile::hold(&path, again).unwrap().is_none());
    }
}
