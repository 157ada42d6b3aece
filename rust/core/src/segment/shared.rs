//! Sessions in files: making, joining, reviving, leaving.
//!
//! Every step here is taken under the session's lock file. Being attached is a shared `flock`
//! through a descriptor of the handle's own; only who gets the exclusive one through a fresh
//! descriptor knows that nobody is attached. No lock is ever upgraded, which could lose it. The
//! mapping comes from yet another opening of the file: a forked child inherits mappings, and a
//! mapping keeps the opening that it was made from, with its lock, alive.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::descriptor::Descriptor;
use super::draft::{Draft, folder};
use super::flock::{identity, is_at, try_flock};
use super::identity::user;
pub(super) use super::lockfile::LockFile;
use super::lockfile::{LOOK, flock_within, is_same};
use super::members::members;
use super::preamble::Preamble;
use super::{Mapping, Mode, Opened, Origin, Place, Request, Standing, failure};
use crate::{Error, Result};

/// How long to wait for a shared lock, which only another program's exclusive one can delay.
const JOIN_LIMIT: Duration = Duration::from_secs(1);

/// The file of an open session and this process's part in it.
#[derive(Debug)]
pub(super) struct Site {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    preamble: Preamble,
    /// Nothing where the handle only looks at the session.
    liveness: Option<Descriptor>,
}

/// A session file as it was found.
pub(super) struct Found {
    descriptor: Descriptor,
    preamble: Preamble,
    size: u64,
    /// Somebody is attached, and we hold a shared lock; else we hold the exclusive one.
    live: bool,
}

/// Opens the session that the request names; its place is not local. The lock file is still held.
pub(super) fn open(path: PathBuf, request: &Request) -> Result<(Mapping, Site, Opened, LockFile)> {
    // Before the lock file, so that none appears beside somebody else's session.
    check_owner(&path)?;
    let lock = LockFile::acquire(&path)?;
    let (mapping, site, opened) = open_locked(path, request)?;
    Ok((mapping, site, opened, lock))
}

fn open_locked(path: PathBuf, request: &Request) -> Result<(Mapping, Site, Opened)> {
    let Some(found) = find(&path)? else {
        return create(path, request, Opened::Created);
    };
    let refuse = |reason: &str| Err(Error::Session(format!("{}: {reason}", path.display())));
    match (request.mode, found.live, found.preamble.persists()) {
        (Mode::ReadOnly, ..) => look_at(path, request, found),
        (Mode::Create, true, _) => {
            refuse("the session is in use by live processes; attach to it or use another name")
        }
        (Mode::Create, false, true) => {
            refuse("a persistent session exists; attach to it, remove it, or use another name")
        }
        (_, true, _) => join(path, request, found),
        (_, false, true) => revive(path, request, found),
        (Mode::Attach, false, false) => refuse(
            "the session is dead: its processes ended without leaving it; create it anew or \
             remove it",
        ),
        (Mode::CreateOrAttach | Mode::Create, false, false) => {
            fs::remove_file(&path)
                .map_err(|error| failure(&path, "the dead session cannot be replaced", &error))?;
            create(path, request, Opened::Replaced)
        }
    }
}

/// Opens the file and finds out, under the lock file, whether somebody is attached.
fn find(path: &Path) -> Result<Option<Found>> {
    let Some(descriptor) = open_file(path)? else {
        return Ok(None);
    };
    let file = descriptor.file();
    let preamble = Preamble::read(path, &file)?;
    let fail = |error| failure(path, "cannot be locked", &error);
    let live = !try_flock(&file, libc::LOCK_EX).map_err(fail)?;
    if live {
        lock_shared(path, &file)?;
    }
    let size = file.metadata().map_err(fail)?.len();
    if !is_at(&file, path).map_err(fail)? {
        return Err(gone(path));
    }
    Ok(Some(Found {
        descriptor,
        preamble,
        size,
        live,
    }))
}

/// Whether somebody is attached; who could not have the lock file met somebody who comes or goes.
pub(super) fn is_held(path: &Path, file: &File, locked: bool) -> Result<bool> {
    let idle = locked
        && try_flock(file, libc::LOCK_EX)
            .map_err(|error| failure(path, "cannot be locked", &error))?;
    Ok(!idle)
}

fn lock_shared(path: &Path, file: &File) -> Result<()> {
    match flock_within(file, libc::LOCK_SH, JOIN_LIMIT) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Session(format!(
            "{}: another program holds an exclusive lock on the file",
            path.display()
        ))),
        Err(error) => Err(failure(path, "cannot be locked", &error)),
    }
}

/// Opens an existing session file of ours; nothing where there is none.
pub(super) fn open_file(path: &Path) -> Result<Option<Descriptor>> {
    if !check_owner(path)? {
        return Ok(None);
    }
    let mut options = File::options();
    options.read(true).write(true);
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    match Descriptor::open(path, &options) {
        Ok(descriptor) => Ok(Some(descriptor)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failure(path, "cannot be opened", &error)),
    }
}

