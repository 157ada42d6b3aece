//! Acts on a session as dictionaries.

use std::time::SystemTime;

use curricle_core::steering::{Act, Acted};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Seconds since 1970 in UTC.
pub fn seconds(at: SystemTime) -> f64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// Each act with its words.
pub fn acts<'py>(py: Python<'py>, acts: Vec<Acted>) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let describe = |acted: Acted| {
        let dict = PyDict::new(py);
        dict.set_item("serial", acted.serial)?;
        dict.set_item("time", seconds(acted.at))?;
        dict.set_item("pid", acted.pid)?;
        let (act, on, limits) = match acted.act {
            Act::Freeze(on) => ("freeze", Some(on), None),
            Act::DrawUniformly(on) => ("draw_uniformly", Some(on), None),
            Act::LimitShare(label, limits) => ("limit_share", None, Some((label, limits))),
        };
        dict.set_item("act", act)?;
        dict.set_item("on", on)?;
        dict.set_item("label", limits.as_ref().map(|(label, _)| label))?;
        dict.set_item("least", limits.as_ref().map(|(_, limits)| limits.least))?;
        dict.set_item("most", limits.as_ref().map(|(_, limits)| limits.most))?;
        Ok(dict)
    };
    acts.into_iter().map(describe).collect()
}
