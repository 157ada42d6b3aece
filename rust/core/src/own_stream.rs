//! The stream that a handle draws from where the caller gives none: one for each process.

use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Result;
use crate::segment::fork_generation;
use crate::stream::Stream;

/// A handle's stream, made at first use and made anew in a forked child.
///
/// A fork may come while another thread holds the lock, and the child, where that thread does not
/// exist, would wait for it for ever. So the child never touches what it inherited.
#[derive(Default)]
pub struct OwnStream {
    current: AtomicPtr<OfProcess>,
}

struct OfProcess {
    generation: u32,
    stream: Mutex<Stream>,
}

impl OwnStream {
    /// The stream of this process, by `make` if there is none yet.
    ///
    /// # Errors
    /// Those of `make`.
    #[inline]
    pub fn lock(&self, make: impl FnOnce() -> Result<Stream>) -> Result<MutexGuard<'_, Stream>> {
        let known = self.current.load(Ordering::Acquire);
        // SAFETY: what the pointer ever led to lives until `self` is dropped.
        let own = match unsafe { known.as_ref() } {
            Some(own) if own.generation == fork_generation() => own,
            _ => self.replace(known, make()?),
        };
        // A panic while drawing leaves a state like any other.
        Ok(own.stream.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[cold]
    fn replace(&self, known: *mut OfProcess, stream: Stream) -> &OfProcess {
        let made = Box::into_raw(Box::new(OfProcess {
            generation: fork_generation(),
            stream: Mutex::new(stream),
        }));
        let placed =
            self.current
                .compare_exchange(known, made, Ordering::AcqRel, Ordering::Acquire);
        let own = match placed {
            // What a child inherited stays allocated: another thread may be reading its
            // generation right now.
            Ok(_) => made,
            Err(others) => {
                // SAFETY: made above and shown to nobody.
                drop(unsafe { Box::from_raw(made) });
                others
            }
        };
        // SAFETY: not null, and alive until `self` is dropped.
        unsafe { &*own }
    }
}

impl Drop for OwnStream {
    fn drop(&mut self) {
        let own = *self.current.get_mut();
        if !own.is_null() {
            // SAFETY: made by `replace`, and nobody has a reference any more.
            drop(unsafe { Box::from_raw(own) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stream_is_made_and_kept() {
        let own = OwnStream::default();
        let first = own.lock(|| Ok(Stream::new(1, 1))).unwrap().next_u64();
        let mut same = Stream::new(1, 1);
        assert_eq!(first, same.next_u64());
        let second = own.lock(|| unreachable!()).unwrap().next_u64();
        assert_eq!(second, same.next_u64());
    }

    #[test]
    fn a_child_does_not_wait_for_a_thread_that_it_has_not() {
        let own = OwnStream::default();
        let mut held = own.lock(|| Ok(Stream::new(1, 1))).unwrap();
        held.next_u64();
        // What a fork leaves behind: a locked stream of another generation.
        // SAFETY: not null, and no other reference is used.
        unsafe { (*own.current.load(Ordering::Acquire)).generation += 1 };
        let next = own.lock(|| Ok(Stream::new(1, 2))).unwrap().next_u64();
        assert_eq!(next, Stream::new(1, 2).next_u64());
        drop(held);
    }
}
