//! Integers from Python that name their range where they are out of it.

use std::convert::Infallible;

use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyInt;

macro_rules! integer {
    ($(#[$doc:meta])* $name:ident, $kind:ty, $what:literal, $range:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $name(pub $kind);

        impl<'a, 'py> FromPyObject<'a, 'py> for $name {
            type Error = PyErr;

            #[inline]
            fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
                match object.extract::<$kind>() {
                    Ok(value) => Ok($name(value)),
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
    TaskId, i64, "task_id", "[-2**63, 2**63)"
);
integer!(
    /// A count, tick or seed.
    Count, u64, "the number", "[0, 2**64)"
);
integer!(
    /// A slot or its tenancy.
    Small, u32, "the number", "[0, 2**32)"
);

#[cold]
fn named(object: Borrowed<'_, '_, PyAny>, error: PyErr, what: &str, range: &str) -> PyErr {
    if error.is_instance_of::<PyOverflowError>(object.py()) {
        PyValueError::new_err(format!(
            "{what} {} is out of range: it is in {range}",
            *object
        ))
    } else {
        error
    }
}