/// Refuses what is no plain file of this user; false where there is nothing.
fn check_owner(path: &Path) -> Result<bool> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failure(path, "cannot be looked at", &error)),
    };
    if !metadata.is_file() {
        return Err(Error::Session(format!(
            "{}: not a session: it is a folder, a link or a device, not a plain file",
            path.display()
        )));
    }
    let (owner, ours) = (metadata.uid(), user());
    if owner != ours {
        return Err(Error::Session(format!(
            "{}: the session belongs to user {owner}, this process runs as user {ours}; use \
             another name",
            path.display()
        )));
    }
    Ok(true)
}

fn create(path: PathBuf, request: &Request, opened: Opened) -> Result<(Mapping, Site, Opened)> {
    let size = match (request.mode, request.size) {
        (Mode::CreateOrAttach | Mode::Create, Some(size)) => size,
        _ => {
            return Err(Error::Session(format!(
                "{}: there is no such session to attach to",
                path.display()
            )));
        }
    };
    let persist = request.persist || matches!(request.place, Place::Path(_));
    let preamble = Preamble::new(size, persist);
    let fail = |error| failure(&path, "cannot be made", &error);
    // Neither unnamed files nor their linking (by way of /proc) work everywhere.
    if let Ok(draft) = Draft::unnamed(&path) {
        let mapping = fill(&draft, &path, &preamble, request)?;
        match draft.publish(&path) {
            Ok(()) => return settle(path, preamble, mapping, opened),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(fail(error)),
            Err(_) => {}
        }
    }
    let draft = Draft::named(&path).map_err(fail)?;
    let mapping = fill(&draft, &path, &preamble, request)?;
    draft.publish(&path).map_err(fail)?;
    settle(path, preamble, mapping, opened)
}

fn fill(draft: &Draft, path: &Path, preamble: &Preamble, request: &Request) -> Result<Mapping> {
    let size = preamble.size();
    draft.reserve(path, size)?;
    let fail = |error| failure(path, "cannot be made", &error);
    preamble.write(draft.file()).map_err(fail)?;
    let mapping = Mapping::shared(draft.file(), size, true).map_err(fail)?;
    (request.init)(&mapping)?;
    Ok(mapping)
}

/// Takes our lock on a session just published; the lock file keeps others away until then.
fn settle(
    path: PathBuf,
    preamble: Preamble,
    mapping: Mapping,
    opened: Opened,
) -> Result<(Mapping, Site, Opened)> {
    let attach = || {
        let liveness = open_file(&path)?.ok_or_else(|| gone(&path))?;
        lock_shared(&path, &liveness.file())?;
        Ok(liveness)
    };
    match attach() {
        Ok(liveness) => site(path, preamble, liveness, mapping, opened),
        Err(error) => {
            // The first error is the one to report; a dead session is replaced by the next.
            let _ = fs::remove_file(&path);
            Err(error)
        }
    }
}

fn join(path: PathBuf, request: &Request, found: Found) -> Result<(Mapping, Site, Opened)> {
    let mapping = checked(&path, request, &found, false)?;
    found.preamble.check_company(&path)?;
    let Found {
        preamble,
        descriptor,
        ..
    } = found;
    site(path, preamble, descriptor, mapping, Opened::Attached)
}

/// Maps a session for reading, live or not, without becoming one of its processes: whoever looks
/// keeps no session alive that its trainer has left.
fn look_at(path: PathBuf, request: &Request, found: Found) -> Result<(Mapping, Site, Opened)> {
    let mapping = checked(&path, request, &found, !found.live)?;
    let opened = if found.live {
        Opened::Attached
    } else {
        Opened::Revived {
            new_boot: found.preamble.is_of_other_boot(),
        }
    };
    let (mapping, mut site, opened) =
        site(path, found.preamble, found.descriptor, mapping, opened)?;
    site.liveness = None;
    Ok((mapping, site, opened))
}

fn revive(path: PathBuf, request: &Request, mut found: Found) -> Result<(Mapping, Site, Opened)> {
    let fail = |error| failure(&path, "cannot be revived", &error);
    let new_boot = found.preamble.is_of_other_boot();
    let mapping = checked(&path, request, &found, true)?;
    let file = found.descriptor.file();
    found.preamble.take_over();
    found.preamble.write(&file).map_err(fail)?;
    // The exclusive lock may be gone for a moment here, but nobody else tries for one without
    // the lock file, and the content is sound by now.
    lock_shared(&path, &file)?;
    let opened = Opened::Revived { new_boot };
    site(path, found.preamble, found.descriptor, mapping, opened)
}

