//! How much memory a session in a folder may take.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Memory that is left for a folder whose files live in memory; nothing for any other.
pub(super) fn available_memory(folder: &Path) -> Option<u64> {
    let folder = CString::new(folder.as_os_str().as_bytes()).ok()?;
    let mut numbers = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the string ends in NUL, and the kernel writes no more than one statfs.
    if unsafe { libc::statfs(folder.as_ptr(), numbers.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the call succeeded and filled the struct.
    if unsafe { numbers.assume_init() }.f_type != libc::TMPFS_MAGIC {
        return None;
    }
    let memory = fs::read_to_string("/proc/meminfo").ok()?;
    let kilobytes = |name: &str| number_after(&memory, name);
    let swap = kilobytes("SwapFree:").unwrap_or(0) * 1024;
    let machine = kilobytes("MemAvailable:")? * 1024;
    Some(control_groups().fold(machine, u64::min) + swap)
}

/// Bytes that are left for a file in the folder.
pub(super) fn available_bytes(folder: &Path) -> Option<u64> {
    let on_disk = space_in(folder)?;
    Some(available_memory(folder).map_or(on_disk, |memory| memory.min(on_disk)))
}

/// Memory that is left to each control group with a limit that this process is in; a container
/// is one. What a group has of files on a disk can be had back, so it does not count.
fn control_groups() -> impl Iterator<Item = u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut left = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (root, limit, usage, files) = if controllers.is_empty() {
            let files = ["inactive_file", "active_file"];
            ("/sys/fs/cgroup", "memory.max", "memory.current", files)
        } else if controllers.split(',').any(|name| name == "memory") {
            let files = ["total_inactive_file", "total_active_file"];
            let (limit, usage) = ("memory.limit_in_bytes", "memory.usage_in_bytes");
            ("/sys/fs/cgroup/memory", limit, usage, files)
        } else {
            continue;
        };
        // A limit holds for all groups below; inside a container only the root may be there.
        for group in Path::new(group.trim_start_matches('/')).ancestors() {
            let folder = Path::new(root).join(group);
            let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
            let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
            let (Some(limit), Some(usage)) = (number(limit), number(usage)) else {
                continue;
            };
            let statistics = read("memory.stat").unwrap_or_default();
            let files = files.map(|name| number_after(&statistics, name).unwrap_or(0));
            let used = usage.saturating_sub(files.iter().sum());
            left.push(limit.saturating_sub(used));
        }
    }
    left.into_iter()
}

/// The number in the line whose first word is `name`.
fn number_after(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(name)).then(|| words.next()?.parse().ok())?
    })
}

fn space_in(folder: &Path) -> Option<u64> {
    let folder = CString::new(folder.as_os_str().as_bytes()).ok()?;
    let mut numbers = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the string ends in NUL, and the kernel writes no more than one statvfs.
    if unsafe { libc::statvfs(folder.as_ptr(), numbers.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the call succeeded and filled the struct.
    let numbers = unsafe { numbers.assume_init() };
    Some(numbers.f_bavail * numbers.f_frsize)
}
