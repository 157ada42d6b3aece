//! What a vector environment does where episodes end, in one call: reports, the look at the pool,
//! and the draws of the next tasks.

use crate::error::Result;
use crate::session::Session;
use crate::stream::Stream;
use crate::ticket::Ticket;

/// Episodes that ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// What was drawn for them.
    pub tickets: &'a [Ticket],
    /// Their scores, as many.
    pub scores: &'a [f64],
    /// Their environment steps, as many or none at all.
    pub env_steps: &'a [u64],
}

/// Which task a look at the pool may name for eviction; see `choose_eviction`.
#[derive(Debug, Clone, Copy)]
pub struct Eviction {
    /// Completions that it has at least.
    pub min_presentations: u64,
    /// Share of the tasks, of lowest LP, that it is within.
    pub percentile: f64,
}

/// What comes back.
#[derive(Debug, Clone, Default)]
pub struct Begun {
    /// LP after each report; NaN where the task is gone meanwhile.
    pub lps: Vec<f64>,
    /// The task to evict. Then nothing is drawn, so that the caller can replace it first.
    pub evict: Option<i64>,
    /// What was drawn.
    pub tickets: Vec<Ticket>,
}

impl Session {
    /// Reports episodes, looks for a task to evict if asked to, and draws `n` tasks.
    ///
    /// # Errors
    /// Those of `report_many` with nothing written, or of `draw_many` with all reports made.
    pub fn report_and_draw(
        &self,
        ended: &Ended,
        eviction: Option<Eviction>,
        n: usize,
        stream: Option<&mut Stream>,
    ) -> Result<Begun> {
        let lps = self.report_many(ended)?;
        let evict = eviction.and_then(|rule| {
            self.table()
                .choose_eviction(rule.min_presentations, rule.percentile)
        });
        let tickets = match evict {
            Some(_) => Vec::new(),
            None => self.draw_many(n, true, stream)?,
        };
        Ok(Begun {
            lps,
            evict,
            tickets,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::SessionOptions;
    use crate::rules::Rules;

    fn session() -> Session {
        let session = Session::open(&SessionOptions {
            capacity: Some(8),
            rules: Some(Rules::default()),
            ..SessionOptions::default()
        })
        .unwrap();
        session.create_many(&[1, 2, 3, 4], &[]).unwrap();
        session
    }

    #[test]
    fn it_is_a_report_and_a_draw() {
        let (one, two) = (session(), session());
        let (mut stream, mut same) = (Stream::new(1, 0), Stream::new(1, 0));
        let mut tickets = one.draw_many(3, true, Some(&mut stream)).unwrap();
        let mut others = two.draw_many(3, true, Some(&mut same)).unwrap();
        for round in 0..50 {
            let scores = [0.25 * f64::from(round % 5), 0.5, 1.0];
            let ended = |tickets| Ended {
                tickets,
                scores: &scores,
                env_steps: &[1, 2, 3],
            };
            let begun = one
                .report_and_draw(&ended(&tickets), None, 3, Some(&mut stream))
                .unwrap();
            assert_eq!(two.report_many(&ended(&others)).unwrap(), begun.lps);
            tickets = begun.tickets;
            others = two.draw_many(3, true, Some(&mut same)).unwrap();
            let ids = |tickets: &[Ticket]| -> Vec<i64> {
                tickets.iter().map(|ticket| ticket.task_id).collect()
            };
            assert_eq!(ids(&tickets), ids(&others));
            assert_eq!(begun.evict, None);
        }
        assert_eq!(one.totals(), two.totals());
    }

    #[test]
    fn nothing_is_drawn_while_a_task_is_to_be_evicted() {
        let session = session();
        let tickets = session.draw_many(4, false, None).unwrap();
        let eviction = Eviction {
            min_presentations: 1,
            percentile: 1.0,
        };
        let ended = Ended {
            tickets: &tickets,
            scores: &[1.0; 4],
            env_steps: &[],
        };
        let begun = session
            .report_and_draw(&ended, Some(eviction), 4, None)
            .unwrap();
        assert!(
            begun
                .evict
                .is_some_and(|task_id| (1..=4).contains(&task_id))
        );
        assert!(begun.tickets.is_empty());
        assert_eq!(session.totals().scheduled, 4);
    }

    #[test]
    fn a_refused_batch_draws_nothing() {
        let session = session();
        let tickets = session.draw_many(2, true, None).unwrap();
        let ended = Ended {
            tickets: &tickets,
            scores: &[1.0, f64::NAN],
            env_steps: &[],
        };
        assert!(session.report_and_draw(&ended, None, 2, None).is_err());
        assert_eq!(session.totals().scheduled, 2);
        assert_eq!(session.totals().completions, 0);
    }
}
