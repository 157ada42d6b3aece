//! Totals of a session and of its labels as dictionaries.

use curricle_core::totals::{Counts, Totals};
use curricle_core::verify::Verified;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

macro_rules! floats {
    ($py:expr, $source:expr, $($field:ident),+) => {{
        let dict = PyDict::new($py);
        $(dict.set_item(stringify!($field), $source.$field as f64)?;)+
        dict
    }};
}

/// Totals and counters of the session.
pub fn session<'py>(
    py: Python<'py>,
    totals: &Totals,
    counts: &Counts,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = floats!(
        py,
        totals,
        tasks,
        created,
        evicted,
        removed,
        completions,
        live_completions,
        scheduled,
        score_sum,
        live_score_sum,
        env_steps,
        lp_mean,
        lp_std,
        weight_sum
    );
    dict.update(floats!(py, counts, late_reports, recoveries, lock_waits).as_mapping())?;
    dict.set_item("score_min", counts.score_range[0])?;
    dict.set_item("score_max", counts.score_range[1])?;
    Ok(dict)
}

/// Totals of each label.
pub fn labels<'py>(py: Python<'py>, labels: &[(String, Totals)]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (label, totals) in labels {
        let own = floats!(
            py,
            totals,
            tasks,
            created,
            evicted,
            completions,
            scheduled,
            score_sum,
            env_steps,
            lp_sum,
            lp_mean
        );
        dict.set_item(label, own)?;
    }
    Ok(dict)
}

/// A label's number and text; mean LP, completions, draws, mean score and evictions.
pub type LabelRow = (usize, Option<Py<PyString>>, f64, f64, f64, f64, f64);

/// One label's row; means are 0 where there is nothing to take them over.
pub fn label_row(label: usize, text: Option<Py<PyString>>, totals: &Totals) -> LabelRow {
    let completions = totals.completions as f64;
    let mean_score = match totals.completions {
        0 => 0.0,
        _ => totals.score_sum / completions,
    };
    (
        label,
        text,
        totals.lp_mean,
        completions,
        totals.scheduled as f64,
        mean_score,
        totals.evicted as f64,
    )
}

/// What was found in agreement.
pub fn verified<'py>(py: Python<'py>, found: &Verified) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("tasks", found.tasks)?;
    dict.set_item("completions", found.completions)?;
    dict.set_item("scheduled", found.scheduled)?;
    dict.set_item("labels", found.labels)?;
    Ok(dict)
}
