//! Tickets: what a draw hands out, and the ring that knows which of them are still open.
//!
//! A report consumes its ticket for all processes, whoever holds a copy. Each draw takes a serial
//! number, whose place in the ring is open until the report closes it. Places that are still open
//! are skipped, so an episode may outlast any number of short ones. Only where the whole ring is
//! open does the older half of the tickets give way: most of their episodes were abandoned.

use crate::error::{Error, Result};
use crate::layout::OPEN_TICKETS;
use crate::table::Table;
use crate::unique::unique;
use crate::words::Word;

/// What a draw hands out: a task, the tenancy of its slot, and the draw itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The task.
    pub task_id: i64,
    /// Its slot.
    pub slot: u32,
    /// The slot's tenancy.
    pub generation: u32,
    /// Number of the draw: no other draw of the session has it.
    pub serial: u64,
}

/// What serial numbers of a new session start after: random, so that tickets of another session,
/// of an earlier run say, are not taken for tickets of this one.
pub fn start() -> u64 {
    (unique() % (1 << 40)) * OPEN_TICKETS as u64
}

fn opened(serial: u64) -> u64 {
    (serial << 1) | 1
}

fn closed(serial: u64) -> u64 {
    serial << 1
}

fn is_open(word: u64) -> bool {
    word & 1 == 1
}

/// Puts `new` in the place of `current`; false where something else is there.
#[inline]
fn replace(place: &Word, current: u64, new: u64) -> bool {
    loop {
        match place.exchange(current, new) {
            Ok(_) => return true,
            // The exchange may fail without a reason.
            Err(found) if found == current => {}
            Err(_) => return false,
        }
    }
}

impl Table {
    fn place(&self, serial: u64) -> &Word {
        &self.open_tickets()[serial as usize % OPEN_TICKETS]
    }

    /// The serial number of a new ticket, which is open.
    #[inline]
    pub(crate) fn open_ticket(&self) -> u64 {
        let last_word = &self.header().counters.tickets;
        loop {
            let last = last_word.get();
            let next = (last + 1, self.place(last + 1).get());
            let (serial, there) = if is_open(next.1) {
                self.seek(last)
            } else {
                next
            };
            // Another drawer may have been faster, with this serial or with a later one.
            let taken = there >> 1 < serial && replace(self.place(serial), there, opened(serial));
            // Where this fails, another drawer has moved it on.
            let _ = last_word.exchange(last, serial);
            if taken {
                return serial;
            }
        }
    }

    /// A serial number after `last` whose place is closed, and what is there.
    #[cold]
    fn seek(&self, last: u64) -> (u64, u64) {
        let round = || {
            let serials = last + 1..=last + OPEN_TICKETS as u64;
            serials.map(|serial| (serial, self.place(serial).get()))
        };
        loop {
            if let Some(closed) = round().find(|(_, there)| !is_open(*there)) {
                return closed;
            }
            // Only where all are open still: another process may have closed the older half by now.
            let mut words: Vec<u64> = round().map(|(_, there)| there).collect();
            if !words.iter().all(|there| is_open(*there)) {
                continue;
            }
            let middle = *words.select_nth_unstable(OPEN_TICKETS / 2).1;
            for (serial, there) in round() {
                if is_open(there) && there < middle {
                    replace(self.place(serial), there, closed(there >> 1));
                }
            }
        }
    }

    /// Refuses places that no draw can have left: one may look for a place of its own without end.
    pub(crate) fn check_tickets(&self) -> std::result::Result<(), String> {
        let last = self.header().counters.tickets.get();
        if last >> 62 != 0 {
            return Err(format!("{last} tickets"));
        }
        for (at, word) in self.open_tickets().iter().enumerate() {
            let serial = word.get() >> 1;
            // One that died has taken its place, but perhaps not counted itself.
            let known =
                serial as usize % OPEN_TICKETS == at && serial <= last + OPEN_TICKETS as u64;
            if !known && word.get() != 0 {
                return Err(format!(
                    "ticket {serial} is in place {at} and the last one is {last}"
                ));
            }
        }
        Ok(())
    }

    /// Consumes a ticket.
    ///
    /// # Errors
    /// `Value` for a ticket of another session and for one that is not open.
    #[inline]
    pub(crate) fn consume(&self, ticket: &Ticket) -> Result<()> {
        let capacity = self.layout.shape.capacity;
        if (ticket.slot as usize) >= capacity {
            return Err(Error::Value(format!(
                "slot {} of the ticket is beyond the session's {capacity} slots: \
                 the ticket is of another session",
                ticket.slot
            )));
        }
        let serial = ticket.serial;
        if serial >> 63 == 0 && replace(self.place(serial), opened(serial), closed(serial)) {
            return Ok(());
        }
        Err(Error::Value(format!(
            "the ticket of task {} (draw {serial}) is not open: it was reported before, or it is \
             of another session, or {OPEN_TICKETS} tickets were open at once, of which the older half gave way; an episode \
             that was drawn once counts once",
            ticket.task_id
        )))
    }

