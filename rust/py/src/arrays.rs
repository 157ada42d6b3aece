//! Arguments that are NumPy arrays.

use curricle_core::record::MAX_COUNT;
use numpy::{
    Element, PyArray1, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArray1, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// A copy of an argument that is a one-dimensional contiguous array of `T`.
///
/// # Errors
/// `TypeError` for what is no array or has another dtype, `ValueError` for another shape; both
/// name what is there and what has to be.
pub fn copied<T: Element + Copy>(name: &str, object: &Bound<'_, PyAny>) -> PyResult<Vec<T>> {
    let wanted = numpy::dtype::<T>(object.py());
    let Ok(array) = object.cast::<PyUntypedArray>() else {
        return Err(PyTypeError::new_err(format!(
            "{name} is a {}, it has to be a numpy array of {wanted}",
            object.get_type().name()?
        )));
    };
    if !array.dtype().is_equiv_to(&wanted) {
        return Err(PyTypeError::new_err(format!(
            "{name} has dtype {}, it has to be {wanted}: convert it by {name}.astype(\"{wanted}\")",
            array.dtype()
        )));
    }
    if array.ndim() != 1 {
        return Err(PyValueError::new_err(format!(
            "{name} has shape {:?}, it has to have one dimension",
            array.shape()
        )));
    }
    let array: PyReadonlyArray1<'_, T> = array
        .cast::<PyArray1<T>>()?
        .try_readonly()
        .map_err(|_| PyValueError::new_err(format!("{name} is being written by another thread")))?;
    match array.as_slice() {
        Ok(slice) => Ok(slice.to_vec()),
        Err(_) => Err(PyValueError::new_err(format!(
            "{name} is not contiguous, it has to be: pass numpy.ascontiguousarray({name})"
        ))),
    }
}

/// Environment steps as counts, or none.
///
/// # Errors
/// As [`copied`], and `ValueError` naming an element out of range.
pub fn counts(name: &str, object: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Vec<u64>>> {
    let Some(object) = object else {
        return Ok(None);
    };
    let given = copied::<i64>(name, object)?;
    let mut counts = Vec::with_capacity(given.len());
    for (at, count) in given.into_iter().enumerate() {
        let counted = u64::try_from(count).ok();
        counts.push(counted.filter(|count| *count <= MAX_COUNT).ok_or_else(|| {
            PyValueError::new_err(format!(
                "{name}[{at}] = {count} is out of range: it is in [0, 2**48]"
            ))
        })?);
    }
    Ok(Some(counts))
}

/// Refuses two batches of different lengths.
///
/// # Errors
/// `ValueError` naming both.
pub fn same_length(one: (&str, usize), two: (&str, usize)) -> PyResult<()> {
    if one.1 == two.1 {
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "{} has {} elements and {} has {}: they have to have one for each task",
        one.0, one.1, two.0, two.1
    )))
}
