//! The named sessions of this machine.

use std::time::SystemTime;

use curricle_core::segment;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::calls::detached;

/// All named sessions of this machine, dead ones and other users' included.
///
/// Returns:
///     For each: ``name``; ``path`` of its file; ``live``, whether a process is attached, and
///     ``persist``, whether it outlives its processes (both None for another user's session);
///     ``bytes``; ``modified``, seconds since the epoch; ``owner``, a user id.
#[pyfunction]
pub fn list_sessions(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    let sessions = detached(py, segment::list)?;
    let describe = |session: segment::SessionInfo| {
        let dict = PyDict::new(py);
        let modified = session.modified.duration_since(SystemTime::UNIX_EPOCH);
        dict.set_item("name", session.name)?;
        dict.set_item("path", session.path.to_string_lossy())?;
        dict.set_item("live", session.live)?;
        dict.set_item("persist", session.persist)?;
        dict.set_item("bytes", session.bytes)?;
        dict.set_item("modified", modified.map_or(0.0, |age| age.as_secs_f64()))?;
        dict.set_item("owner", session.owner)?;
        Ok(dict)
    };
    sessions.into_iter().map(describe).collect()
}

/// Removes a session; False where there is none.
///
/// Processes that are attached to a session removed by force keep working on it, but nobody can
/// join them.
///
/// Raises:
///     SessionError: the session is in use (and ``force`` is not set) or another user's.
///     ValueError: a name that no session can have.
#[pyfunction]
#[pyo3(signature = (name, *, force = false))]
pub fn remove_session(py: Python<'_>, name: &str, force: bool) -> PyResult<bool> {
    let name = name.to_owned();
    detached(py, move || segment::remove(&name, force))
}
