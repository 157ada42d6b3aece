//! A session's memory under loom: chosen words and locks are loom's, the rest is plain memory.
//!
//! The layout stays what it is, and so does the code on top of it. Loom runs all threads of a
//! model on one thread of the system and switches between them only at accesses that it sees, so
//! whatever is not watched behaves as if it were part of the access before it. That keeps a model
//! small enough to be exhausted: set a session up, [`watch`] the words in question, run the
//! threads, [`settle`], and look at the outcome.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64 as Plain, Ordering};

use loom::sync::atomic::AtomicU64 as Modelled;
use loom::sync::{Mutex, MutexGuard};
use loom::thread::{ThreadId, current};

use crate::lock::{RobustLock, Taken};
use crate::words::Word;

thread_local! {
    static WORDS: RefCell<HashMap<usize, Rc<Modelled>>> = RefCell::default();
    static LOCKS: RefCell<HashMap<usize, Rc<Lock>>> = RefCell::default();
    static DOOM: RefCell<Option<Doom>> = const { RefCell::new(None) };
}

/// Who is to die, and the watched stores it still makes.
struct Doom {
    thread: ThreadId,
    stores: usize,
}

/// What a thread dies of.
struct Death;

/// A lock as loom sees it.
struct Lock {
    /// Held between calls. Before the mutex that it borrows from, so that it is dropped first.
    guard: RefCell<Option<MutexGuard<'static, ()>>>,
    mutex: Box<Mutex<()>>,
    /// Whether the last holder died with it.
    abandoned: Cell<bool>,
}

fn address<T>(of: &T) -> usize {
    std::ptr::from_ref(of).addr()
}

/// Begins a model: loom sees these words and locks from now on, and nothing else. To be called
/// before other threads are started.
pub fn watch<'a>(
    words: impl IntoIterator<Item = &'a Word>,
    locks: impl IntoIterator<Item = &'a RobustLock>,
) {
    settle();
    let words = words
        .into_iter()
        .map(|word| (address(word), Rc::new(Modelled::new(word.get()))))
        .collect();
    WORDS.replace(words);
    let lock = || {
        Rc::new(Lock {
            guard: RefCell::new(None),
            mutex: Box::default(),
            abandoned: Cell::new(false),
        })
    };
    LOCKS.replace(locks.into_iter().map(|it| (address(it), lock())).collect());
}

/// Ends a model: everything is plain memory again, with the values it has now.
pub fn settle() {
    WORDS.take();
    LOCKS.take();
}

/// Runs `doomed`, and ends it as a kill would, with all its locks, once it has made `stores` of
/// the watched stores. Only one thread of a model may be doomed.
pub fn killed_after(stores: usize, doomed: impl FnOnce()) {
    let thread = current().id();
    DOOM.replace(Some(Doom { thread, stores }));
    let end = catch_unwind(AssertUnwindSafe(doomed));
    DOOM.take();
    if let Err(cause) = end
        && !cause.is::<Death>()
    {
        resume_unwind(cause);
    }
    let abandoned = LOCKS.with_borrow(|locks| {
        let abandoned = |lock: &&Rc<Lock>| lock.abandoned.get();
        locks
            .values()
            .filter(abandoned)
            .cloned()
            .collect::<Vec<_>>()
    });
    for lock in abandoned {
        drop(lock.guard.take());
    }
}

/// Before each watched store.
fn step() {
    let dies = DOOM.with_borrow_mut(|doom| match doom {
        Some(doom) if doom.thread == current().id() => {
            let dies = doom.stores == 0;
            doom.stores = doom.stores.saturating_sub(1);
            dies
        }
        _ => false,
    });
    if dies && !std::thread::panicking() {
        resume_unwind(Box::new(Death));
    }
}

/// The atomic that words are made of.
#[repr(transparent)]
#[derive(Debug, Default)]
pub struct AtomicU64(Plain);

impl AtomicU64 {
    fn watched(&self) -> Option<Rc<Modelled>> {
        // Loom switches threads in an access, so the map must not be borrowed by then.
        WORDS.with_borrow(|words| words.get(&address(self)).cloned())
    }

    pub(crate) fn load(&self, order: Ordering) -> u64 {
        match self.watched() {
            Some(word) => word.load(order),
            None => self.0.load(order),
        }
    }

    /// The plain word keeps the newest value, for [`settle`].
    pub(crate) fn store(&self, value: u64, order: Ordering) {
        if let Some(word) = self.watched() {
            step();
            word.store(value, order);
        }
        self.0.store(value, order);
    }

    pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        let Some(word) = self.watched() else {
            return self.0.fetch_add(value, order);
        };
        let before = word.fetch_add(value, order);
        self.0.store(before.wrapping_add(value), Ordering::Relaxed);
        before
    }

    pub(crate) fn compare_exchange_weak(
        &self,
        current: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        let Some(word) = self.watched() else {
            return self.0.compare_exchange_weak(current, new, success, failure);
        };
        word.compare_exchange_weak(current, new, success, failure)?;
        self.0.store(new, Ordering::Relaxed);
        Ok(current)
    }
}

fn is_watching() -> bool {
    WORDS.with_borrow(|words| !words.is_empty())
}

pub(crate) fn fence(order: Ordering) {
    if is_watching() {
        loom::sync::atomic::fence(order);
    } else {
        std::sync::atomic::fence(order);
    }
}

pub(crate) fn yield_now() {
    if is_watching() {
        loom::thread::yield_now();
    } else {
        std::thread::yield_now();
    }
}

/// Whoever tries again waits for somebody else's step: in a model, another thread must take one.
pub(crate) fn spin_loop() {
    yield_now();
}

fn watched_lock(lock: &RobustLock) -> Option<Rc<Lock>> {
    LOCKS.with_borrow(|locks| locks.get(&address(lock)).cloned())
}

impl Lock {
    fn keep(&self, guard: MutexGuard<'_, ()>) -> Taken {
        // SAFETY: the guard borrows from the boxed mutex beside it, which outlives it: it is
        // dropped by `unlock`, or before the mutex (see the order of the fields).
        let guard =
            unsafe { std::mem::transmute::<MutexGuard<'_, ()>, MutexGuard<'static, ()>>(guard) };
        self.guard.replace(Some(guard));
        if self.abandoned.take() {
            Taken::AfterDeath
        } else {
            Taken::Clean
        }
    }
}

/// What [`RobustLock::try_lock`] does if the lock is watched.
pub(crate) fn try_lock(lock: &RobustLock) -> Option<Option<Taken>> {
    let lock = watched_lock(lock)?;
    let Ok(guard) = lock.mutex.try_lock() else {
        return Some(None);
    };
    Some(Some(lock.keep(guard)))
}

/// Waits for a lock, if it is watched.
pub(crate) fn lock(lock: &RobustLock) -> Option<Taken> {
    let lock = watched_lock(lock)?;
    Some(lock.keep(lock.mutex.lock().expect("nobody unwinds with the guard")))
}

/// Releases a lock; whether it is watched.
pub(crate) fn unlock(lock: &RobustLock) -> bool {
    let Some(lock) = watched_lock(lock) else {
        return false;
    };
    if std::thread::panicking() {
        // A killed holder releases nothing itself: see `killed_after`.
        lock.abandoned.set(true);
    } else {
        drop(lock.guard.take());
    }
    true
}

/// Whether a lock is watched.
pub(crate) fn is_watched(lock: &RobustLock) -> bool {
    watched_lock(lock).is_some()
}
