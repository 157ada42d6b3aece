//! From errors of the core to Python exceptions.

use curricle_core::Error;
use pyo3::exceptions::{PyKeyboardInterrupt, PyValueError};
use pyo3::prelude::*;
use pyo3::type_object::PyTypeInfo;

use crate::interrupts::take_raised;

mod python {
    use pyo3::import_exception;

    import_exception!(curricle.errors, CapacityError);
    import_exception!(curricle.errors, CheckpointError);
    import_exception!(curricle.errors, EmptyTableError);
    import_exception!(curricle.errors, LockTimeoutError);
    import_exception!(curricle.errors, SessionError);
    import_exception!(curricle.errors, UnknownTaskError);
}

/// Imports the exceptions, which is too late once the interpreter ends: an error after that would
/// end the process.
///
/// # Errors
/// That of the import.
pub fn import_all(py: Python<'_>) -> PyResult<()> {
    py.import("curricle.errors")?;
    for import in [
        python::CapacityError::type_object,
        python::CheckpointError::type_object,
        python::EmptyTableError::type_object,
        python::LockTimeoutError::type_object,
        python::SessionError::type_object,
        python::UnknownTaskError::type_object,
    ] {
        import(py);
    }
    Ok(())
}

/// The Python exception for an error of the core.
#[cold]
pub fn to_python(error: Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::Value(_) => PyValueError::new_err(message),
        Error::Capacity { .. } | Error::Labels { .. } | Error::Journal { .. } => {
            python::CapacityError::new_err(message)
        }
        Error::UnknownTask(_) => python::UnknownTaskError::new_err(message),
        Error::Empty | Error::Banned => python::EmptyTableError::new_err(message),
        Error::Session(_) => python::SessionError::new_err(message),
        Error::LockTimeout { .. } => python::LockTimeoutError::new_err(message),
        Error::Interrupted => {
            take_raised().unwrap_or_else(|| PyKeyboardInterrupt::new_err(message))
        }
        Error::Checkpoint { .. } => python::CheckpointError::new_err(message),
    }
}
