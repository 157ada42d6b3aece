//! A mutex between processes that survives the death of its holder.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::interrupt::{SLICE, is_interrupted};
use crate::segment::Shared;
use crate::words::Word;

const MUTEX_WORDS: usize = 6;
const _: () = assert!(size_of::<libc::pthread_mutex_t>() <= MUTEX_WORDS * 8);

/// Tries before a taker goes to sleep: the critical sections are shorter than a system call.
const SPINS: u32 = 200;

/// A robust, process-shared pthread mutex and the process id of its last taker, one cache line.
#[repr(C, align(64))]
pub struct RobustLock {
    mutex: [Word; MUTEX_WORDS],
    holder: Word,
    spare: Word,
}

const _: () = assert!(size_of::<RobustLock>() == 64);

// SAFETY: words only; as a mutex it is used through the pthread functions alone.
unsafe impl Shared for RobustLock {}

/// How a lock was had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The last holder released it.
    Clean,
    /// The last holder died with it: what it guards must be recovered first.
    AfterDeath,
}

impl RobustLock {
    fn raw(&self) -> *mut libc::pthread_mutex_t {
        self.mutex
            .as_ptr()
            .cast::<libc::pthread_mutex_t>()
            .cast_mut()
    }

    /// Makes the mutex anew. Nobody may hold it or wait for it.
    pub fn initialise(&self) {
        // SAFETY: the storage is large enough (asserted above), writable and 64-byte aligned; the
        // attribute lives for the calls. The words are atomics, so the pointer may be written to.
        unsafe {
            let mut attributes = std::mem::zeroed::<libc::pthread_mutexattr_t>();
            libc::pthread_mutexattr_init(&raw mut attributes);
            libc::pthread_mutexattr_setpshared(&raw mut attributes, libc::PTHREAD_PROCESS_SHARED);
            libc::pthread_mutexattr_setrobust(&raw mut attributes, libc::PTHREAD_MUTEX_ROBUST);
            for word in &self.mutex {
                word.set(0);
            }
            libc::pthread_mutex_init(self.raw(), &raw const attributes);
            libc::pthread_mutexattr_destroy(&raw mut attributes);
        }
        self.holder.set(0);
    }

    /// Takes the lock if it is free; `None` if somebody has it. See [`Self::lock`].
    #[inline(always)]
    pub fn try_lock(&self, pid: u32) -> Option<Taken> {
        #[cfg(loom)]
        if let Some(taken) = crate::modelled::try_lock(self) {
            return taken;
        }
        // SAFETY: an initialised mutex.
        let taken = match unsafe { libc::pthread_mutex_trylock(self.raw()) } {
            0 => Taken::Clean,
            libc::EOWNERDEAD => Taken::AfterDeath,
            _ => return None,
        };
        self.holder.set(u64::from(pid));
        Some(taken)
    }

    /// Takes the lock within `limit`. After [`Taken::AfterDeath`] the caller recovers what the
    /// lock guards and then calls [`Self::mark_consistent`].
    ///
    /// # Errors
    /// `LockTimeout` naming the holder; `Interrupted` where the interrupt check says so.
    pub fn lock(&self, what: &str, limit: Duration, pid: u32, waits: &Word) -> Result<Taken> {
        if let Some(taken) = self.try_lock(pid) {
            return Ok(taken);
        }
        let taken = self.wait(what, limit, waits)?;
        self.holder.set(u64::from(pid));
        Ok(taken)
    }

