//! A mapped region and the typed views into it.

use std::fs::File;
use std::io;
use std::mem::{align_of, size_of};
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64};

/// Types that may be looked at in memory which other processes write at the same time.
///
/// # Safety
///
/// The type is `repr(C)` or `repr(transparent)`, every bit pattern of its size is valid, it holds
/// neither pointers nor padding that anybody reads, its alignment is at most 64, and whatever is
/// ever written lies in atomics (or in another `UnsafeCell` with a protocol of its own, such as a
/// process-shared mutex). It has no destructor that would need to run.
pub unsafe trait Shared: Sync {}

// SAFETY: an atomic integer is one plain word without padding; every bit pattern is a number.
unsafe impl Shared for AtomicU8 {}
// SAFETY: as above.
unsafe impl Shared for AtomicU16 {}
// SAFETY: as above.
unsafe impl Shared for AtomicU32 {}
// SAFETY: as above.
unsafe impl Shared for AtomicU64 {}
// SAFETY: as above.
unsafe impl Shared for AtomicI64 {}
// SAFETY: an array adds no padding to its elements.
unsafe impl<T: Shared, const N: usize> Shared for [T; N] {}

/// Bytes of a huge page: what one entry of the second level of page tables maps.
pub(super) const HUGE_PAGE: usize = 2 << 20;

/// A mapped region: private to this process, or shared through a file. Unmapped on drop.
///
/// It starts where a huge page may start: records are spread over all of it, and huge pages save
/// most misses of the translation buffer. `room` is the stretch of addresses that it lies in.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    room: NonNull<libc::c_void>,
    len: usize,
    writable: bool,
}

// SAFETY: the region belongs to the mapping alone until drop, and is only reached through
// `Shared` types, which are `Sync`.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` zeroed bytes that no other process sees; a forked child gets a copy.
    pub(super) fn private(len: usize) -> io::Result<Self> {
        Self::map(
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
        )
    }

    /// Maps the first `len` bytes of `file`, which must have as many.
    #[cfg_attr(not(all(target_os = "linux", target_env = "gnu")), allow(dead_code))]
    pub(super) fn shared(file: &File, len: usize, writable: bool) -> io::Result<Self> {
        let write = if writable { libc::PROT_WRITE } else { 0 };
        Self::map(
            len,
            libc::PROT_READ | write,
            libc::MAP_SHARED,
            file.as_raw_fd(),
        )
    }

    fn map(len: usize, protection: i32, flags: i32, descriptor: i32) -> io::Result<Self> {
        let none = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: fresh addresses of the kernel's choice; no memory of ours is replaced.
        let room = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len + HUGE_PAGE,
                libc::PROT_NONE,
                none,
                -1,
                0,
            )
        };
        if room == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let skipped = room.cast::<u8>().align_offset(HUGE_PAGE);
        // SAFETY: less than a huge page is skipped, so that it replaces a part of the room, which
        // nobody has used yet; the other arguments are checked by the kernel.
        let base = unsafe {
            let start = room.byte_add(skipped);
            libc::mmap(
                start,
                len,
                protection,
                flags | libc::MAP_FIXED,
                descriptor,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            let error = io::Error::last_os_error();
            // SAFETY: the room from above, which is given up.
            unsafe { libc::munmap(room, len + HUGE_PAGE) };
            return Err(error);
        }
        // A refusal costs nothing but the gain.
        #[cfg(target_os = "linux")]
        // SAFETY: advice about a mapping that was just made.
        unsafe {
            libc::madvise(base, len, libc::MADV_HUGEPAGE);
        }
        Ok(Self {
            base: NonNull::new(base.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?,
            room: NonNull::new(room).ok_or(io::ErrorKind::OutOfMemory)?,
            len,
            writable: protection & libc::PROT_WRITE != 0,
        })
    }

    /// Has the kernel put the region into huge pages, of which each has to have a page already.
    /// A refusal, as by kernels before 6.1, costs nothing but the gain.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    pub(super) fn collapse(&self) {
        // SAFETY: advice about a mapping of ours, whose content stays.
        unsafe { libc::madvise(self.base.as_ptr().cast(), self.len, libc::MADV_COLLAPSE) };
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never true: an empty region cannot be mapped.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether stores are allowed; a store into a read-only mapping kills the process.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// `count` values at byte `offset`.
    ///
    /// # Panics
    ///
    /// Where the view would leave the region or is not aligned: both are bugs of the caller.
    pub fn slice<T: Shared>(&self, offset: usize, count: usize) -> &[T] {
        const {
            assert!(
                align_of::<T>() <= 64,
                "shared types are aligned to 64 at most"
            )
        };
        let end = size_of::<T>()
            .checked_mul(count)
            .and_then(|bytes| bytes.checked_add(offset))
            .filter(|&end| end <= self.len);
        assert!(
            end.is_some(),
            "{count} values of {} bytes at {offset} leave a region of {} bytes",
            size_of::<T>(),
            self.len
        );
        assert!(
            offset.is_multiple_of(align_of::<T>()),
            "offset {offset} is not aligned to {}",
            align_of::<T>()
        );
        // SAFETY: the range lies in the region (checked), which stays mapped as long as `self`
        // lives; the base is page-aligned and the offset a multiple of the alignment (checked);
        // `Shared` promises that any bits are valid and that changes happen in atomics only.
        unsafe { slice::from_raw_parts(self.base.as_ptr().add(offset).cast::<T>(), count) }
    }

    /// One value at byte `offset`; panics like [`Mapping::slice`].
    pub fn get<T: Shared>(&self, offset: usize) -> &T {
        &self.slice::<T>(offset, 1)[0]
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the room was mapped with this length, the region lies in it, and no view outlives
        // `self`.
        unsafe { libc::munmap(self.room.as_ptr(), self.len + HUGE_PAGE) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_start_where_a_huge_page_may() {
        for len in [1, 4096, 3 * HUGE_PAGE + 1] {
            let region = Mapping::private(len).unwrap();
            let bytes: &[AtomicU8] = region.slice(0, len);
            assert!(bytes.as_ptr().addr().is_multiple_of(HUGE_PAGE));
            assert_eq!(bytes[len - 1].load(std::sync::atomic::Ordering::Relaxed), 0);
        }
    }
}
