//! The first bytes of every session file, which say what it is before anybody maps it.

use std::fs::File;
use std::io;
use std::mem::{offset_of, size_of};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::PREAMBLE;
use super::identity::{boot_id, pid_namespace};
use super::origin::Origin;
use crate::unique::unique;
use crate::{Error, Result};

const MAGIC: [u8; 8] = *b"CURRICLE";
const BYTE_ORDER: u32 = 0x0102_0304;
const VERSION: u32 = 1;
const GLIBC: u32 = 1;

/// Layout of the preamble. The offsets up to `synced` hold for every version, so that a dead
/// session of another version can be told from one that persists.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Preamble {
    magic: [u8; 8],
    byte_order: u32,
    version: u32,
    /// Bytes of the whole file.
    size: u64,
    /// Not 0: the session outlives its processes.
    persist: u32,
    /// Not 0: everything was written to the disk when the last process left.
    pub(super) synced: u32,
    /// Of the machine that has the session attached, or had it last.
    boot: u64,
    pid_namespace: u64,
    /// Random number of this file, never 0: tells it from a later one under the same name.
    pub(super) generation: u64,
    libc: u32,
    mutex_size: u32,
    /// Nanoseconds since 1970 in UTC; 0 where a session is older than this field.
    created: u64,
    /// Process id, in the session's pid namespace.
    creator: u64,
    reserved: [u64; 6],
}

const _: () = {
    assert!(size_of::<Preamble>() == PREAMBLE);
    assert!(offset_of!(Preamble, byte_order) == 8);
    assert!(offset_of!(Preamble, version) == 12);
    assert!(offset_of!(Preamble, size) == 16);
    assert!(offset_of!(Preamble, persist) == 24);
    assert!(offset_of!(Preamble, synced) == 28);
    assert!(offset_of!(Preamble, boot) == 32);
    assert!(offset_of!(Preamble, pid_namespace) == 40);
    assert!(offset_of!(Preamble, generation) == 48);
    assert!(offset_of!(Preamble, libc) == 56);
    assert!(offset_of!(Preamble, mutex_size) == 60);
    assert!(offset_of!(Preamble, created) == 64);
    assert!(offset_of!(Preamble, creator) == 72);
    assert!(offset_of!(Preamble, reserved) == 80);
};

impl Preamble {
    /// Of a session that this process makes.
    pub(super) fn new(size: usize, persist: bool) -> Self {
        Self {
            magic: MAGIC,
            byte_order: BYTE_ORDER,
            version: VERSION,
            size: size as u64,
            persist: persist.into(),
            synced: 0,
            boot: boot_id(),
            pid_namespace: pid_namespace(),
            generation: unique().max(1),
            libc: GLIBC,
            mutex_size: mutex_size(),
            created: SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |age| age.as_nanos() as u64),
            creator: std::process::id().into(),
            reserved: [0; 6],
        }
    }

    /// Reads the preamble of an existing file, which must be a session.
    pub(super) fn read(path: &Path, file: &File) -> Result<Self> {
        let mut bytes = [0; PREAMBLE];
        match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let found = file.metadata().map_or(0, |metadata| metadata.len());
                return Err(Error::Session(format!(
                    "{}: not a session: it has {found} bytes, a session at least {PREAMBLE}; \
                     remove the file or use another name",
                    path.display()
                )));
            }
            Err(error) => return Err(super::failure(path, "cannot be read", &error)),
        }
        // SAFETY: both have the same size, and any bytes are a valid value of a struct of
        // integers.
        let preamble: Self = unsafe { std::mem::transmute(bytes) };
        if preamble.magic != MAGIC {
            return Err(Error::Session(format!(
                "{}: not a session: it starts with \"{}\", a session with \"{}\"; use another \
                 name or path",
                path.display(),
                preamble.magic.escape_ascii(),
                MAGIC.escape_ascii()
            )));
        }
        Ok(preamble)
    }

    /// Writes the preamble at the start of the file.
    pub(super) fn write(&self, file: &File) -> io::Result<()> {
        // SAFETY: the struct has no padding (its fields fill its asserted size), so all its
        // bytes are initialised.
        let bytes: [u8; PREAMBLE] = unsafe { std::mem::transmute(*self) };
        file.write_all_at(&bytes, 0)
    }

    /// Bytes of the whole file; it was made or checked by a process of our word size.
    pub(super) fn size(&self) -> usize {
        self.size as usize
    }

    /// Whether the session outlives its processes.
    pub(super) fn persists(&self) -> bool {
        self.persist != 0
    }

    /// When and by whom the session was made.
    pub(super) fn origin(&self) -> Origin {
        Origin {
            created: (self.created != 0)
                .then(|| SystemTime::UNIX_EPOCH + Duration::from_nanos(self.created)),
            creator: u32::try_from(self.creator).ok().filter(|pid| *pid != 0),
        }
    }

    /// Whether another boot of the machine, or another machine, had the session last.
    pub(super) fn is_of_other_boot(&self) -> bool {
        self.boot != boot_id()
    }

    /// Notes that this process, alone, makes the session its own: this boot, not synced.
    pub(super) fn take_over(&mut self) {
        self.boot = boot_id();
        self.pid_namespace = pid_namespace();
        self.synced = 0;
    }

    /// Checks that this process can use the file at all.
    pub(super) fn check_format(&self, path: &Path, size: u64) -> Result<()> {
        if self.byte_order != BYTE_ORDER {
            return Err(mismatch(
                path,
                "byte order",
                &format!("{:08x}", self.byte_order),
                &format!("{BYTE_ORDER:08x}"),
            ));
        }
        let numbers = [
            ("format version", self.version.into(), VERSION.into()),
            (
                "kind of C library (1 is glibc)",
                self.libc.into(),
                GLIBC.into(),
            ),
            ("mutex size", self.mutex_size.into(), mutex_size().into()),
        ];
        for (what, theirs, ours) in numbers {
            let (theirs, ours): (u64, u64) = (theirs, ours);
            if theirs != ours {
                return Err(mismatch(path, what, &theirs.to_string(), &ours.to_string()));
            }
        }
        if self.size != size {
            return Err(Error::Session(format!(
                "{}: cut short or grown: made with {} bytes, now {size}; remove the file and \
                 start from a checkpoint",
                path.display(),
                self.size
            )));
        }
        Ok(())
    }

    /// Checks that the processes that are attached share this one's boot and pid namespace, on
    /// which the recovery of their locks rests.
    pub(super) fn check_company(&self, path: &Path) -> Result<()> {
        let boot = boot_id();
        if self.boot != boot {
            return Err(mismatch(
                path,
                "boot id",
                &format!("{:016x}", self.boot),
                &format!("{boot:016x}"),
            ));
        }
        self.check_namespace(path)
    }

    /// The part of [`Preamble::check_company`] that a fork may change.
    pub(super) fn check_namespace(&self, path: &Path) -> Result<()> {
        let namespace = pid_namespace();
        if self.pid_namespace != namespace {
            return Err(mismatch(
                path,
                "pid namespace",
                &self.pid_namespace.to_string(),
                &namespace.to_string(),
            ));
        }
        Ok(())
    }
}

fn mutex_size() -> u32 {
    size_of::<libc::pthread_mutex_t>() as u32
}

fn mismatch(path: &Path, what: &str, theirs: &str, ours: &str) -> Error {
    Error::Session(format!(
        "{}: the {what} of the session is {theirs}, of this process {ours}; use another name, or \
         run all processes of a session on one system",
        path.display()
    ))
}
