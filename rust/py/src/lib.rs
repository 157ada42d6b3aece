//! The Python binding of Curricle's core: argument conversion, error mapping, GIL handling.
#![deny(unsafe_code)]

mod arrays;
mod calls;
mod checkpoints;
mod ended;
mod errors;
mod exchange;
mod interrupts;
mod labels;
mod listing;
mod options;
mod rules;
mod scalars;
mod session;
mod snapshot;
mod steering;
mod stream;
mod task_data;
mod ticket;
mod totals;

use pyo3::prelude::*;

/// The compiled core of Curricle.
#[pymodule(gil_used = false)]
mod _core {
    use super::*;

    #[pymodule_export]
    use checkpoints::checkpoint_columns;
    #[pymodule_export]
    use exchange::Exchange;
    #[pymodule_export]
    use listing::{list_sessions, remove_session};
    #[pymodule_export]
    use rules::Rules;
    #[pymodule_export]
    use session::{_rejoin, Session};
    #[pymodule_export]
    use stream::Stream;
    #[pymodule_export]
    use task_data::TaskData;
    #[pymodule_export]
    use ticket::Ticket;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        curricle_core::set_interrupt_check(interrupts::interrupted);
        errors::import_all(module.py())?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        // What is public shows in the names: nothing else is listed in a second place.
        module.as_any().delattr("__all__")
    }
}
