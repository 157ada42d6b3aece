//! Draws without replacement: one task after the other, none of them twice.

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::sampling::ATTEMPTS;
use crate::stream::Stream;
use crate::table::Table;
use crate::ticket::Ticket;

impl Table {
    /// Draws `n` different tasks, one after the other without putting back, and counts them.
    ///
    /// # Errors
    /// `Value` where fewer than `n` tasks have a positive probability, `Banned` where none has.
    pub fn draw_distinct(&self, stream: &mut Stream, n: usize) -> Result<Vec<Ticket>> {
        let before = stream.clone();
        let mut chosen = self.propose_distinct(stream, n);
        let mut tickets = Vec::with_capacity(chosen.len());
        let mut tried = 0;
        loop {
            if chosen.len() < tried + n - tickets.len() {
                self.choose_rest(stream, n - tickets.len(), tried, &mut chosen)
                    // What is refused has not happened.
                    .inspect_err(|_| *stream = before.clone())?;
            }
            tickets.extend(
                chosen[tried..]
                    .iter()
                    .filter_map(|slot| self.hand_out(*slot)),
            );
            if tickets.len() == n {
                return Ok(tickets);
            }
            // Some were evicted meanwhile: others take their places.
            tried = chosen.len();
        }
    }

    /// Up to `n` different slots, in the order of the draws.
    ///
    /// A proposal of a slot that was chosen before is dropped, so that each next one has a
    /// probability proportional to its own among those that are left. Where few tasks have nearly
    /// all of the weight, that finds the others too slowly, and there are fewer than `n`.
    fn propose_distinct(&self, stream: &mut Stream, n: usize) -> Vec<usize> {
        let mut chosen = Vec::new();
        let mut seen = HashSet::new();
        let mut moments = None;
        // More than there are is for the exact pass to refuse.
        let proposals = if n > self.len() { 0 } else { 2 * n + ATTEMPTS };
        for _ in 0..proposals {
            if chosen.len() == n {
                break;
            }
            if let Some(Some(slot)) = self.propose(stream, &mut moments)
                && seen.insert(slot)
            {
                chosen.push(slot);
            }
        }
        chosen
    }

    /// Adds slots to those `chosen`, drawn from a copy of the whole distribution without them,
    /// until there are `n` from `first` on.
    ///
    /// By the exponential jumps of Efraimidis and Spirakis (2006, algorithm A): the smallest
    /// of -ln(u) / p.
    #[cold]
    fn choose_rest(
        &self,
        stream: &mut Stream,
        n: usize,
        first: usize,
        chosen: &mut Vec<usize>,
    ) -> Result<()> {
        let missing = n - (chosen.len() - first);
        let before: HashSet<usize> = chosen.iter().copied().collect();
        let (slots, shares) = self.shares();
        let mut keys: Vec<(f64, usize)> = slots
            .iter()
            .zip(&shares)
            .filter(|(slot, share)| **share > 0.0 && !before.contains(slot))
            .map(|(slot, share)| (-(1.0 - stream.next_f64()).ln() / share, *slot))
            .collect();
        if keys.len() < missing {
            let possible = keys.len() + chosen.len() - first;
            if possible == 0 && !slots.is_empty() && self.is_banned_for_good()? {
                return Err(Error::Banned);
            }
            return Err(Error::Value(format!(
                "{n} different tasks were asked for, but only {possible} can be drawn; \
                 ask for fewer or draw with replacement"
            )));
        }
        keys.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        chosen.extend(keys[..missing].iter().map(|(_, slot)| *slot));
        Ok(())
    }
}