    /// Consumes the tickets of a batch, all or none.
    ///
    /// # Errors
    /// As [`Self::consume`], and `Value` for a ticket that comes twice.
    pub(crate) fn consume_all(&self, tickets: &[Ticket]) -> Result<()> {
        for (at, ticket) in tickets.iter().enumerate() {
            if let Err(error) = self.consume(ticket) {
                let before = &tickets[..at];
                before.iter().for_each(|ticket| self.reopen(ticket));
                if before.contains(ticket) {
                    return Err(Error::Value(format!(
                        "the ticket of task {} (draw {}) comes twice in the batch: an episode \
                         that was drawn once counts once",
                        ticket.task_id, ticket.serial
                    )));
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Gives a ticket back whose report was not made.
    pub(crate) fn reopen(&self, ticket: &Ticket) {
        // Whoever has taken the place meanwhile keeps it.
        replace(
            self.place(ticket.serial),
            closed(ticket.serial),
            opened(ticket.serial),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::SessionOptions;
    use crate::session::Session;

    fn session() -> Session {
        let session = Session::open(&SessionOptions {
            capacity: Some(4),
            rules: Some(crate::rules::Rules::default()),
            ..SessionOptions::default()
        })
        .unwrap();
        session.create_many(&[1, 2, 3, 4], &[]).unwrap();
        session
    }

    #[test]
    fn a_copy_of_a_ticket_is_the_same_ticket() {
        let session = session();
        let ticket = session.draw(None).unwrap();
        let copy = ticket;
        session.report(&ticket, 1.0, 0).unwrap();
        let error = session.report(&copy, 1.0, 0).unwrap_err().to_string();
        assert!(error.contains("reported before"), "{error}");
        assert_eq!(session.totals().completions, 1);
    }

    #[test]
    fn a_refused_report_leaves_the_ticket_open() {
        let session = session();
        let tickets = session.draw_many(3, true, None).unwrap();
        assert!(session.report(&tickets[0], f64::NAN, 0).is_err());
        let twice = [tickets[0], tickets[1], tickets[0]];
        let error = session.report_many(&crate::episode_ends::Ended {
            tickets: &twice,
            scores: &[1.0; 3],
            env_steps: &[],
        });
        assert!(error.unwrap_err().to_string().contains("comes twice"));
        for ticket in &tickets {
            assert!(session.report(ticket, 1.0, 0).unwrap().is_some());
        }
    }

    #[test]
    fn a_long_episode_outlasts_any_number_of_short_ones() {
        let session = session();
        let long = session.draw_many(30_000, true, None).unwrap();
        for _ in 0..3 * OPEN_TICKETS {
            let short = session.draw(None).unwrap();
            session.report(&short, 0.5, 1).unwrap();
        }
        for ticket in &long {
            session.report(ticket, 1.0, 1).unwrap();
        }
    }

    #[test]
    fn draws_that_nobody_reports_take_no_fresh_ticket_away() {
        let session = session();
        let abandoned = session.draw_many(2 * OPEN_TICKETS, true, None).unwrap();
        let ticket = session.draw(None).unwrap();
        session.draw_many(OPEN_TICKETS / 2 - 1, true, None).unwrap();
        session.report(&ticket, 1.0, 1).unwrap();
        let error = session.report(&abandoned[0], 1.0, 1).unwrap_err();
        assert!(error.to_string().contains("is not open"));
    }

    #[test]
    fn abandoned_episodes_do_not_harm_those_that_run() {
        let session = session();
        let mut running = session.draw_many(50, true, None).unwrap();
        for round in 0..300_000 {
            if round % 3 == 0 {
                session.draw(None).unwrap();
            }
            let ended = &mut running[round % 50];
            session.report(ended, 0.5, 1).unwrap();
            *ended = session.draw(None).unwrap();
        }
        assert_eq!(session.totals().completions, 300_000);
    }

    #[test]
    fn many_thousand_episodes_run_at_once() {
        let session = session();
        let many = OPEN_TICKETS - 100;
        let mut running = session.draw_many(many, true, None).unwrap();
        for round in 0..200_000 {
            let ended = &mut running[round * 7919 % many];
            session.report(ended, 0.5, 1).unwrap();
            *ended = session.draw(None).unwrap();
        }
        assert_eq!(session.totals().completions, 200_000);
    }

    #[test]
    fn a_ticket_is_consumed_by_one_of_many_threads() {
        let session = session();
        let tickets = session.draw_many(2000, true, None).unwrap();
        let counted: usize = std::thread::scope(|scope| {
            let reporters: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let made = |ticket: &&Ticket| session.report(ticket, 1.0, 1).is_ok();
                        tickets.iter().filter(made).count()
                    })
                })
                .collect();
            reporters.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(counted, tickets.len());
        assert_eq!(session.totals().completions, 2000);
        session.verify().unwrap();
    }

    #[test]
    fn a_ticket_of_another_session_is_refused() {
        let (one, other) = (session(), session());
        let foreign = other.draw(None).unwrap();
        one.draw_many(100, true, None).unwrap();
        assert!(one.report(&foreign, 1.0, 0).is_err());
        assert_eq!(one.totals().completions, 0);
    }

    #[test]
    fn serials_that_no_draw_had_are_refused() {
        let session = session();
        let ticket = session.draw(None).unwrap();
        for serial in [
            0,
            ticket.serial + 1,
            u64::MAX,
            1 << 63,
            (1 << 63) | ticket.serial,
        ] {
            let forged = Ticket { serial, ..ticket };
            assert!(session.report(&forged, 1.0, 0).is_err(), "{serial}");
        }
        assert!(session.report(&ticket, 1.0, 0).is_ok());
    }
}
