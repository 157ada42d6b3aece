//! The view of shared memory that the protocol is written against: atomic 64-bit words.
//!
//! Everything in a session is made of [`Word`]s, so that no access is a data race under the Rust
//! memory model and the same code runs on a mapping and on the heap.

use std::sync::atomic::Ordering;

use crate::segment::Shared;
use crate::sync::AtomicU64;

/// One 64-bit word of shared memory.
#[repr(transparent)]
#[derive(Debug, Default)]
pub struct Word(AtomicU64);

// SAFETY: an atomic integer; every bit pattern is valid.
unsafe impl Shared for Word {}

impl Word {
    /// Relaxed load.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Relaxed store.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
        #[cfg(test)]
        crate::crash_points::stored(self);
    }

    /// Acquire load.
    #[inline]
    pub fn observe(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Release store.
    #[inline]
    pub fn publish(&self, value: u64) {
        self.0.store(value, Ordering::Release);
        #[cfg(test)]
        crate::crash_points::stored(self);
    }

    /// Adds and returns the value before; wraps.
    #[inline]
    pub fn add(&self, value: u64) -> u64 {
        let before = self.0.fetch_add(value, Ordering::Relaxed);
        #[cfg(test)]
        crate::crash_points::stored(self);
        before
    }

    /// Replaces `current` by `new`; the value found where it was another.
    #[inline]
    pub fn exchange(&self, current: u64, new: u64) -> Result<u64, u64> {
        let result =
            self.0
                .compare_exchange_weak(current, new, Ordering::AcqRel, Ordering::Relaxed);
        #[cfg(test)]
        if result.is_ok() {
            crate::crash_points::stored(self);
        }
        result
    }

    /// Relaxed load of a float.
    #[inline]
    pub fn get_f64(&self) -> f64 {
        f64::from_bits(self.get())
    }

    /// Relaxed store of a float.
    #[inline]
    pub fn set_f64(&self, value: f64) {
        self.set(value.to_bits());
    }
}
