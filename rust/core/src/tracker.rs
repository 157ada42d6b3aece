//! Updates of records: read, modify, write and commit, in one place.

use crate::commit::{Change, Old, StripeGuard};
use crate::error::{Error, Result};
use crate::progress;
use crate::record::{TaskData, check_score};
use crate::record_words::Tenant;
use crate::rules::Progress;
use crate::sampling::Ticket;
use crate::structure::NewTask;
use crate::table::Table;

impl Table {
    /// One score of a task; an unknown task is created. The task's LP after it.
    ///
    /// # Errors
    /// `Value` for a score out of range, `Capacity` for an unknown task and a full table,
    /// `LockTimeout`.
    #[inline]
    pub fn update(&self, task_id: i64, score: f64, env_steps: u64) -> Result<f64> {
        check_score(score)?;
        progress::check_in_range(&self.rules, score)?;
        loop {
            if let Some((guard, slot)) = self.lock_task(task_id)? {
                let old = self.record(slot).load_owned();
                return self.complete(&guard, slot, old, score, env_steps);
            }
            self.lock_structure()?
                .create(task_id, &NewTask::default())?;
        }
    }

    /// The lock of the stripe where a task lives, and its slot; `None` if it is unknown.
    #[inline]
    fn lock_task(&self, task_id: i64) -> Result<Option<(StripeGuard<'_>, usize)>> {
        while let Some(slot) = self.find(task_id) {
            let guard = self.lock_stripe(self.layout.stripe_of(slot))?;
            let tenant = self.record(slot).owned_tenant();
            // The slot may have been reused between the look-up and the lock.
            if tenant.live && tenant.task_id == task_id {
                return Ok(Some((guard, slot)));
            }
        }
        Ok(None)
    }

    #[inline]
    fn complete(
        &self,
        guard: &StripeGuard,
        slot: usize,
        (tenant, mut data): (Tenant, TaskData),
        score: f64,
        env_steps: u64,
    ) -> Result<f64> {
        let old = Old::of(tenant, &data);
        let weight = data.weight;
        let span = self.note_score(score);
        progress::advance(&self.rules, &mut data, score, env_steps, span);
        if self.rules.progress == Progress::Given {
            // The weight is the caller's as well.
            data.weight = weight;
        }
        data.last_completed = guard.next_tick();
        guard.commit(slot, &old, &mut data, Change::Update)?;
        Ok(data.lp_score)
    }

    /// Reports an episode that was drawn; `None` if its task is gone meanwhile, which is counted.
    ///
    /// # Errors
    /// `Value` for a score out of range or a slot that is none; `LockTimeout`.
    #[inline]
    pub fn report(&self, ticket: &Ticket, score: f64, env_steps: u64) -> Result<Option<f64>> {
        check_score(score)?;
        progress::check_in_range(&self.rules, score)?;
        let slot = ticket.slot as usize;
        if slot >= self.layout.shape.capacity {
            return Err(Error::Value(format!(
                "slot {slot} of the ticket is beyond the session's {} slots: \
                 the ticket is of another session",
                self.layout.shape.capacity
            )));
        }
        let guard = self.lock_stripe(self.layout.stripe_of(slot))?;
        let (tenant, data) = self.record(slot).load_owned();
        if !tenant.live
            || tenant.generation != ticket.generation
            || tenant.task_id != ticket.task_id
        {
            drop(guard);
            self.header().counters.late_reports.add(1);
            return Ok(None);
        }
        self.complete(&guard, slot, (tenant, data), score, env_steps)
            .map(Some)
    }

    /// Changes fields of a task by `change` in one commit.
    ///
    /// # Errors
    /// `UnknownTask`, `Value` for a weight or LP out of range, `LockTimeout`.
    pub fn modify(&self, task_id: i64, change: impl FnOnce(&mut TaskData)) -> Result<()> {
        let (guard, slot) = self
            .lock_task(task_id)?
            .ok_or(Error::UnknownTask(task_id))?;
        let (tenant, mut data) = self.record(slot).load_owned();
        let old = Old::of(tenant, &data);
        change(&mut data);
        guard.commit(slot, &old, &mut data, Change::Update)
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
