//! A stream of random draws.

use std::sync::{Mutex, MutexGuard, PoisonError};

use curricle_core::Stream as Core;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::PyType;

use crate::calls::IntoPython;
use crate::scalars::{Count, Seed};

/// A stream of random draws. State: four 64-bit words.
#[pyclass(frozen, module = "curricle._core")]
pub struct Stream(Mutex<Core>);

impl From<Core> for Stream {
    fn from(core: Core) -> Self {
        Stream(Mutex::new(core))
    }
}

impl Stream {
    /// The stream for one call, or a batch of them.
    #[inline]
    pub fn take(&self, py: Python<'_>) -> MutexGuard<'_, Core> {
        // A panic while drawing leaves four words that are a state like any other.
        self.0
            .lock_py_attached(py)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The four words of a state as Python gets them.
type State = (u64, u64, u64, u64);

/// The four words of a state as Python hands them in.
pub type Words = (Count, Count, Count, Count);

/// The words as the core takes them.
pub fn words(state: Words) -> [u64; 4] {
    [state.0.0, state.1.0, state.2.0, state.3.0]
}

#[pymethods]
impl Stream {
    #[new]
    #[pyo3(signature = (seed, number = Count(0)), text_signature = "(seed, number=0)")]
    fn new(seed: Seed, number: Count) -> Self {
        Core::new(seed.0, number.0).into()
    }

    /// The state; setting it goes on from there.
    #[getter]
    fn state(&self, py: Python<'_>) -> State {
        self.take(py).state().into()
    }

    #[setter]
    fn set_state(&self, py: Python<'_>, words: Words) -> PyResult<()> {
        self.take(py).set_state(self::words(words)).into_python()
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
        py: Python<'py>,
    ) -> (Bound<'py, PyType>, (u64, u64), State) {
        // The arguments are of any stream: the state that follows is what counts.
        let state = slf.get().take(py).state();
        (slf.get_type(), (0, 0), state.into())
    }

    fn __setstate__(&self, py: Python<'_>, words: Words) -> PyResult<()> {
        self.set_state(py, words)
    }

    /// The next number of [0, 1).
    fn random(&self, py: Python<'_>) -> f64 {
        self.take(py).next_f64()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<Stream at {:?}>", self.take(py).state())
    }
}
