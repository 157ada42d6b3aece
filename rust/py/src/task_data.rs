//! One task's record as a Python value.

use curricle_core::record::{MAX_COLUMNS, TaskData as Core};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::scalars::{Count, Small, TaskId, no_utf8};

/// One task's record. A plain mutable value: changing it changes no session.
#[pyclass(module = "curricle._core", get_all, set_all)]
pub struct TaskData {
    pub task_id: TaskId,
    pub generation: Small,
    pub creation_time: f64,
    pub last_scheduled: Count,
    pub last_completed: Count,
    pub completion_count: Count,
    pub scheduled_count: Count,
    pub env_steps: Count,
    pub reward_ema: f64,
    pub ema_squared: f64,
    pub success_rate_ema: f64,
    pub total_score: f64,
    pub last_score: f64,
    pub p_fast: f64,
    pub p_slow: f64,
    pub p_true: f64,
    pub random_baseline: f64,
    pub lp_score: f64,
    pub weight: f64,
    pub success_threshold: f64,
    pub seed: Count,
    pub generator_type: f64,
    pub evidence: f64,
    pub label: Option<Py<PyString>>,
    pub columns: Columns,
}

/// Calls a macro with the names of all fields, in the order of the constructor.
macro_rules! with_fields {
    ($macro:ident) => {
        $macro!(
            task_id,
            generation,
            creation_time,
            last_scheduled,
            last_completed,
            completion_count,
            scheduled_count,
            env_steps,
            reward_ema,
            ema_squared,
            success_rate_ema,
            total_score,
            last_score,
            p_fast,
            p_slow,
            p_true,
            random_baseline,
            lp_score,
            weight,
            success_threshold,
            seed,
            generator_type,
            evidence,
            label,
            columns
        )
    };
}

macro_rules! names {
    ($($field:ident),+) => { [$(stringify!($field)),+] };
}

/// Names of all fields.
pub const FIELDS: [&str; 25] = with_fields!(names);

/// The columns that are in use, a tuple in Python.
#[derive(Clone, Copy, Default, PartialEq)]
pub struct Columns {
    values: [f64; MAX_COLUMNS],
    used: usize,
}

impl Columns {
    /// Number of columns in use.
    pub fn len(&self) -> usize {
        self.used
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Columns {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let given: Vec<f64> = object.extract()?;
        if given.len() > MAX_COLUMNS {
            return Err(PyValueError::new_err(format!(
                "a record has at most {MAX_COLUMNS} columns, here are {}",
                given.len()
            )));
        }
        let mut values = [0.0; MAX_COLUMNS];
        values[..given.len()].copy_from_slice(&given);
        Ok(Columns {
            values,
            used: given.len(),
        })
    }
}

impl<'py> IntoPyObject<'py> for &Columns {
    type Target = PyTuple;
    type Output = Bound<'py, PyTuple>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        PyTuple::new(py, &self.values[..self.used])
    }
}

impl TaskData {
    /// The Python value of a record of the core; its label is looked up by the caller.
    #[inline]
    pub fn from_record(core: &Core, columns: usize, label: Option<Py<PyString>>) -> Self {
        TaskData {
            task_id: TaskId(core.task_id),
            generation: Small(core.generation),
            creation_time: core.creation_time,
            last_scheduled: Count(core.last_scheduled),
            last_completed: Count(core.last_completed),
            completion_count: Count(core.completion_count),
            scheduled_count: Count(core.scheduled_count),
            env_steps: Count(core.env_steps),
            reward_ema: core.reward_ema,
            ema_squared: core.ema_squared,
            success_rate_ema: core.success_rate_ema,
            total_score: core.total_score,
            last_score: core.last_score,
            p_fast: core.p_fast,
            p_slow: core.p_slow,
            p_true: core.p_true,
            random_baseline: core.random_baseline,
            lp_score: core.lp_score,
            weight: core.weight,
            success_threshold: core.success_threshold,
            seed: Count(core.seed),
            generator_type: core.generator_type,
            evidence: core.evidence,
            label,
            columns: Columns {
                values: core.columns,
                used: columns,
            },
        }
    }

    /// The record for the core, without its label.
    pub fn record(&self) -> Core {
        Core {
            task_id: self.task_id.0,
            generation: self.generation.0,
            creation_time: self.creation_time,
            last_scheduled: self.last_scheduled.0,
            last_completed: self.last_completed.0,
            completion_count: self.completion_count.0,
            scheduled_count: self.scheduled_count.0,
            env_steps: self.env_steps.0,
            reward_ema: self.reward_ema,
            ema_squared: self.ema_squared,
            success_rate_ema: self.success_rate_ema,
            total_score: self.total_score,
            last_score: self.last_score,
            p_fast: self.p_fast,
            p_slow: self.p_slow,
            p_true: self.p_true,
            random_baseline: self.random_baseline,
            lp_score: self.lp_score,
            weight: self.weight,
            success_threshold: self.success_threshold,
            seed: self.seed.0,
            generator_type: self.generator_type,
            evidence: self.evidence,
            label: 0,
            columns: self.columns.values,
        }
    }

    fn copy(&self, py: Python<'_>) -> Self {
        let label = self.label.as_ref().map(|label| label.clone_ref(py));
        TaskData::from_record(&self.record(), self.columns.used, label)
    }

    /// The label's text.
    pub fn label_text(&self, py: Python<'_>) -> PyResult<Option<&str>> {
        self.label
            .as_ref()
            .map(|label| label.to_str(py).map_err(|_| no_utf8(label.bind(py))))
            .transpose()
    }
}

