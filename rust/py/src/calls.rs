//! Calls into the core: the GIL and errors.

use curricle_core::{Error, Result};
use pyo3::prelude::*;

use crate::errors::to_python;
use crate::interrupts::attached;

/// Slots from which a scan of the table releases the GIL.
///
/// Some 10 us of work: less is not worth the wait for the GIL behind a busy thread.
const SCAN_FROM: usize = 16_384;

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

/// Runs a call of one task with the GIL, and where it would have to wait, again without: nobody
/// waits with the GIL, and nobody waits for the GIL with a lock.
///
/// For work that has changed nothing yet when it comes to a wait.
#[inline]
pub fn single<T: Send>(py: Python<'_>, mut work: impl FnMut() -> Result<T> + Send) -> PyResult<T> {
    let tried = attached(&mut work);
    // Only the value itself is passed on: moving whole results costs more than the call.
    match tried {
        Ok(value) => Ok(value),
        Err(error) => waited(py, error, work),
    }
}

#[cold]
fn waited<T: Send>(
    py: Python<'_>,
    error: Error,
    work: impl FnOnce() -> Result<T> + Send,
) -> PyResult<T> {
    match error {
        Error::Interrupted => detached(py, work),
        error => Err(to_python(error)),
    }
}

/// Runs `work` without the GIL.
pub fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    py.detach(work).into_python()
}

/// Runs work of about `slots` slots that may have to wait: a short one as [`single`], a long one
/// without the GIL.
pub fn sized<T: Send>(
    py: Python<'_>,
    slots: usize,
    work: impl FnMut() -> Result<T> + Send,
) -> PyResult<T> {
    if slots < SCAN_FROM {
        single(py, work)
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
