//! One mapped region: process-local, named (`/dev/shm/curricle.NAME`), or in a file at any path.
//!
//! A segment is made by exactly one process and never seen half-made; who is attached is the
//! kernel's word, so that sessions of killed processes are told from live ones; the last process
//! to leave a session that does not persist removes its file. The segment knows nothing of the
//! content but its own first [`PREAMBLE`] bytes: the caller fills and checks the rest through
//! callbacks.
//!
//! Shared sessions need Linux with glibc, whose robust mutexes the content relies on.

pub(crate) mod flock;
mod fork;
mod identity;
mod mapping;
mod origin;
mod place;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod descriptor;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod draft;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod listing;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod lockfile;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod members;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod preamble;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod room;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod shared;
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
#[path = "unsupported.rs"]
mod shared;

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

pub use fork::{ForkGuard, fork_generation, guard_forks};
pub use identity::{boot_id, pid_namespace};
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub use listing::{SessionInfo, list, remove};
pub use mapping::{Mapping, Shared};
pub use origin::Origin;
pub use place::{MAX_NAME, Place};
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub use shared::{SessionInfo, list, remove};

use crate::{Error, Result};

/// Bytes at the start of every segment that belong to the segment itself; the content starts
/// here. In a process-local segment they stay 0.
pub const PREAMBLE: usize = 128;

/// How a session may be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Joins the session, or makes it where there is none or a dead one.
    CreateOrAttach,
    /// Makes the session; one that is live or persists is an error.
    Create,
    /// Joins a live session or revives a persistent one; else an error.
    Attach,
    /// Looks at the session, live, persistent or dead, without write permission and without
    /// counting as attached: a look keeps no session from ending, or from being made anew.
    ReadOnly,
}

/// What [`Segment::open`] is asked for.
pub struct Request<'a> {
    /// Where the session lives.
    pub place: &'a Place,
    /// What may be done.
    pub mode: Mode,
    /// Whether a session that is made here outlives its processes. One at a path always does;
    /// for one that exists its maker has decided.
    pub persist: bool,
    /// Bytes to make, preamble included; nothing for attaching only.
    pub size: Option<usize>,
    /// Fills a fresh mapping, zeroed but for the preamble, before anybody else can see it. May
    /// be called a second time with another mapping where the first could not be published.
    pub init: &'a dyn Fn(&Mapping) -> Result<()>,
    /// Checks the content of an existing session, and repairs it where the standing allows.
    pub check: &'a dyn Fn(&Mapping, Standing) -> Result<()>,
}

/// What a content check may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Nobody else is attached or can attach before the check returns: the content of a writable
    /// mapping may be repaired, and all its locks made anew.
    pub exclusive: bool,
    /// The last processes ran in another boot of the machine, or on another machine. Only with
    /// `exclusive`.
    pub new_boot: bool,
    /// The last process left in order and everything was written to the disk. With `new_boot`
    /// and without this, parts of the content may be older than others. Only with `exclusive`.
    pub synced: bool,
}

/// What [`Segment::open`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// The session was made.
    Created,
    /// A live session was joined.
    Attached,
    /// A persistent session that nobody had attached was resumed.
    Revived {
        /// See [`Standing::new_boot`].
        new_boot: bool,
    },
    /// A dead session was removed and a new one made: worth a warning.
    Replaced,
}

/// `attached_in` of a handle that was closed; no process has that many forks behind it.
const CLOSED: u32 = u32::MAX;

/// Keeps all others from making, joining, leaving or removing a session. A handle of the session
/// that is closed or dropped meanwhile waits for it in vain.
#[derive(Debug)]
pub struct Held {
    _lock: Option<shared::LockFile>,
}

/// An open session. Dropping it leaves the session.
#[derive(Debug)]
pub struct Segment {
    mapping: Mapping,
    place: Place,
    /// Fork generation of the process that attached, or `CLOSED`.
    attached_in: AtomicU32,
    /// Nothing where the segment is process-local.
    site: Option<shared::Site>,
}

impl Segment {
    /// Opens a session; create-or-attach is one race that exactly one process wins.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] for a name, path or size that is not allowed; [`Error::Session`] where the
    /// session cannot be made, attached or trusted; [`Error::LockTimeout`] where somebody else
    /// holds the lock file for more than 10 seconds; whatever `init` and `check` return.
    pub fn open(request: &Request) -> Result<(Self, Opened)> {
        let (segment, opened, _) = Self::open_held(request)?;
        Ok((segment, opened))
    }

    /// Like [`Segment::open`], but nobody else comes or goes before the last value is dropped: for
    /// what is left to do to the content before others see it.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::open`].
    pub fn open_held(request: &Request) -> Result<(Self, Opened, Held)> {
        if let Some(size) = request.size.filter(|&size| size <= PREAMBLE) {
            return Err(Error::Value(format!(
                "a segment of {size} bytes: it must be larger than its preamble of {PREAMBLE}"
            )));
        }
        fork::watch_forks();
        let (mapping, site, opened, lock) = match request.place.file()? {
            None => (open_local(request)?, None, Opened::Created, None),
            Some(path) => {
                let (mapping, site, opened, lock) = shared::open(path, request)?;
                (mapping, Some(site), opened, Some(lock))
            }
        };
        let segment = Self {
            mapping,
            place: request.place.clone(),
            attached_in: AtomicU32::new(fork_generation()),
            site,
        };
        Ok((segment, opened, Held { _lock: lock }))
    }

