//! The named sessions of this machine.

use curricle_core::segment;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::calls::detached;
use crate::steering::seconds;

/// All named sessions of this machine, dead ones and other users' included.
///
/// Returns:
///     For each: ``name``; ``path`` of its file; ``live``, whether a process is attached, and
///     ``persist``, whether it outlives its processes (both None for another user's session);
///     ``bytes``; ``created``, seconds since the epoch, and ``creator``, a process id (None where
///     that is not known); ``processes``, ids of those attached (None where the system does not
///     tell); ``modified``, seconds since the epoch; ``owner``, a user id.
#[pyfunction]
pub fn list_sessions(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    let sessions = detached(py, segment::list)?;
    let describe = |session: segment::SessionInfo| {
        let dict = PyDict::new(py);
        dict.set_item("name", session.name)?;
        dict.set_item("path", session.path.to_string_lossy())?;
        dict.set_item("live", session.live)?;
        dict.set_item("persist", session.persist)?;
        dict.set_item("bytes", session.bytes)?;
        dict.set_item("created", session.origin.created.map(seconds))?;
        dict.set_item("creator", session.origin.creator)?;
        dict.set_item("processes", session.processes)?;
        dict.set_item("modified", seconds(session.modified))?;
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