#[pymethods]
impl TaskData {
    #[new]
    #[pyo3(
        signature = (
            task_id, *, generation = Small(0), creation_time = 0.0, last_scheduled = Count(0),
            last_completed = Count(0), completion_count = Count(0), scheduled_count = Count(0),
            env_steps = Count(0), reward_ema = 0.0, ema_squared = 0.0, success_rate_ema = 0.0,
            total_score = 0.0, last_score = 0.0, p_fast = 0.0, p_slow = 0.0, p_true = 0.0,
            random_baseline = 0.0, lp_score = 0.0, weight = 0.0, success_threshold = 0.5,
            seed = Count(0), generator_type = 0.0, evidence = 0.0, label = None, columns = Columns::default()
        ),
        text_signature = "(task_id, *, generation=0, creation_time=0.0, last_scheduled=0, \
            last_completed=0, completion_count=0, scheduled_count=0, env_steps=0, \
            reward_ema=0.0, ema_squared=0.0, success_rate_ema=0.0, total_score=0.0, \
            last_score=0.0, p_fast=0.0, p_slow=0.0, p_true=0.0, random_baseline=0.0, \
            lp_score=0.0, weight=0.0, success_threshold=0.5, seed=0, generator_type=0.0, \
            evidence=0.0, label=None, columns=())"
    )]
    #[expect(clippy::too_many_arguments, reason = "one keyword a field")]
    fn new(
        task_id: TaskId,
        generation: Small,
        creation_time: f64,
        last_scheduled: Count,
        last_completed: Count,
        completion_count: Count,
        scheduled_count: Count,
        env_steps: Count,
        reward_ema: f64,
        ema_squared: f64,
        success_rate_ema: f64,
        total_score: f64,
        last_score: f64,
        p_fast: f64,
        p_slow: f64,
        p_true: f64,
        random_baseline: f64,
        lp_score: f64,
        weight: f64,
        success_threshold: f64,
        seed: Count,
        generator_type: f64,
        evidence: f64,
        label: Option<Py<PyString>>,
        columns: Columns,
    ) -> Self {
        TaskData {
            task_id,
            generation,
            creation_time,
            last_scheduled,
            last_completed,
            completion_count,
            scheduled_count,
            env_steps,
            reward_ema,
            ema_squared,
            success_rate_ema,
            total_score,
            last_score,
            p_fast,
            p_slow,
            p_true,
            random_baseline,
            lp_score,
            weight,
            success_threshold,
            seed,
            generator_type,
            evidence,
            label,
            columns,
        }
    }

    /// Mean of all scores; 0.0 without a score.
    #[getter]
    fn mean_score(&self) -> f64 {
        self.record().mean_score()
    }

    /// A copy with some fields changed.
    ///
    /// Raises:
    ///     TypeError: no such field, or a value of another type.
    ///     ValueError: a value out of its field's range.
    #[pyo3(signature = (**changes))]
    fn replace<'py>(
        &self,
        py: Python<'py>,
        changes: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Self>> {
        let copy = Bound::new(py, self.copy(py))?;
        for (name, value) in changes.into_iter().flatten() {
            let name: Bound<'_, PyString> = name.cast_into()?;
            if !FIELDS.contains(&name.to_str()?) {
                return Err(PyTypeError::new_err(format!(
                    "TaskData has no field {name:?}: its fields are {}",
                    FIELDS.join(", ")
                )));
            }
            copy.setattr(name, value)?;
        }
        Ok(copy)
    }

    /// All fields by name.
    fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        macro_rules! fill {
            ($($field:ident),+) => {
                $(dict.set_item(intern!(py, stringify!($field)), &self.$field)?;)+
            };
        }
        with_fields!(fill);
        Ok(dict)
    }

    fn __eq__(&self, py: Python<'_>, other: PyRef<'_, Self>) -> PyResult<bool> {
        Ok(self.record() == other.record()
            && self.columns.used == other.columns.used
            && self.label_text(py)? == other.label_text(py)?)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let fields = slf.borrow().as_dict(py)?;
        let task_id = fields.as_any().call_method1("pop", ("task_id",))?;
        rebuild(slf.as_any(), PyTuple::new(py, [task_id])?, fields)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        show("TaskData", &self.as_dict(py)?)
    }

    /// A table for notebooks: one row a field.
    fn _repr_html_(&self, py: Python<'_>) -> PyResult<String> {
        let escape = py.import("html")?.getattr("escape")?;
        let mut rows = String::new();
        for (key, value) in self.as_dict(py)? {
            let value: String = escape.call1((value.repr()?,))?.extract()?;
            rows.push_str(&format!("<tr><th>{key}</th><td>{value}</td></tr>"));
        }
        Ok(format!("<table>{rows}</table>"))
    }
}

/// What ``__reduce__`` returns for a class that is built from positional and keyword arguments.
pub fn rebuild<'py>(
    object: &Bound<'py, PyAny>,
    arguments: Bound<'py, PyTuple>,
    keywords: Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyTuple>> {
    let py = object.py();
    let build = py.import("copyreg")?.getattr("__newobj_ex__")?;
    (build, (object.get_type(), arguments, keywords)).into_pyobject(py)
}

/// ``name(key=value, ...)``.
pub fn show(name: &str, fields: &Bound<'_, PyDict>) -> PyResult<String> {
    let mut shown = Vec::with_capacity(fields.len());
    for (key, value) in fields {
        shown.push(format!("{}={}", key.str()?, value.repr()?));
    }
    Ok(format!("{name}({})", shown.join(", ")))
}
