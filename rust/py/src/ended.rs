//! Episodes that ended, from Python's arguments.

use curricle_core::Ticket as Core;
use curricle_core::episode_ends::Ended as View;
use pyo3::prelude::*;

use crate::arrays::{copied, counts, same_length};
use crate::ticket::Ticket;

/// Copies of a batch of reports.
pub struct Ended {
    tickets: Vec<Core>,
    scores: Vec<f64>,
    env_steps: Vec<u64>,
}

impl Ended {
    /// Copies the batch.
    ///
    /// # Errors
    /// Those of [`copied`], and `ValueError` for lengths that differ.
    pub fn copied(
        tickets: &[PyRef<'_, Ticket>],
        scores: &Bound<'_, PyAny>,
        env_steps: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let scores = copied::<f64>("scores", scores)?;
        same_length(("tickets", tickets.len()), ("scores", scores.len()))?;
        let steps = counts("env_steps", env_steps)?;
        if let Some(steps) = &steps {
            same_length(("tickets", tickets.len()), ("env_steps", steps.len()))?;
        }
        Ok(Ended {
            tickets: tickets.iter().map(|ticket| *ticket.core()).collect(),
            scores,
            env_steps: steps.unwrap_or_default(),
        })
    }

    /// The batch as the core takes it.
    pub fn view(&self) -> View<'_> {
        View {
            tickets: &self.tickets,
            scores: &self.scores,
            env_steps: &self.env_steps,
        }
    }
}
