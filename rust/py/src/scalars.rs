//! Numbers and labels from Python that name themselves and their limit where they are wrong.

use std::convert::Infallible;

use curricle_core::record::{LABEL_RANGE, MAX_COUNT};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyUnicodeEncodeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt};

macro_rules! integer {
    ($(#[$doc:meta])* $name:ident, $kind:ty, $what:literal, $max:expr, $range:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $name(pub $kind);

        impl<'a, 'py> FromPyObject<'a, 'py> for $name {
            type Error = PyErr;

            #[inline]
            fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
                // A bool is a slip more often than a number.
                if object.is_exact_instance_of::<PyBool>() {
                    return Err(no_integer(object, $what));
                }
                match object.extract::<$kind>() {
                    Ok(value) if value <= $max => Ok($name(value)),
                    Ok(_) => Err(beyond(object, $what, $range)),
                    Err(error) => Err(named(object, error, $what, $range)),
                }
            }
        }

        impl<'py> IntoPyObject<'py> for &$name {
            type Target = PyInt;
            type Output = Bound<'py, PyInt>;
            type Error = Infallible;

            fn into_pyobject(self, py: Python<'py>) -> Result<Self::Output, Infallible> {
                self.0.into_pyobject(py)
            }
        }
    };
}

integer!(
    /// Key of a task.
    TaskId, i64, "task_id", i64::MAX, "[-2**63, 2**63)"
);
integer!(
    /// Environment steps of an episode.
    Steps, u64, "env_steps", MAX_COUNT, "[0, 2**48]"
);
integer!(
    /// A seed of random streams or of a task.
    Seed, u64, "seed", u64::MAX, "[0, 2**64)"
);
integer!(
    /// A number of draws.
    Draws, u64, "n", u64::MAX, "[0, 2**64)"
);
integer!(
    /// A count, a tick or a limit; the note of the error names the argument.
    Count, u64, "the number", u64::MAX, "[0, 2**64)"
);
integer!(
    /// A slot or its tenancy.
    Small, u32, "the number", u32::MAX, "[0, 2**32)"
);

/// A score as a float; its range is the core's to check.
#[derive(Clone, Copy)]
pub struct Score(pub f64);

impl<'a, 'py> FromPyObject<'a, 'py> for Score {
    type Error = PyErr;

    #[inline]
    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        object.extract().map(Score).map_err(|error| {
            if error.is_instance_of::<PyTypeError>(object.py()) {
                return PyTypeError::new_err(format!(
                    "score is {}; it must be one number",
                    shown(&object)
                ));
            }
            named(object, error, "score", "[-1e9, 1e9]")
        })
    }
}

/// A label's text; its length is the core's to check.
pub struct Label(pub String);

impl<'a, 'py> FromPyObject<'a, 'py> for Label {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        object.extract().map(Label).map_err(|error| {
            let py = object.py();
            if error.is_instance_of::<PyUnicodeEncodeError>(py) {
                return no_utf8(&object);
            }
            if error.is_instance_of::<PyTypeError>(py) {
                return PyTypeError::new_err(format!(
                    "label is {}; it must be a string or None",
                    shown(&object)
                ));
            }
            error
        })
    }
}

/// The error for a label with a lone surrogate, which UTF-8 does not have.
#[cold]
pub fn no_utf8(label: &Bound<'_, PyAny>) -> PyErr {
    PyValueError::new_err(format!(
        "label {} has a lone surrogate; {LABEL_RANGE}",
        shown(label)
    ))
}

/// An object as errors show it, cut where it is long.
fn shown(object: &Bound<'_, PyAny>) -> String {
    const LONGEST: usize = 60;
    let text = object.repr().map_or_else(
        |_| "<no repr>".to_owned(),
        |repr| repr.to_string_lossy().into_owned(),
    );
    match text.char_indices().nth(LONGEST) {
        None => text,
        Some((at, _)) => format!("{}...", &text[..at]),
    }
}

#[cold]
fn named(object: Borrowed<'_, '_, PyAny>, error: PyErr, what: &str, range: &str) -> PyErr {
    let py = object.py();
    if error.is_instance_of::<PyOverflowError>(py) {
        beyond(object, what, range)
    } else if error.is_instance_of::<PyTypeError>(py) {
        no_integer(object, what)
    } else {
        error
    }
}

#[cold]
fn beyond(object: Borrowed<'_, '_, PyAny>, what: &str, range: &str) -> PyErr {
    PyValueError::new_err(format!(
        "{what} {} is out of range: it is in {range}",
        shown(&object)
    ))
}

#[cold]
fn no_integer(object: Borrowed<'_, '_, PyAny>, what: &str) -> PyErr {
    let kind = object.get_type().name();
    PyTypeError::new_err(format!(
        "{what} is {} ({}); it must be an integer",
        shown(&object),
        kind.map_or_else(|_| String::new(), |kind| kind.to_string())
    ))
}