/// Maps a session that exists and has its content checked.
fn checked(path: &Path, request: &Request, found: &Found, exclusive: bool) -> Result<Mapping> {
    found.preamble.check_format(path, found.size)?;
    let mapping = map(path, request, found)?;
    let standing = Standing {
        exclusive,
        new_boot: exclusive && found.preamble.is_of_other_boot(),
        synced: exclusive && found.preamble.synced != 0,
    };
    (request.check)(&mapping, standing)?;
    Ok(mapping)
}

fn map(path: &Path, request: &Request, found: &Found) -> Result<Mapping> {
    let writable = request.mode != Mode::ReadOnly;
    let fail = |error| failure(path, "cannot be mapped", &error);
    let file = File::options()
        .read(true)
        .write(writable)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
        .map_err(fail)?;
    if !is_same(&file, &found.descriptor.file()).map_err(fail)? {
        return Err(gone(path));
    }
    Mapping::shared(&file, found.preamble.size(), writable).map_err(fail)
}

fn site(
    path: PathBuf,
    preamble: Preamble,
    liveness: Descriptor,
    mapping: Mapping,
    opened: Opened,
) -> Result<(Mapping, Site, Opened)> {
    let metadata = liveness
        .file()
        .metadata()
        .map_err(|error| failure(&path, "cannot be looked at", &error))?;
    let site = Site {
        path,
        identity: identity(&metadata),
        preamble,
        liveness: Some(liveness),
    };
    Ok((mapping, site, opened))
}

fn gone(path: &Path) -> Error {
    Error::Session(format!(
        "{}: the session is gone: its last process left it, or it was removed",
        path.display()
    ))
}

impl Site {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn generation(&self) -> u64 {
        self.preamble.generation
    }

    pub(super) fn persists(&self) -> bool {
        self.preamble.persists()
    }

    pub(super) fn origin(&self) -> Origin {
        self.preamble.origin()
    }

    /// Whether a process is attached, be the session still there or removed by force.
    pub(super) fn is_live(&self) -> Result<bool> {
        let lock = LockFile::acquire_within(&self.path, LOOK)?;
        let Some(descriptor) = self.reopen()? else {
            return Ok(members(self.identity).is_some_and(|pids| !pids.is_empty()));
        };
        is_held(&self.path, &descriptor.file(), lock.is_some())
    }

    /// Takes a lock of this process's own after a fork; `settle` then says, still under the lock
    /// file, whether the handle is wanted, and we leave again if not.
    pub(super) fn reattach(&self, settle: impl FnOnce() -> bool) -> Result<()> {
        let Some(liveness) = &self.liveness else {
            settle();
            return Ok(());
        };
        let lock = LockFile::acquire(&self.path)?;
        if !liveness.is_open() {
            let descriptor = self.reopen()?.ok_or_else(|| gone(&self.path))?;
            lock_shared(&self.path, &descriptor.file())?;
            self.preamble.check_namespace(&self.path)?;
            liveness.adopt(&descriptor);
        }
        if settle() {
            Ok(())
        } else {
            self.depart(liveness, &lock, true)
        }
    }

    /// Gives up this process's lock; the last to leave removes the file or, where the session
    /// persists, sees it to the disk.
    pub(super) fn leave(&self, keep: bool) -> Result<()> {
        let Some(liveness) = &self.liveness else {
            return Ok(());
        };
        match LockFile::acquire_to_leave(&self.path) {
            Ok(lock) => self.depart(liveness, &lock, keep),
            Err(error) => {
                liveness.close();
                // Without its folder there is no file to remove either.
                if folder(&self.path).exists() {
                    Err(error)
                } else {
                    Ok(())
                }
            }
        }
    }

    fn depart(&self, liveness: &Descriptor, _lock: &LockFile, keep: bool) -> Result<()> {
        liveness.close();
        let fail = |error| failure(&self.path, "cannot be left cleanly", &error);
        let Some(descriptor) = self.reopen()? else {
            return Ok(());
        };
        let file = descriptor.file();
        if !try_flock(&file, libc::LOCK_EX).map_err(fail)? {
            return Ok(());
        }
        if keep && self.persists() {
            self.sync(&file).map_err(fail)
        } else {
            fs::remove_file(&self.path).map_err(fail)
        }
    }

    /// Opens the file afresh; nothing where it is no longer the one that is mapped.
    fn reopen(&self) -> Result<Option<Descriptor>> {
        let Some(descriptor) = open_file(&self.path)? else {
            return Ok(None);
        };
        let metadata = descriptor
            .file()
            .metadata()
            .map_err(|error| failure(&self.path, "cannot be looked at", &error))?;
        Ok((identity(&metadata) == self.identity).then_some(descriptor))
    }

    /// Writes everything to the disk, and only then the note that says so.
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()?;
        let mut preamble = Preamble::read(&self.path, file).map_err(io::Error::other)?;
        preamble.synced = 1;
        preamble.write(file)?;
        file.sync_all()?;
        File::open(folder(&self.path))?.sync_all()
    }
}
