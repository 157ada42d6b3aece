//! Label strings, one Python object for each.

use std::sync::{Mutex, PoisonError};

use curricle_core::Table;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// A label's string and the version of the text that it was made from.
type Known = (u64, Py<PyString>);

/// The strings of labels that were read before, by number.
#[derive(Default)]
pub struct LabelCache(Mutex<Vec<Option<Known>>>);

impl LabelCache {
    /// The string of a label; `None` for no label.
    #[inline]
    pub fn get(&self, py: Python<'_>, table: &Table, label: u32) -> Option<Py<PyString>> {
        if label == 0 {
            return None;
        }
        let (label, version) = (
            label as usize,
            table.label_words(label as usize)[0].observe(),
        );
        {
            // No Python runs under this lock, and nothing under it waits.
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(Some((read, text))) = known.get(label)
                && *read == version
            {
                return Some(text.clone_ref(py));
            }
        }
        self.look_up(py, table, label, version)
    }

    #[cold]
    fn look_up(
        &self,
        py: Python<'_>,
        table: &Table,
        label: usize,
        version: u64,
    ) -> Option<Py<PyString>> {
        let text = PyString::new(py, &table.label_text(label)?).unbind();
        let shared = text.clone_ref(py);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() <= label {
            known.resize_with(label + 1, || None);
        }
        let before = known[label].replace((version, shared));
        drop(known);
        drop(before);
        Some(text)
    }
}
