//! Records as a structured array.

use curricle_core::TaskData;
use numpy::{PyArray1, PyArrayDescr};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Fields of one word each, after `task_id` and a word that `generation` and `label` share.
const AFTER: [(&str, &str); 21] = [
    ("creation_time", "f8"),
    ("last_scheduled", "u8"),
    ("last_completed", "u8"),
    ("completion_count", "u8"),
    ("scheduled_count", "u8"),
    ("env_steps", "u8"),
    ("reward_ema", "f8"),
    ("ema_squared", "f8"),
    ("success_rate_ema", "f8"),
    ("total_score", "f8"),
    ("last_score", "f8"),
    ("p_fast", "f8"),
    ("p_slow", "f8"),
    ("p_true", "f8"),
    ("random_baseline", "f8"),
    ("lp_score", "f8"),
    ("weight", "f8"),
    ("success_threshold", "f8"),
    ("seed", "u8"),
    ("generator_type", "f8"),
    ("evidence", "f8"),
];
const WORD: usize = 8;
const FIXED_WORDS: usize = 2 + AFTER.len();

/// The words of the structured array of records that use so many columns.
pub fn words(records: &[TaskData], columns: usize) -> Vec<u64> {
    let mut words = Vec::with_capacity(records.len() * (FIXED_WORDS + columns));
    for data in records {
        append(&mut words, data, columns);
    }
    words
}

fn append(words: &mut Vec<u64>, data: &TaskData, columns: usize) {
    let label = match data.label {
        0 => -1,
        label => i32::try_from(label).expect("at most 2^16 labels"),
    };
    let ([a, b, c, d], [e, f, g, h]) = (data.generation.to_ne_bytes(), label.to_ne_bytes());
    words.extend([
        data.task_id.cast_unsigned(),
        u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
    ]);
    words.extend(data.number_words());
    words.extend(data.columns[..columns].iter().map(|value| value.to_bits()));
}

/// The structured array of words that [`words`] made.
pub fn structured<'py>(
    py: Python<'py>,
    words: Vec<u64>,
    columns: &[String],
) -> PyResult<Bound<'py, PyAny>> {
    let (mut names, mut formats, mut offsets) = (Vec::new(), Vec::new(), Vec::new());
    let mut add = |name: &str, format: &str, offset: usize| {
        names.push(name.to_owned());
        formats.push(format.to_owned());
        offsets.push(offset);
    };
    add("task_id", "i8", 0);
    add("generation", "u4", WORD);
    for (at, (name, format)) in AFTER.iter().enumerate() {
        add(name, format, (at + 2) * WORD);
    }
    add("label", "i4", WORD + WORD / 2);
    for (at, name) in columns.iter().enumerate() {
        add(name, "f8", (FIXED_WORDS + at) * WORD);
    }
    let layout = PyDict::new(py);
    layout.set_item("names", names)?;
    layout.set_item("formats", formats)?;
    layout.set_item("offsets", offsets)?;
    layout.set_item("itemsize", (FIXED_WORDS + columns.len()) * WORD)?;
    let dtype = PyArrayDescr::new(py, layout)?;
    PyArray1::from_vec(py, words).call_method1("view", (dtype,))
}
