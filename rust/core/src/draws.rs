//! Draws by a handle, with the caller's stream or its own.

use std::sync::MutexGuard;

use crate::error::{Error, Result};
use crate::segment::{self, Place};
use crate::session::Session;
use crate::stream::Stream;
use crate::ticket::Ticket;

impl Session {
    #[inline]
    fn own_stream(&self) -> Result<MutexGuard<'_, Stream>> {
        self.stream.lock(|| self.new_stream(None))
    }

    /// A stream of (session seed, `seed`), or of (session seed, next stream number).
    ///
    /// # Errors
    /// `Session` for the next number in a handle that may not write.
    pub fn new_stream(&self, seed: Option<u64>) -> Result<Stream> {
        /// Keeps streams of reset seeds apart from streams by number.
        const RESET: u64 = 0x5245_5345_5453_4544;
        if let Some(seed) = seed {
            return Ok(Stream::new(self.seed() ^ RESET, seed));
        }
        self.table.enter()?;
        let number = self.table.header().counters.streams.add(1);
        let mut seed = self.seed();
        let copied = self.opened_in != segment::fork_generation();
        if copied && matches!(self.table.segment().place(), Place::Local) {
            // A forked copy of a process-local session has a counter of its own: only the process
            // id tells it from its siblings.
            seed ^= u64::from(std::process::id()) << 32;
        }
        Ok(Stream::new(seed, number))
    }

    /// Draws one task with `stream`, or with the handle's own.
    ///
    /// # Errors
    /// `Empty`, `Session`.
    #[inline]
    pub fn draw(&self, stream: Option<&mut Stream>) -> Result<Ticket> {
        self.table.enter()?;
        match stream {
            Some(stream) => self.table.draw(stream),
            None => self.table.draw(&mut *self.own_stream()?),
        }
    }

    /// Draws `n` tasks, with or without putting back.
    ///
    /// # Errors
    /// `Empty`, `Value` where `n` different ones are not to be had, `Session`.
    pub fn draw_many(
        &self,
        n: usize,
        replace: bool,
        stream: Option<&mut Stream>,
    ) -> Result<Vec<Ticket>> {
        self.table.enter()?;
        let mut own;
        let stream = match stream {
            Some(stream) => stream,
            None => {
                own = self.own_stream()?;
                &mut *own
            }
        };
        if replace {
            let mut tickets = Vec::new();
            tickets.try_reserve_exact(n).map_err(|_| {
                Error::Value(format!(
                    "{n} tickets do not fit into memory; draw fewer at once"
                ))
            })?;
            for _ in 0..n {
                tickets.push(self.table.draw(stream)?);
            }
            Ok(tickets)
        } else {
            self.table.draw_distinct(stream, n)
        }
    }

    /// Ids and the exact distribution that draws follow.
    #[must_use]
    pub fn probabilities(&self) -> (Vec<i64>, Vec<f64>) {
        self.table.beside_loads(|| self.table.distribution())
    }

    /// State of the handle's own stream.
    ///
    /// # Errors
    /// `Session` for a handle that may not write, which has none.
    pub fn stream_state(&self) -> Result<[u64; 4]> {
        self.table.enter()?;
        Ok(self.own_stream()?.state())
    }

    /// Sets the state of the handle's own stream.
    ///
    /// # Errors
    /// `Value` for a state that is none; `Session` as for [`Self::stream_state`].
    pub fn set_stream_state(&self, state: [u64; 4]) -> Result<()> {
        self.table.enter()?;
        self.own_stream()?.set_state(state)
    }
}
