//! A node's part in the syncs of its session.

use std::sync::{Mutex, PoisonError};

use curricle_core::exchange::Exchange as Core;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict};

use crate::calls::detached;
use crate::session::Session;

/// A node's part in the syncs of its session, and the state of the last one.
///
/// What `begin` and `hear` give is to be said to all nodes; `hear` takes what all have said, in the
/// order of ranks, until it gives nothing more.
#[pyclass(frozen, module = "curricle._core")]
pub struct Exchange(Mutex<Core>);

impl Exchange {
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Core) -> curricle_core::Result<T> + Send,
    ) -> PyResult<T> {
        detached(py, || {
            work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
        })
    }
}

#[pymethods]
impl Exchange {
    #[new]
    fn new() -> Self {
        Self(Mutex::default())
    }

    /// Begins a sync: what to say first.
    ///
    /// Raises:
    ///     SessionError: the session keeps no journal.
    fn begin<'py>(
        &self,
        py: Python<'py>,
        session: PyRef<'_, Session>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let session = &session.core;
        let message = self.with(py, |core| core.begin(session))?;
        Ok(PyBytes::new(py, &message))
    }

    /// Hears what all have said; what to say next, None where the sync is done.
    ///
    /// Raises:
    ///     SessionError: nodes that do not fit together, or a message that none can have sent.
    fn hear<'py>(
        &self,
        py: Python<'py>,
        session: PyRef<'_, Session>,
        messages: Vec<PyBackedBytes>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let session = &session.core;
        let messages: Vec<Vec<u8>> = messages.iter().map(|message| message.to_vec()).collect();
        let answer = self.with(py, |core| core.hear(session, &messages))?;
        Ok(answer.map(|answer| PyBytes::new(py, &answer)))
    }

    /// What the last sync did, by the names of `curricle.syncing.Synced`.
    fn synced<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let synced = self.with(py, |core| Ok(core.synced().clone()))?;
        let facts = PyDict::new(py);
        facts.set_item("number", synced.number)?;
        facts.set_item("digest", format!("{:032x}", synced.digest))?;
        facts.set_item("nodes", synced.nodes)?;
        facts.set_item("rank", synced.rank)?;
        facts.set_item("episodes", synced.episodes)?;
        facts.set_item("late", synced.late)?;
        facts.set_item("sent_bytes", synced.sent)?;
        facts.set_item("heard_bytes", synced.heard)?;
        facts.set_item("joined", synced.joined)?;
        facts.set_item("parted", synced.parted)?;
        facts.set_item("doubtful", synced.doubtful)?;
        Ok(facts)
    }
}
