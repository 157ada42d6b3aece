//! What a session is opened with, from Python's arguments.

use std::path::PathBuf;
use std::time::Duration;

use curricle_core::segment::{Mode, Place};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::scalars::Count;
use crate::task_data::FIELDS;

/// A number of tasks or labels; what is too large for it is refused by the core.
pub fn size(count: Count) -> usize {
    usize::try_from(count.0).unwrap_or(usize::MAX)
}

/// Where the session lives.
///
/// # Errors
/// `ValueError` for both a name and a path.
pub fn place(name: Option<String>, path: Option<PathBuf>) -> PyResult<Place> {
    match (name, path) {
        (None, None) => Ok(Place::Local),
        (Some(name), None) => Ok(Place::Name(name)),
        (None, Some(path)) => Ok(Place::Path(path)),
        (Some(name), Some(path)) => Err(PyValueError::new_err(format!(
            "name = {name:?} and path = {path:?} are both given: a session has one of them"
        ))),
    }
}

/// How to open.
///
/// # Errors
/// `ValueError` naming the modes that there are.
pub fn mode(word: &str) -> PyResult<Mode> {
    match word {
        "create-or-attach" => Ok(Mode::CreateOrAttach),
        "create" => Ok(Mode::Create),
        "attach" => Ok(Mode::Attach),
        "read-only" => Ok(Mode::ReadOnly),
        _ => Err(PyValueError::new_err(format!(
            "mode = {word:?} is unknown: it is one of \"create-or-attach\", \"create\", \
             \"attach\", \"read-only\""
        ))),
    }
}

/// A share of the tasks.
///
/// # Errors
/// `ValueError` for a number beyond [0, 1].
pub fn percentile(share: f64) -> PyResult<f64> {
    if (0.0..=1.0).contains(&share) {
        return Ok(share);
    }
    Err(PyValueError::new_err(format!(
        "percentile = {share:?} is out of range: it is in [0, 1]"
    )))
}

/// How long a lock is waited for.
///
/// # Errors
/// `ValueError` for a number that is no time.
pub fn lock_timeout(seconds: f64) -> PyResult<Duration> {
    if (0.0..=1e9).contains(&seconds) {
        return Ok(Duration::from_secs_f64(seconds));
    }
    Err(PyValueError::new_err(format!(
        "lock_timeout = {seconds:?} is out of range: it is in [0, 1e9] seconds"
    )))
}

/// Refuses columns with the name of a field that every record has.
///
/// # Errors
/// `ValueError` naming the column.
pub fn check_columns(columns: &[String]) -> PyResult<()> {
    let taken = |name: &&String| name.as_str() == "mean_score" || FIELDS.contains(&name.as_str());
    match columns.iter().find(taken) {
        None => Ok(()),
        Some(name) => Err(PyValueError::new_err(format!(
            "column {name:?} has the name of a field that every record has: name it otherwise"
        ))),
    }
}
