//! What a checkpoint says of itself.

use std::path::PathBuf;

use pyo3::prelude::*;

use crate::calls::detached;

/// The columns that a session must have to load a checkpoint; None for a file that is none.
///
/// Raises:
///     CheckpointError: it is of another version, or the file cannot be read.
#[pyfunction]
pub fn checkpoint_columns(py: Python<'_>, path: PathBuf) -> PyResult<Option<Vec<String>>> {
    detached(py, move || curricle_core::checkpoint_columns(&path))
}
