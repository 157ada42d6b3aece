//! Updates of records: read, modify, write and commit, in one place.

use crate::commit::{Change, Old, StripeGuard};
use crate::error::{Error, Result};
use crate::journal::Note;
use crate::progress::{self, weigh};
use crate::record::{TaskData, check_score, check_steps};
use crate::rules::Progress;
use crate::structure::NewTask;
use crate::table::Table;
use crate::ticket::Ticket;

/// A result whose error is one word, so that it comes in registers.
type Boxed<T> = std::result::Result<T, Box<Error>>;

impl Table {
    /// One score of a task; an unknown task is created. The task's LP after it.
    ///
    /// # Errors
    /// `Value` for a number out of range, `Capacity` for an unknown task and a full table,
    /// `LockTimeout`.
    pub fn update(&self, task_id: i64, score: f64, env_steps: u64) -> Result<f64> {
        check_score(score)?;
        check_steps(env_steps)?;
        progress::check_in_range(&self.rules, score)?;
        // The usual case, without a `Result` of many words that moves through memory.
        if let Some(slot) = self.find_likely(task_id)
            && let Some(guard) = self.try_lock_stripe(self.layout.stripe_of(slot))
            && self.record(slot).is_home_of(task_id)
        {
            return self
                .complete(&guard, slot, score, env_steps)
                .map_err(|error| *error);
        }
        self.update_elsewhere(task_id, score, env_steps)
    }

    /// [`Self::update`] of a task that is unknown, was not where it was looked for first, or lives
    /// in a stripe that somebody has locked.
    #[cold]
    fn update_elsewhere(&self, task_id: i64, score: f64, env_steps: u64) -> Result<f64> {
        loop {
            if let Some((guard, slot)) = self.lock_task(task_id)? {
                return self
                    .complete(&guard, slot, score, env_steps)
                    .map_err(|error| *error);
            }
            self.lock_structure()?
                .create(task_id, &NewTask::default())?;
        }
    }

    /// The lock of the stripe where a task lives, and its slot; `None` if it is unknown.
    fn lock_task(&self, task_id: i64) -> Result<Option<(StripeGuard<'_>, usize)>> {
        while let Some(slot) = self.find(task_id) {
            let guard = self.lock_stripe(self.layout.stripe_of(slot))?;
            // The slot may have been reused between the look-up and the lock.
            if self.record(slot).is_home_of(task_id) {
                return Ok(Some((guard, slot)));
            }
        }
        Ok(None)
    }

    /// One score of the tenant of `slot`; the LP after it.
    ///
    /// Not inlined, so that all ways to report a score share what the processor has at hand.
    #[inline(never)]
    pub(crate) fn complete(
        &self,
        guard: &StripeGuard,
        slot: usize,
        score: f64,
        env_steps: u64,
    ) -> Boxed<f64> {
        let record = self.record(slot);
        let (tenant, mut data) = record.load_score();
        let old = Old::of(tenant, &data);
        self.advance(&mut data, score, env_steps);
        data.last_completed = guard.next_tick();
        guard.commit_score(record, slot, &old, &mut data)?;
        Ok(data.lp_score)
    }

    /// A record after one more score.
    #[inline(always)]
    pub(crate) fn advance(&self, data: &mut TaskData, score: f64, env_steps: u64) {
        let (weight, lp_score) = (data.weight, data.lp_score);
        let seen = self.note_score(score);
        progress::advance(&self.rules, data, score, env_steps, seen);
        if self.rules.progress == Progress::Given {
            // The weight is the caller's as well.
            data.weight = weight;
        }
        if self.is_frozen() {
            (data.weight, data.lp_score) = (weight, lp_score);
        }
    }

    /// Reports an episode that was drawn; `None` if its task is gone meanwhile, which is counted.
    ///
    /// # Errors
    /// `Value` for a number out of range and for a ticket that is not open; `LockTimeout`, which
    /// leaves the ticket open.
    #[inline]
    pub fn report(&self, ticket: &Ticket, score: f64, env_steps: u64) -> Result<Option<f64>> {
        check_score(score)?;
        progress::check_in_range(&self.rules, score)?;
        check_steps(env_steps)?;
        self.consume(ticket)?;
        if self.is_loading() {
            self.await_load();
        }
        self.report_consumed(ticket, score, env_steps)
            .inspect_err(|_| self.reopen(ticket))
    }

    #[inline]
    fn report_consumed(&self, ticket: &Ticket, score: f64, env_steps: u64) -> Result<Option<f64>> {
        let stripe = self.layout.stripe_of(ticket.slot as usize);
        let lp = match self.try_lock_stripe(stripe) {
            Some(guard) => self.complete_ticket(&guard, ticket, score, env_steps),
            None => {
                let guard = self.lock_stripe(stripe)?;
                self.complete_ticket(&guard, ticket, score, env_steps)
            }
        };
        lp.map_err(|error| *error)
    }

    /// One score of the task that a ticket was drawn for; `None` if it is gone, which is counted.
    #[inline]
    pub(crate) fn complete_ticket(
        &self,
        guard: &StripeGuard,
        ticket: &Ticket,
        score: f64,
        env_steps: u64,
    ) -> Boxed<Option<f64>> {
        let tenant = self.record(ticket.slot as usize).owned_tenant();
        if !tenant.live
            || tenant.generation != ticket.generation
            || tenant.task_id != ticket.task_id
        {
            self.header().counters.late_reports.add(1);
            return Ok(None);
        }
        self.complete(guard, ticket.slot as usize, score, env_steps)
            .map(Some)
    }

    /// Changes fields of a task by `change` in one commit.
    ///
    /// # Errors
    /// `UnknownTask`, `Value` for a weight or LP out of range, `LockTimeout`.
    pub fn modify(&self, task_id: i64, change: impl FnOnce(&mut TaskData)) -> Result<()> {
        self.modify_noted(task_id, Note::Nothing, change)
    }

    pub(crate) fn modify_noted(
        &self,
        task_id: i64,
        note: Note,
        change: impl FnOnce(&mut TaskData),
    ) -> Result<()> {
        let (guard, slot) = self
            .lock_task(task_id)?
            .ok_or(Error::UnknownTask(task_id))?;
        let (tenant, mut data) = self.record(slot).load_owned();
        let old = Old::of(tenant, &data);
        change(&mut data);
        guard.commit(slot, &old, &mut data, Change::Update, note)
    }

    /// Sets a column of a task; its weight follows where it depends on it.
    ///
    /// # Errors
    /// As [`Self::modify`].
    pub fn set_column(&self, task_id: i64, column: usize, value: f64) -> Result<()> {
        self.modify(task_id, |data| {
            data.columns[column] = value;
            if self.rules.retry_by_column && !self.is_frozen() {
                data.weight = weigh(&self.rules, data);
            }
        })
    }
}

/// Checks numbers that a caller sets in a record.
///
/// # Errors
/// `Value` naming the field and the value.
pub fn check_finite(fields: &[(&str, f64)]) -> Result<()> {
    for (name, value) in fields {
        if !value.is_finite() {
            return Err(Error::Value(format!(
                "{name} {value} is not a finite number"
            )));
        }
    }
    Ok(())
}
