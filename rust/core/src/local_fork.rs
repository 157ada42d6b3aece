//! Forks of a process with a process-local session: the child gets a whole copy.
//!
//! A fork waits for the critical sections of all threads by taking their locks; the child, where
//! those threads do not exist, makes the locks anew.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use crate::segment::{ForkGuard, guard_forks};
use crate::table::Table;

/// The locks of one process-local table, as the fork handlers see them.
pub struct LocalLocks {
    table: Weak<Table>,
    /// The locks had in `prepare`: bit 0 for the structure, bit n + 1 for stripe n.
    had: AtomicU64,
}

impl LocalLocks {
    /// Takes part in forks for as long as the value lives.
    #[must_use]
    pub fn watch(table: &Arc<Table>) -> Arc<Self> {
        let locks = Arc::new(Self {
            table: Arc::downgrade(table),
            had: AtomicU64::new(0),
        });
        let guard: Arc<dyn ForkGuard> = locks.clone();
        guard_forks(&guard);
        locks
    }
}

impl ForkGuard for LocalLocks {
    fn prepare(&self) {
        let Some(table) = self.table.upgrade() else {
            return;
        };
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
        let Some(table) = self.table.upgrade() else {
            return;
        };
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
        let Some(table) = self.table.upgrade() else {
            return;
        };
        table.header().structure.initialise();
        for stripe in table.stripes() {
            stripe.lock.initialise();
        }
    }
}
