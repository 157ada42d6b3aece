//! Forks of a process with a process-local session: the child gets a whole copy.
//!
//! A fork waits for the critical sections of all threads by taking their locks; the child, where
//! those threads do not exist, makes the locks anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::segment::{ForkGuard, guard_forks};
use crate::table::Table;

/// The locks of one process-local table, as the fork handlers see them.
pub struct LocalLocks {
    // Kept alive through a fork: its locks are held while other threads may let go of it.
    table: Arc<Table>,
    /// The locks had in `prepare`: bit 0 for the structure, bit n + 1 for stripe n.
    had: AtomicU64,
}

impl LocalLocks {
    /// Takes part in forks for as long as the value lives.
    #[must_use]
    pub fn watch(table: &Arc<Table>) -> Arc<Self> {
        let locks = Arc::new(Self {
            table: table.clone(),
            had: AtomicU64::new(0),
        });
        let guard: Arc<dyn ForkGuard> = locks.clone();
        guard_forks(&guard);
        locks
    }
}

impl ForkGuard for LocalLocks {
    fn prepare(&self) {
        let table = &self.table;
        let mut had = 0;
        // A lock that cannot be had in time belongs to a thread that is stuck; the child's copy of
        // its stripe is as it was before that thread's commit.
        if let Ok(guard) = table.lock_structure() {
            had |= 1;
            std::mem::forget(guard);
        }
        for stripe in 0..table.layout.stripes {
            if let Ok(guard) = table.lock_stripe(stripe) {
                had |= 2 << stripe;
                std::mem::forget(guard);
            }
        }
        self.had.store(had, Ordering::Relaxed);
    }

    fn parent(&self) {
        let table = &self.table;
        let had = self.had.swap(0, Ordering::Relaxed);
        for (stripe, part) in table.stripes().iter().enumerate() {
            if had & (2 << stripe) != 0 {
                part.lock.unlock();
            }
        }
        if had & 1 != 0 {
            table.header().structure.unlock();
        }
    }

    fn child(&self) {
        let table = &self.table;
        table.header().structure.initialise();
        for stripe in table.stripes() {
            stripe.lock.initialise();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::options::SessionOptions;
    use crate::session::Session;

    #[test]
    fn forks_beside_sessions_that_come_and_go_harm_nobody() {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let session = Session::open(&SessionOptions {
                            capacity: Some(1000),
                            ..SessionOptions::default()
                        })
                        .unwrap();
                        session.update(7, 0.5, 1).unwrap();
                        drop(session);
                        // Where the session was, others keep their own now.
                        let other = vec![7_u64; 200_000];
                        assert!(other.iter().all(|word| *word == 7));
                    }
                });
            }
            for _ in 0..500 {
                // SAFETY: the child ends at once.
                let child = unsafe { libc::fork() };
                if child == 0 {
                    // SAFETY: ends the process.
                    unsafe { libc::_exit(0) };
                }
                let mut status = 0;
                // SAFETY: our child, and a pointer to a local.
                assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
                assert_eq!(status, 0);
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}
