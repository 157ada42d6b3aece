//! A session file in the making, which nobody sees before it is complete.

use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::lockfile::beside;
use super::mapping::{HUGE_PAGE, Mapping};
use super::place::LOCK_SUFFIX;
use super::room::{available_bytes, available_memory};
use crate::{Error, Result};

/// An unpublished file of the final size.
pub(super) struct Draft {
    file: File,
    /// Name of a draft that had to have one; removed on drop unless it was published.
    temporary: Option<PathBuf>,
}

impl Draft {
    /// A file without a name in the session's folder; not every file system can.
    pub(super) fn unnamed(session: &Path) -> io::Result<Self> {
        let mut options = File::options();
        options.read(true).write(true).mode(0o600);
        options.custom_flags(libc::O_TMPFILE);
        Ok(Self {
            file: options.open(folder(session))?,
            temporary: None,
        })
    }

    /// A file with a temporary name. The caller holds the session's lock file, so that a file of
    /// that name is left over from a creator who died.
    pub(super) fn named(session: &Path) -> io::Result<Self> {
        let temporary = draft_of(session);
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = File::options();
        options.read(true).write(true).create_new(true).mode(0o600);
        Ok(Self {
            file: options.open(&temporary)?,
            temporary: Some(temporary),
        })
    }

    /// The open file, which never has a lock.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Reserves all bytes now, so that no store into the mapping can fail for want of memory.
    pub(super) fn reserve(&self, session: &Path, size: usize) -> Result<()> {
        // A file mode creation mask may have taken our own rights.
        self.file
            .set_permissions(Permissions::from_mode(0o600))
            .map_err(|error| super::failure(session, "cannot be made", &error))?;
        // A tmpfs may promise more than the machine has: reserving it would then end in the
        // kernel's killing of a process, not in an error.
        if let Some(available) = available_memory(folder(session)) {
            if available < size as u64 {
                return Err(no_space(session, size));
            }
            self.take_huge_pages(size);
        }
        let length = libc::off_t::try_from(size).unwrap_or(libc::off_t::MAX);
        loop {
            // SAFETY: the descriptor is open for the whole call.
            match unsafe { libc::posix_fallocate(self.file.as_raw_fd(), 0, length) } {
                0 => return Ok(()),
                libc::EINTR => {}
                libc::ENOSPC | libc::EDQUOT | libc::EFBIG | libc::ENOMEM => {
                    // What it has is available to others.
                    let _ = self.file.set_len(0);
                    return Err(no_space(session, size));
                }
                code => {
                    let error = io::Error::from_raw_os_error(code);
                    return Err(super::failure(session, "cannot be made", &error));
                }
            }
        }
    }

    /// Has the kernel fill the file, which lives in memory, with huge pages as far as it grants
    /// them. A reservation takes small ones, and to replace those takes ten times as long.
    fn take_huge_pages(&self, size: usize) {
        let whole = size / HUGE_PAGE * HUGE_PAGE;
        if whole == 0 || self.file.set_len(size as u64).is_err() {
            return;
        }
        for start in (0..whole).step_by(HUGE_PAGE) {
            // Only where there is a page already can there be a huge one.
            // SAFETY: the descriptor is open for the whole call.
            if unsafe { libc::posix_fallocate(self.file.as_raw_fd(), start as libc::off_t, 1) } != 0
            {
                return;
            }
        }
        if let Ok(mapping) = Mapping::shared(&self.file, whole, true) {
            mapping.collapse();
        }
    }

    /// Gives the file its final name, which must be free.
    pub(super) fn publish(mut self, session: &Path) -> io::Result<()> {
        match self.temporary.take() {
            None => self.link(session),
            Some(temporary) => {
                fs::rename(&temporary, session).inspect_err(|_| self.temporary = Some(temporary))
            }
        }
    }

    fn link(&self, session: &Path) -> io::Result<()> {
        let from = CString::new(format!("/proc/self/fd/{}", self.file.as_raw_fd()))?;
        let to = CString::new(session.as_os_str().as_bytes())?;
        // SAFETY: both strings end in NUL and live through the call.
        let failed = unsafe {
            libc::linkat(
                libc::AT_FDCWD,
                from.as_ptr(),
                libc::AT_FDCWD,
                to.as_ptr(),
                libc::AT_SYMLINK_FOLLOW,
            )
        };
        if failed == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // Nothing to be done about a failure: the next creator removes the file.
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Name of a draft that must have one; no session's lock file is called so, as no session's name
/// ends like that of a lock file.
pub(super) fn draft_of(session: &Path) -> PathBuf {
    beside(session, LOCK_SUFFIX)
}

/// Folder of a session; its path is absolute.
pub(super) fn folder(session: &Path) -> &Path {
    session.parent().unwrap_or(Path::new("/"))
}

fn no_space(session: &Path, needed: usize) -> Error {
    let folder = folder(session);
    let available = available_bytes(folder).map_or_else(
        || "an unknown number of".to_owned(),
        |bytes| bytes.to_string(),
    );
    Error::Session(format!(
        "{}: the session needs {needed} bytes, {available} bytes are available in {}; use a \
         smaller capacity, remove sessions that dead processes left (they can be listed), give \
         the folder more memory (for /dev/shm in a container: docker run \
         --shm-size=...), put the session at a path on a disk, or use the local backend",
        session.display(),
        folder.display()
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_reserved_file_has_all_its_memory_whatever_its_pages_are() {
        for size in [4096, HUGE_PAGE, 3 * HUGE_PAGE + 3 * 4096] {
            let session = Path::new("/dev/shm/curricle-test-of-drafts");
            let draft = Draft::unnamed(session).unwrap();
            draft.reserve(session, size).unwrap();
            let found = draft.file().metadata().unwrap();
            assert_eq!(found.len(), size as u64);
            assert!(found.blocks() * 512 >= size as u64, "{found:?}");
        }
    }
}
