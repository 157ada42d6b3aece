//! Who is attached to a session, as the kernel's list of locks has it.

use std::fs;

/// Ids of the processes with a lock on a file (its device and inode), in order; nothing where the list of locks cannot
/// be read. Processes of other pid namespaces are not in it.
pub(super) fn members((device, inode): (u64, u64)) -> Option<Vec<u32>> {
    let locks = fs::read_to_string("/proc/locks").ok()?;
    Some(holders(&locks, device, inode))
}

/// Ids of the processes that hold a lock on the file with this device and inode.
fn holders(locks: &str, device: u64, inode: u64) -> Vec<u32> {
    let id = format!(
        "{:02x}:{:02x}:{inode}",
        libc::major(device),
        libc::minor(device)
    );
    let mut holders: Vec<u32> = locks
        .lines()
        .filter_map(|line| {
            // "1: FLOCK ADVISORY READ pid device:inode start end"; who waits has "->" after the
            // number, and so another second word.
            let mut words = line.split_ascii_whitespace().skip(1);
            let (kind, pid, of) = (words.next()?, words.nth(2)?, words.next()?);
            let held = kind == "FLOCK" && of == id;
            held.then(|| pid.parse().ok()).flatten()
        })
        .collect();
    holders.sort_unstable();
    holders.dedup();
    holders
}

#[cfg(test)]
mod tests {
    use super::holders;

    #[test]
    fn holders_are_told_from_those_who_wait_and_from_holders_of_other_files() {
        let locks = "1: FLOCK  ADVISORY  READ  812 00:1b:42 0 EOF\n\
                     1: -> FLOCK  ADVISORY  WRITE 813 00:1b:42 0 EOF\n\
                     2: FLOCK  ADVISORY  READ  81 00:1b:42 0 EOF\n\
                     3: FLOCK  ADVISORY  READ  812 00:1b:42 0 EOF\n\
                     4: POSIX  ADVISORY  WRITE 5 00:1b:42 0 EOF\n\
                     5: FLOCK  ADVISORY  READ  6 00:1c:42 0 EOF\n\
                     6: FLOCK  ADVISORY  READ  7 00:1b:421 0 EOF\n\
                     7: nonsense\n";
        assert_eq!(holders(locks, libc::makedev(0, 0x1b), 42), [81, 812]);
        assert_eq!(holders("", 0, 0), [0_u32; 0]);
    }
}
