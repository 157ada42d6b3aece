//! Calls into the core: the GIL, errors and Ctrl-C.

use std::cell::Cell;

use curricle_core::Result;
use pyo3::prelude::*;

use crate::errors::to_python;

/// Elements from which a batch releases the GIL: their work is about 30 times what that costs.
const DETACH_FROM: usize = 32;

/// Slots from which a scan of the table releases the GIL.
///
/// Some 10 us of work: less is not worth the wait for the GIL behind a busy thread.
const SCAN_FROM: usize = 16_384;

thread_local! {
    /// What a signal handler raised during a wait of this thread.
    static RAISED: Cell<Option<PyErr>> = const { Cell::new(None) };
}

/// Whether a wait for a lock is to be given up: runs the handlers of signals that have come.
///
/// Also lets other threads have the GIL, which a call of one task keeps.
pub fn interrupted() -> bool {
    let checked = Python::try_attach(|py| {
        py.detach(std::thread::yield_now);
        py.check_signals()
    });
    match checked {
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

/// A result of the core as one of Python.
pub trait IntoPython<T> {
    /// Maps the error.
    fn into_python(self) -> PyResult<T>;
}

impl<T> IntoPython<T> for Result<T> {
    #[inline]
    fn into_python(self) -> PyResult<T> {
        self.map_err(to_python)
    }
}

/// Runs `work` without the GIL.
pub fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    py.detach(work).into_python()
}

/// Runs the work of `n` elements, without the GIL where that pays.
pub fn batch<T: Send>(
    py: Python<'_>,
    n: usize,
    work: impl FnOnce() -> Result<T> + Send,
) -> PyResult<T> {
    if n < DETACH_FROM {
        work().into_python()
    } else {
        detached(py, work)
    }
}

/// Runs a scan over `slots` slots, without the GIL where that pays.
pub fn scan<T: Send>(py: Python<'_>, slots: usize, work: impl FnOnce() -> T + Send) -> T {
    if slots < SCAN_FROM {
        work()
    } else {
        py.detach(work)
    }
}
