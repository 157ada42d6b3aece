//! Who we are to the kernel: this boot, this pid namespace, this user.

use std::fs;
use std::os::unix::fs::MetadataExt;

use xxhash_rust::xxh3::xxh3_64;

/// Hash of the kernel's boot id; 0 where it cannot be read.
pub fn boot_id() -> u64 {
    fs::read("/proc/sys/kernel/random/boot_id").map_or(0, |text| xxh3_64(text.trim_ascii()))
}

/// Inode of this process's pid namespace; 0 where it cannot be read.
pub fn pid_namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |namespace| namespace.ino())
}

/// The effective user.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(super) fn user() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}
