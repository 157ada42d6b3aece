//! Ctrl-C, and the GIL, during waits in the core.

use std::cell::Cell;
use std::time::Duration;

use pyo3::prelude::*;

thread_local! {
    /// Whether this thread is in a call of one task, with the GIL.
    static ATTACHED: Cell<bool> = const { Cell::new(false) };
    /// What a signal handler raised during a wait of this thread.
    static RAISED: Cell<Option<PyErr>> = const { Cell::new(None) };
}

/// Whether a wait for a lock, of `slept` so far, is to be given up: at once with the GIL, else
/// where the handler of a signal raises.
pub fn interrupted(slept: Duration) -> bool {
    if ATTACHED.get() {
        return true;
    }
    if slept.is_zero() {
        return false;
    }
    match Python::try_attach(|py| py.check_signals()) {
        Some(Ok(())) => false,
        Some(Err(raised)) => {
            RAISED.set(Some(raised));
            true
        }
        // The interpreter is shutting down.
        None => true,
    }
}

/// What a signal handler raised in the wait that was just given up.
pub fn take_raised() -> Option<PyErr> {
    RAISED.take()
}

/// Runs `work` as one that must not wait, since it has the GIL.
#[inline]
pub fn attached<T>(work: impl FnOnce() -> T) -> T {
    ATTACHED.set(true);
    let done = work();
    ATTACHED.set(false);
    done
}