    #[cold]
    fn wait(&self, what: &str, limit: Duration, waits: &Word) -> Result<Taken> {
        #[cfg(loom)]
        if let Some(taken) = crate::modelled::lock(self) {
            return Ok(taken);
        }
        for _ in 0..SPINS {
            std::hint::spin_loop();
            // SAFETY: an initialised mutex.
            match unsafe { libc::pthread_mutex_trylock(self.raw()) } {
                0 => return Ok(Taken::Clean),
                libc::EOWNERDEAD => return Ok(Taken::AfterDeath),
                _ => {}
            }
        }
        let start = Instant::now();
        let mut slept = Duration::ZERO;
        loop {
            if is_interrupted(slept) {
                return Err(Error::Interrupted);
            }
            if slept.is_zero() {
                waits.add(1);
            }
            let until = deadline(limit.saturating_sub(slept).min(SLICE));
            // SAFETY: an initialised mutex and a valid time.
            match unsafe { libc::pthread_mutex_timedlock(self.raw(), &raw const until) } {
                0 => return Ok(Taken::Clean),
                libc::EOWNERDEAD => return Ok(Taken::AfterDeath),
                libc::ETIMEDOUT => {}
                error => {
                    return Err(Error::Session(format!(
                        "{what} cannot be locked: {}",
                        std::io::Error::from_raw_os_error(error)
                    )));
                }
            }
            slept = start.elapsed();
            if slept >= limit {
                return Err(Error::LockTimeout {
                    what: what.to_owned(),
                    seconds: limit.as_secs_f64(),
                    holder: self.name_holder(),
                });
            }
        }
    }

    /// Process id of whoever has the lock, as far as it can be known.
    fn name_holder(&self) -> String {
        // The mutex itself names the thread; the taker's own note comes a moment after the lock.
        const THREAD: u64 = 0x3fff_ffff;
        process_of(self.mutex[0].get() & THREAD)
            .or(Some(self.holder.get()).filter(|pid| *pid != 0))
            .map_or_else(|| "unknown".to_owned(), |pid| pid.to_string())
    }

    /// Says that what the lock guards is whole again after a holder's death.
    pub fn mark_consistent(&self) {
        #[cfg(loom)]
        if crate::modelled::is_watched(self) {
            return;
        }
        // SAFETY: called by the holder after EOWNERDEAD.
        unsafe { libc::pthread_mutex_consistent(self.raw()) };
        #[cfg(test)]
        crate::crash_points::lock_changed();
    }

    /// Releases the lock. Only for its holder.
    #[inline]
    pub fn unlock(&self) {
        #[cfg(loom)]
        if crate::modelled::unlock(self) {
            return;
        }
        // SAFETY: called by the holder.
        unsafe { libc::pthread_mutex_unlock(self.raw()) };
        #[cfg(test)]
        crate::crash_points::lock_changed();
    }
}

/// The process that a thread belongs to, where the system tells.
fn process_of(thread: u64) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    let group = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?;
    group.trim().parse().ok()
}

fn deadline(wait: Duration) -> libc::timespec {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a local.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now) };
    let nanos = now.tv_nsec + i64::from(wait.subsec_nanos());
    libc::timespec {
        tv_sec: now.tv_sec + wait.as_secs().cast_signed() + nanos / 1_000_000_000,
        tv_nsec: nanos % 1_000_000_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> Box<RobustLock> {
        let lock = Box::new(RobustLock {
            mutex: Default::default(),
            holder: Word::default(),
            spare: Word::default(),
        });
        lock.initialise();
        lock
    }

    #[test]
    fn a_timeout_names_the_holder() {
        let (lock, waits) = (lock(), Word::default());
        let limit = Duration::from_millis(60);
        // As if the taker had been stopped before it noted itself: the note is another's.
        lock.lock("stripe 3", limit, 4242, &waits).unwrap();
        let holder = format!("process {}", std::process::id());
        std::thread::scope(|scope| {
            let error = scope
                .spawn(|| {
                    lock.lock("stripe 3", limit, 1, &waits)
                        .unwrap_err()
                        .to_string()
                })
                .join()
                .unwrap();
            assert!(
                error.contains("stripe 3") && error.ends_with(&holder),
                "{error}"
            );
        });
        lock.unlock();
        assert_eq!(waits.get(), 1);
    }

    #[test]
    fn a_dead_holder_hands_the_lock_on() {
        let (lock, waits) = (lock(), Word::default());
        let limit = Duration::from_secs(5);
        std::thread::scope(|scope| {
            // A thread that ends with the lock is, to the kernel, a holder that died.
            scope.spawn(|| lock.lock("lock", limit, 1, &waits).unwrap());
        });
        assert_eq!(
            lock.lock("lock", limit, 2, &waits).unwrap(),
            Taken::AfterDeath
        );
        lock.mark_consistent();
        lock.unlock();
        assert_eq!(lock.lock("lock", limit, 2, &waits).unwrap(), Taken::Clean);
        lock.unlock();
    }
}