    /// The whole region; it stays valid after [`Segment::close`].
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Bytes of the region, preamble included.
    pub fn len(&self) -> usize {
        self.mapping.len()
    }

    /// Never true: a segment is larger than its preamble.
    pub fn is_empty(&self) -> bool {
        self.mapping.is_empty()
    }

    /// Where the session lives, as it was asked for.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The session's name, where it has one.
    pub fn name(&self) -> Option<&str> {
        match &self.place {
            Place::Name(name) => Some(name),
            Place::Local | Place::Path(_) => None,
        }
    }

    /// The session's file, where it has one.
    pub fn path(&self) -> Option<&Path> {
        self.site.as_ref().map(shared::Site::path)
    }

    /// Random number of the session, never 0, which tells it from a later one under the same
    /// name; 0 where the segment is process-local.
    pub fn generation(&self) -> u64 {
        self.site.as_ref().map_or(0, shared::Site::generation)
    }

    /// Whether the session outlives its processes.
    pub fn persists(&self) -> bool {
        self.site.as_ref().is_some_and(shared::Site::persists)
    }

    /// When and by whom the session was made.
    pub fn origin(&self) -> Origin {
        self.site
            .as_ref()
            .map_or_else(Origin::default, shared::Site::origin)
    }

    /// Whether a process is attached: what a look at the session asks now and then. One that was
    /// removed by force is live as long as its processes are. A process-local session is live
    /// while its handle is.
    ///
    /// # Errors
    ///
    /// [`Error::Session`] where the file cannot be looked at.
    pub fn is_live(&self) -> Result<bool> {
        match &self.site {
            Some(site) => site.is_live(),
            None => Ok(self.attached_in.load(Ordering::Relaxed) != CLOSED),
        }
    }

    /// Whether the region is mapped without write permission.
    pub fn is_read_only(&self) -> bool {
        !self.mapping.is_writable()
    }

    /// Makes sure that this process counts as attached: at first use after a fork the child takes
    /// a lock of its own. To be called before each use; the usual case is two loads.
    ///
    /// # Errors
    ///
    /// [`Error::Session`] where the handle was closed, or the session is gone: every process left
    /// it before the child first used it.
    #[inline]
    pub fn ensure_attached(&self) -> Result<()> {
        if self.attached_in.load(Ordering::Relaxed) == fork_generation() {
            Ok(())
        } else {
            self.attach_again()
        }
    }

    #[cold]
    fn attach_again(&self) -> Result<()> {
        let before = self.attached_in.load(Ordering::Relaxed);
        if before == CLOSED {
            return Err(self.closed());
        }
        // Another thread may have come first, or have closed the handle meanwhile.
        let settle = || {
            let generation = fork_generation();
            self.attached_in
                .compare_exchange(before, generation, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
                || self.attached_in.load(Ordering::Relaxed) == generation
        };
        match &self.site {
            Some(site) => site.reattach(settle)?,
            None => {
                settle();
            }
        }
        if self.attached_in.load(Ordering::Relaxed) == CLOSED {
            return Err(self.closed());
        }
        Ok(())
    }

    fn closed(&self) -> Error {
        let what = match (&self.place, self.path()) {
            (_, Some(path)) => path.display().to_string(),
            _ => "the local session".to_owned(),
        };
        Error::Session(format!(
            "{what}: this handle was closed; open the session again"
        ))
    }

    /// Leaves the session: the last process removes it or, where it persists, writes it to the
    /// disk. The mapping stays until drop, for threads that are still reading. A second call does
    /// nothing; nor does one in a forked child that never used the handle.
    ///
    /// # Errors
    ///
    /// [`Error::Session`] or [`Error::LockTimeout`] where the clean-up failed. This process has
    /// left all the same; a session that was to go then shows up as dead in [`list`].
    pub fn close(&self) -> Result<()> {
        self.leave(true)
    }

    /// Leaves the session as [`Self::close`] does, but the last process removes it even where it
    /// persists: for a session that came to nothing.
    ///
    /// # Errors
    ///
    /// As for [`Self::close`].
    pub fn discard(&self) -> Result<()> {
        self.leave(false)
    }

    fn leave(&self, keep: bool) -> Result<()> {
        let before = self.attached_in.swap(CLOSED, Ordering::Relaxed);
        match &self.site {
            Some(site) if before == fork_generation() => site.leave(keep),
            _ => Ok(()),
        }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // A failure leaves a dead session behind, which the next one replaces.
        let _ = self.close();
    }
}

fn open_local(request: &Request) -> Result<Mapping> {
    let (Mode::CreateOrAttach | Mode::Create, Some(size)) = (request.mode, request.size) else {
        return Err(Error::Value(
            "a process-local session can only be created; give the session a name or a path to \
             attach to it"
                .to_owned(),
        ));
    };
    let mapping = Mapping::private(size).map_err(|error| {
        Error::Session(format!(
            "the local session needs {size} bytes, which the system refuses ({error}); use a \
             smaller capacity"
        ))
    })?;
    (request.init)(&mapping)?;
    Ok(mapping)
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn failure(path: &Path, what: &str, error: &std::io::Error) -> Error {
    Error::Session(format!("{}: {what}: {error}", path.display()))
}
