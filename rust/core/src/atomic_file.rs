//! Files that are replaced whole or not at all.
//!
//! The new content goes into a draft beside the file, which is then renamed over it. A draft is
//! locked while its writer lives: one that nobody holds was left by a writer who died, and the
//! next one removes it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::segment::flock::{is_at, try_flock};

const SUFFIX: &[u8] = b".tmp";

/// Writes a file so that `path` has either its old content or all of the new, also after a crash.
/// A link stays one, a file that is there keeps its permissions, and what is no plain file is
/// left alone.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let there = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        there => Some(there?),
    };
    let target = match &there {
        Some(link) if link.is_symlink() => fs::canonicalize(path)?,
        _ => path.to_owned(),
    };
    let path = target.as_path();
    let permissions = match there {
        None => None,
        Some(_) => {
            let there = fs::metadata(path)?;
            if !there.is_file() {
                return Err(io::Error::other("what is there is no plain file"));
            }
            Some(there.permissions())
        }
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::other("the path names no file"))?;
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    remove_abandoned(folder, prefix.as_bytes());
    let (draft, mut file) = begin(folder, &prefix)?;
    let written = file.write_all(bytes).and_then(|()| {
        if let Some(permissions) = permissions {
            file.set_permissions(permissions)?;
        }
        file.sync_all()?;
        fs::rename(&draft, path)?;
        File::open(folder)?.sync_all()
    });
    if written.is_err() {
        // The draft may not be there any more; the first error is the one to report.
        let _ = fs::remove_file(&draft);
    }
    written
}

/// A draft of our own, locked.
fn begin(folder: &Path, prefix: &OsString) -> io::Result<(PathBuf, File)> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut name = prefix.clone();
        name.push(format!("{}-{number}.tmp", std::process::id()));
        let draft = folder.join(name);
        let file = match OpenOptions::new().write(true).create_new(true).open(&draft) {
            // Left over, or of a process of the same number in another container.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            file => file?,
        };
        // Where files cannot be locked, nobody takes a draft away either.
        let locked = try_flock(&file, libc::LOCK_EX).unwrap_or(true);
        // Somebody may have taken it for abandoned before we had the lock.
        if locked && is_at(&file, &draft)? {
            return Ok((draft, file));
        }
    }
}

/// Removes the drafts of writers who died. What fails here is left to the next writer.
fn remove_abandoned(folder: &Path, prefix: &[u8]) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().into_vec();
        let numbers = name
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_suffix(SUFFIX));
        let is_draft = numbers.is_some_and(|numbers| {
            !numbers.is_empty() && numbers.iter().all(|c| c.is_ascii_digit() || *c == b'-')
        });
        if !is_draft {
            continue;
        }
        let path = entry.path();
        let mut options = OpenOptions::new();
        options
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let Ok(file) = options.open(&path) else {
            continue;
        };
        if try_flock(&file, libc::LOCK_EX).unwrap_or(false) && is_at(&file, &path).unwrap_or(false)
        {
            let _ = fs::remove_file(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn drafts_of_the_dead_are_removed_and_those_of_the_living_kept() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at(".state.77-0.tmp"), "abandoned").unwrap();
        let living = File::create(at(".state.78-0.tmp")).unwrap();
        assert!(try_flock(&living, libc::LOCK_EX).unwrap());
        fs::write(at(".state.notes.tmp"), "somebody else's").unwrap();
        fs::write(at(".states.79-0.tmp"), "of another file").unwrap();
        replace(&at("state"), b"new").unwrap();
        assert_eq!(
            names(folder.path()),
            [
                ".state.78-0.tmp",
                ".state.notes.tmp",
                ".states.79-0.tmp",
                "state"
            ]
        );
        assert_eq!(fs::read(at("state")).unwrap(), b"new");
    }

    #[test]
    fn writers_of_one_file_at_once_never_mix() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        std::thread::scope(|scope| {
            for letter in [b'a', b'b', b'c'] {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..100 {
                        replace(path, &[letter; 10_000]).unwrap();
                        let found = fs::read(path).unwrap();
                        assert_eq!(found.len(), 10_000);
                        assert!(found.iter().all(|byte| *byte == found[0]));
                    }
                });
            }
        });
        assert_eq!(names(folder.path()), ["state"]);
    }

    #[test]
    fn what_is_no_plain_file_stays_and_a_link_stays_a_link() {
        use std::os::unix::fs::{PermissionsExt, symlink};

        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        assert!(replace(&at("socket"), b"new").is_err());
        drop(socket);
        fs::write(at("run-3"), "old").unwrap();
        fs::set_permissions(at("run-3"), fs::Permissions::from_mode(0o600)).unwrap();
        symlink("run-3", at("latest")).unwrap();
        replace(&at("latest"), b"new").unwrap();
        assert!(fs::symlink_metadata(at("latest")).unwrap().is_symlink());
        assert_eq!(fs::read(at("run-3")).unwrap(), b"new");
        let mode = fs::metadata(at("run-3")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        symlink("nothing", at("dangling")).unwrap();
        assert!(replace(&at("dangling"), b"new").is_err());
        assert_eq!(
            names(folder.path()),
            ["dangling", "latest", "run-3", "socket"]
        );
    }

    #[test]
    fn a_failed_writer_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        fs::create_dir(&path).unwrap();
        assert!(replace(&path, b"new").is_err());
        assert_eq!(names(folder.path()), ["state"]);
    }
}
