//! What a fork does to sessions.
//!
//! A forked child inherits every descriptor, and with it a share of the locks that the parent
//! holds through them: it would keep a session alive that it never uses. So all descriptors with
//! locks are registered here and closed in the child at once; a counter tells the handles that
//! they must attach anew. Process-local sessions have their own locks taken before the fork and
//! made new in the child.

use std::cell::UnsafeCell;
use std::fs::File;
use std::os::fd::FromRawFd;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Something with process-local locks that a fork must find free.
///
/// No segment may be opened, attached anew, closed or dropped under these locks.
pub trait ForkGuard: Send + Sync {
    /// Before the fork, on the forking thread: takes the locks, so that no critical section of
    /// another thread is cut in two.
    fn prepare(&self);
    /// After the fork, in the parent, on the same thread: frees them.
    fn parent(&self);
    /// After the fork, in the child, on its only thread: makes them new.
    fn child(&self);
}

static GENERATION: AtomicU32 = AtomicU32::new(0);

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    installed: false,
    descriptors: Vec::new(),
    guards: Vec::new(),
});

static PENDING: PendingFork = PendingFork(UnsafeCell::new(None));

/// Who is told of forks.
pub(super) struct Registry {
    installed: bool,
    /// Files that a child closes; -1 where there is none.
    pub(super) descriptors: Vec<Arc<AtomicI32>>,
    guards: Vec<Weak<dyn ForkGuard>>,
}

/// What the prepare handler hands to the parent's and the child's one.
struct Pending {
    registry: MutexGuard<'static, Registry>,
    guards: Vec<Arc<dyn ForkGuard>>,
}

struct PendingFork(UnsafeCell<Option<Pending>>);

// SAFETY: only the thread that forks touches the cell, and only while it holds the registry's
// mutex, so that forks of several threads take turns.
unsafe impl Sync for PendingFork {}

/// How many forks lie between the first process that opened a segment and this one.
#[inline]
pub fn fork_generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// Has `guard` called around every fork from now on, as long as it lives.
pub fn guard_forks(guard: &Arc<dyn ForkGuard>) {
    let mut registry = registry();
    registry.guards.retain(|known| known.strong_count() > 0);
    registry.guards.push(Arc::downgrade(guard));
}

/// Makes sure that forks are counted.
pub(super) fn watch_forks() {
    drop(registry());
}

pub(super) fn registry() -> MutexGuard<'static, Registry> {
    let mut registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    if !registry.installed {
        // SAFETY: the three handlers are plain functions that live as long as the library.
        let failed = unsafe {
            libc::pthread_atfork(Some(prepare_fork), Some(resume_parent), Some(start_child))
        };
        assert_eq!(failed, 0, "no memory to register the fork handlers");
        registry.installed = true;
    }
    registry
}

extern "C" fn prepare_fork() {
    let registry = registry();
    let guards: Vec<_> = registry.guards.iter().filter_map(Weak::upgrade).collect();
    for guard in &guards {
        guard.prepare();
    }
    // SAFETY: this thread holds the registry's mutex, see `PendingFork`.
    unsafe { *PENDING.0.get() = Some(Pending { registry, guards }) };
}

/// Ends a fork: runs `work`, frees the registry, and only then lets go of the guards, whose drop
/// may need it.
fn finish_fork(work: impl FnOnce(&mut Pending)) {
    // SAFETY: `prepare_fork` left the registry's mutex with this thread (in the child: its copy).
    if let Some(mut pending) = unsafe { (*PENDING.0.get()).take() } {
        work(&mut pending);
        let Pending { registry, guards } = pending;
        drop(registry);
        drop(guards);
    }
}

extern "C" fn resume_parent() {
    finish_fork(|pending| pending.guards.iter().for_each(|guard| guard.parent()));
}

extern "C" fn start_child() {
    finish_fork(|pending| {
        GENERATION.fetch_add(1, Ordering::Relaxed);
        for cell in pending.registry.descriptors.drain(..) {
            // Closed without unlocking: the locks are the parent's.
            drop(take_file(&cell));
        }
        pending.guards.iter().for_each(|guard| guard.child());
    });
}

/// Takes the open file out of the cell, for the caller to close.
pub(super) fn take_file(cell: &AtomicI32) -> Option<File> {
    let descriptor = cell.swap(-1, Ordering::Relaxed);
    // SAFETY: the cell owned the open descriptor, and the swap took it out for us alone.
    (descriptor >= 0).then(|| unsafe { File::from_raw_fd(descriptor) })
}
