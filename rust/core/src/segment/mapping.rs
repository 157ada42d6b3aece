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

/// A mapped region: private to this process, or shared through a file. Unmapped on drop.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
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
        // SAFETY: a fresh mapping at an address of the kernel's choice; no memory of ours is
        // replaced, and the arguments are checked by the kernel.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, descriptor, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // Records are spread over all of it: huge pages, where the system grants them, save most
        // misses of the translation buffer. A refusal costs nothing but that.
        #[cfg(target_os = "linux")]
        // SAFETY: advice about a mapping that was just made.
        unsafe {
            libc::madvise(base, len, libc::MADV_HUGEPAGE);
        }
        let base = NonNull::new(base.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self {
            base,
            len,
            writable: protection & libc::PROT_WRITE != 0,
        })
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
        // SAFETY: the region was mapped with this base and length, and no view outlives `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}
