//! The ticket that a draw hands out.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};

use curricle_core::Ticket as Core;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::scalars::{Small, TaskId};

/// What a draw hands out: the task and the tenancy of its slot. Can be reported once.
#[pyclass(frozen, module = "curricle._core")]
pub struct Ticket {
    task_id: i64,
    slot: u32,
    generation: u32,
    consumed: AtomicBool,
}

impl From<Core> for Ticket {
    #[inline]
    fn from(core: Core) -> Self {
        let Core {
            task_id,
            slot,
            generation,
        } = core;
        Ticket {
            task_id,
            slot,
            generation,
            consumed: AtomicBool::new(false),
        }
    }
}

/// Marks the tickets of a batch as reported, all or none.
///
/// # Errors
/// `ValueError` for a ticket that was reported before or comes twice.
pub fn claim(tickets: &[Bound<'_, Ticket>]) -> PyResult<()> {
    for (at, ticket) in tickets.iter().enumerate() {
        if let Err(error) = ticket.get().claim() {
            let before = &tickets[..at];
            before.iter().for_each(|ticket| ticket.get().release());
            if before.iter().any(|other| other.is(ticket)) {
                return Err(PyValueError::new_err(format!(
                    "a ticket of task {} comes twice in the batch: an episode that was drawn \
                     once counts once",
                    ticket.get().task_id
                )));
            }
            return Err(error);
        }
    }
    Ok(())
}

impl Ticket {
    /// Reports it, once: a report that fails leaves it as it was.
    ///
    /// # Errors
    /// `ValueError` for a ticket that was reported before; those of `report`.
    #[inline]
    pub fn consume<T>(&self, report: impl FnOnce(&Core) -> PyResult<T>) -> PyResult<T> {
        self.claim()?;
        report(&self.core()).inspect_err(|_| self.release())
    }

    #[inline]
    fn claim(&self) -> PyResult<()> {
        if self.consumed.swap(true, Ordering::AcqRel) {
            return Err(PyValueError::new_err(format!(
                "this ticket of task {} was reported before: an episode that was drawn once \
                 counts once",
                self.task_id
            )));
        }
        Ok(())
    }

    /// Takes the mark of a report back that was not made.
    pub fn release(&self) {
        self.consumed.store(false, Ordering::Release);
    }

    /// The ticket as the core takes it.
    #[inline]
    pub fn core(&self) -> Core {
        let (task_id, slot, generation) = self.key();
        Core {
            task_id,
            slot,
            generation,
        }
    }

    fn key(&self) -> (i64, u32, u32) {
        (self.task_id, self.slot, self.generation)
    }
}

#[pymethods]
impl Ticket {
    #[new]
    fn new(task_id: TaskId, slot: Small, generation: Small) -> Self {
        Core {
            task_id: task_id.0,
            slot: slot.0,
            generation: generation.0,
        }
        .into()
    }

    #[getter]
    fn task_id(&self) -> i64 {
        self.task_id
    }

    #[getter]
    fn slot(&self) -> u32 {
        self.slot
    }

    #[getter]
    fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether it was reported by this process.
    #[getter]
    fn consumed(&self) -> bool {
        self.consumed.load(Ordering::Acquire)
    }

    fn __eq__(&self, other: &Ticket) -> bool {
        self.key() == other.key()
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.key().hash(&mut hasher);
        hasher.finish()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyType>, (i64, u32, u32)) {
        (slf.get_type(), slf.get().key())
    }

    fn __repr__(&self) -> String {
        let (task_id, slot, generation) = self.key();
        format!("Ticket(task_id={task_id}, slot={slot}, generation={generation})")
    }
}
