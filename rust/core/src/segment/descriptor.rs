//! Open files with locks that a forked child does not inherit.
//!
//! The child of a fork needs a moment until it runs, and one on its way to exec closes nothing
//! before that. So giving up a lock means unlocking and then closing: the unlocking also takes
//! effect on such passing copies. No handle ever relies on an inherited lock, so nobody's lock is
//! dropped by that.

use std::fs::{File, OpenOptions};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use super::fork::{registry, take_file};

/// An open file with locks that a forked child does not inherit.
#[derive(Debug)]
pub(super) struct Descriptor {
    cell: Arc<AtomicI32>,
}

impl Descriptor {
    /// Opens `path`; no fork can come between the opening and the registration.
    pub(super) fn open(path: &Path, options: &OpenOptions) -> io::Result<Self> {
        let mut registry = registry();
        let descriptor: RawFd = options.open(path)?.into_raw_fd();
        let cell = Arc::new(AtomicI32::new(descriptor));
        registry.descriptors.push(Arc::clone(&cell));
        Ok(Self { cell })
    }

    /// False once it was closed, here or by a fork.
    pub(super) fn is_open(&self) -> bool {
        self.cell.load(Ordering::Relaxed) >= 0
    }

    /// The file; only for the one owner who opened it and has not forked since.
    pub(super) fn file(&self) -> ManuallyDrop<File> {
        let descriptor = self.cell.load(Ordering::Relaxed);
        assert!(descriptor >= 0, "the descriptor was closed");
        // SAFETY: the descriptor is open and stays so while its one owner uses it; ManuallyDrop
        // keeps the ownership with the cell.
        ManuallyDrop::new(unsafe { File::from_raw_fd(descriptor) })
    }

    /// Takes over what `other` has open, in place of a descriptor that is closed.
    pub(super) fn adopt(&self, other: &Self) {
        let mut registry = registry();
        let descriptor = other.cell.swap(-1, Ordering::Relaxed);
        self.cell.store(descriptor, Ordering::Relaxed);
        registry.descriptors.push(Arc::clone(&self.cell));
    }

    /// Gives up the locks held through the file and closes it.
    pub(super) fn close(&self) {
        let mut registry = registry();
        registry
            .descriptors
            .retain(|known| !Arc::ptr_eq(known, &self.cell));
        if let Some(file) = take_file(&self.cell) {
            // SAFETY: the descriptor is open for the whole call. Should unlocking fail, then
            // closing still does it.
            unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_UN) };
        }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.close();
    }
}
