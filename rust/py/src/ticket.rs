//! The ticket that a draw hands out.

use curricle_core::Ticket as Core;
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::scalars::{Count, Small, TaskId};

/// What a draw hands out: the task, the tenancy of its slot and the number of the draw. It can be
/// reported once, by whichever process, and so can all its copies together.
#[pyclass(frozen, eq, hash, module = "curricle._core")]
#[derive(PartialEq, Hash)]
pub struct Ticket(Core);

impl From<Core> for Ticket {
    #[inline]
    fn from(core: Core) -> Self {
        Ticket(core)
    }
}

impl Ticket {
    /// The ticket as the core takes it.
    #[inline]
    pub fn core(&self) -> &Core {
        &self.0
    }
}

#[pymethods]
impl Ticket {
    #[new]
    fn new(task_id: TaskId, slot: Small, generation: Small, serial: Count) -> Self {
        Ticket(Core {
            task_id: task_id.0,
            slot: slot.0,
            generation: generation.0,
            serial: serial.0,
        })
    }

    #[getter]
    fn task_id(&self) -> i64 {
        self.0.task_id
    }

    #[getter]
    fn slot(&self) -> u32 {
        self.0.slot
    }

    #[getter]
    fn generation(&self) -> u32 {
        self.0.generation
    }

    #[getter]
    fn serial(&self) -> u64 {
        self.0.serial
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyType>, (i64, u32, u32, u64)) {
        let ticket = slf.get().0;
        let words = (
            ticket.task_id,
            ticket.slot,
            ticket.generation,
            ticket.serial,
        );
        (slf.get_type(), words)
    }

    fn __repr__(&self) -> String {
        let Core {
            task_id,
            slot,
            generation,
            serial,
        } = self.0;
        format!("Ticket(task_id={task_id}, slot={slot}, generation={generation}, serial={serial})")
    }
}
