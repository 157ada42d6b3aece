//! Changes of the set of tasks: creation, removal, labels. One holder at a time, in any process.
//!
//! The intent says what the holder is about to do; whoever gets the lock after its death finishes
//! it. Every step may be repeated.

use std::sync::atomic::Ordering;

use crate::commit::{Change, Old, StripeGuard};
use crate::error::{Error, Result};
use crate::journal::{Adopting, Note};
use crate::lock::Taken;
use crate::progress;
use crate::record::TaskData;
use crate::record_words::Tenant;
use crate::sync::fence;
use crate::table::Table;

/// What a structure change is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Plan {
    /// A task moves into a slot.
    Create = 1,
    /// A task is removed.
    Remove = 2,
    /// A task is evicted.
    Evict = 3,
    /// A label is folded into "other".
    Fold = 4,
    /// Everything is wiped, and perhaps loaded.
    Load = 5,
}

/// What the creator of a task may set.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewTask<'a> {
    /// Threshold of a success; the rules' where it is not given.
    pub success_threshold: Option<f64>,
    /// Seed of the task.
    pub seed: Option<u64>,
    /// Kind of generator; the rules' where it is not given.
    pub generator_type: Option<f64>,
    /// Label.
    pub label: Option<&'a str>,
}

/// What follows a wipe.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Loading {
    /// Hash of the checkpoint.
    pub(crate) hash: i64,
    /// Bytes of its path, which the header holds; 0 for no checkpoint.
    pub(crate) path_bytes: usize,
}

/// The structure lock, held.
pub struct StructureGuard<'a> {
    pub(crate) table: &'a Table,
}

impl Drop for StructureGuard<'_> {
    fn drop(&mut self) {
        self.table.header().structure.unlock();
    }
}

impl Table {
    /// Takes the structure lock, after finishing what a dead holder left.
    ///
    /// # Errors
    /// `LockTimeout`, `Interrupted`.
    pub fn lock_structure(&self) -> Result<StructureGuard<'_>> {
        let lock = &self.header().structure;
        let taken = self.take(lock, "the session's structure lock")?;
        if taken == Taken::AfterDeath {
            lock.mark_consistent();
        }
        let guard = StructureGuard { table: self };
        // Not only after a death: a recovery that timed out on a stripe leaves its plan as well.
        guard.recover()?;
        if let Some(journal) = self.journal()
            && journal.adopting() == Adopting::Now
        {
            // Whoever was at it is gone.
            journal.stand(journal.number(), Adopting::Torn);
        }
        Ok(guard)
    }
}

fn now() -> f64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |age| age.as_secs_f64())
}

impl StructureGuard<'_> {
    pub(crate) fn begin(&self, plan: Plan, task_id: i64, subject: usize) {
        let intent = &self.table.header().intent;
        intent.task_id.set(task_id.cast_unsigned());
        intent.subject.set(subject as u64);
        intent.plan.publish(plan as u64);
    }

    pub(crate) fn finish(&self) {
        self.table.header().intent.plan.publish(0);
    }

    fn recover(&self) -> Result<()> {
        let intent = &self.table.header().intent;
        let task_id = intent.task_id.get().cast_signed();
        let subject = usize::try_from(intent.subject.get()).expect("was a usize");
        match intent.plan.observe() {
            0 => Ok(()),
            plan if plan == Plan::Create as u64 => {
                self.finish_create(task_id, subject)?;
                self.finish();
                Ok(())
            }
            plan if plan == Plan::Remove as u64 || plan == Plan::Evict as u64 => {
                let guard = self.lock_stripe_of(subject)?;
                self.take_out(&guard, task_id, subject, plan == Plan::Evict as u64)
            }
            plan if plan == Plan::Fold as u64 => self.fold(subject),
            _ => self.finish_load(Loading {
                hash: task_id,
                path_bytes: subject,
            }),
        }
    }

    fn finish_create(&self, task_id: i64, slot: usize) -> Result<()> {
        let table = self.table;
        let guard = table.lock_stripe(table.layout.stripe_of(slot))?;
        let tenant = table.record(slot).owned_tenant();
        drop(guard);
        let live = tenant.live && tenant.task_id == task_id;
        self.mark_used(slot, tenant.live);
        if live && !table.is_linked(task_id, slot) {
            table.link(task_id, slot);
        }
        Ok(())
    }

    pub(crate) fn mark_used(&self, slot: usize, used: bool) {
        let (word, bit) = (&self.table.used()[slot / 64], 1 << (slot % 64));
        if used {
            word.set(word.get() | bit);
        } else {
            let hint = &self.table.header().intent.free_hint;
            hint.set(hint.get().min(slot as u64 / 64));
            word.set(word.get() & !bit);
        }
    }

    fn lowest_free_slot(&self) -> Result<usize> {
        let hint = &self.table.header().intent.free_hint;
        let capacity = self.table.layout.shape.capacity;
        let first = usize::try_from(hint.get()).expect("was a usize");
        for (i, word) in self.table.used().iter().enumerate().skip(first) {
            let slot = i * 64 + word.get().trailing_ones() as usize;
            if word.get() != u64::MAX && slot < capacity {
                hint.set(i as u64);
                return Ok(slot);
            }
        }
        Err(Error::Capacity { capacity })
    }

    /// Creates a task; `None` if it is there already.
    ///
    /// # Errors
    /// `Capacity`, `Labels`, `Value`, `LockTimeout`.
    pub fn create(&self, task_id: i64, new: &NewTask) -> Result<Option<usize>> {
        if self.table.find(task_id).is_some() {
            return Ok(None);
        }
        let mut data = self.table.fresh(task_id, new)?;
        // Before the label is interned, so that a full table leaves no label behind.
        self.lowest_free_slot()?;
        data.label = self.intern(new.label)?;
        self.settle(&mut data).map(Some)
    }

    /// Moves a record into the lowest free slot; `data` gets its generation and its weight.
    ///
    /// # Errors
    /// `Capacity`, `Value`, `LockTimeout`.
    pub(crate) fn settle(&self, data: &mut TaskData) -> Result<usize> {
        let slot = self.lowest_free_slot()?;
        let guard = self.lock_stripe_of(slot)?;
        self.reserve(&guard, 1)?;
        self.settle_at(&guard, slot, data)?;
        Ok(slot)
    }

    /// Moves a record into a free slot of the stripe that is held.
    fn settle_at(&self, guard: &StripeGuard, slot: usize, data: &mut TaskData) -> Result<()> {
        let table = self.table;
        let record = table.record(slot);
        let (tenant, before) = record.load_owned();
        let old = Old::of(tenant, &before);
        data.generation = tenant.generation.wrapping_add(1);
        data.weight = progress::weigh(&table.rules, data);
        self.begin(Plan::Create, data.task_id, slot);
        record.set_schedule(data.generation, data.scheduled_count, data.last_scheduled);
        if let Err(error) =
            guard.commit(slot, &old, data, Change::Create, self.noted(Note::Created))
        {
            self.finish();
            return Err(error);
        }
        self.mark_used(slot, true);
        table.link(data.task_id, slot);
        self.finish();
        Ok(())
    }

    /// Removes or evicts a task; false if it is not there.
    ///
    /// # Errors
    /// `LockTimeout`.
    pub fn remove(&self, task_id: i64, evict: bool) -> Result<bool> {
        let Some(slot) = self.table.find(task_id) else {
            return Ok(false);
        };
        // Before the plan: a wait in vain leaves none behind.
        let guard = self.lock_stripe_of(slot)?;
        self.reserve(&guard, 1)?;
        let plan = if evict { Plan::Evict } else { Plan::Remove };
        self.begin(plan, task_id, slot);
        self.take_out(&guard, task_id, slot, evict)?;
        Ok(true)
    }

    /// Evicts a task and creates another; false, and nothing done, where the one is not there or
    /// the other is.
    ///
    /// # Errors
    /// `Labels`, `Value`, `LockTimeout`, with the first task still there.
    pub fn replace(&self, evicted: i64, task_id: i64, new: &NewTask) -> Result<bool> {
        let table = self.table;
        let (None, Some(old)) = (table.find(task_id), table.find(evicted)) else {
            return Ok(false);
        };
        // Whatever may fail, and whatever may have to be waited for, comes before the eviction.
        let mut data = table.fresh(task_id, new)?;
        data.label = self.intern(new.label)?;
        let slot = self.lowest_free_slot().map_or(old, |free| free.min(old));
        let guard = self.lock_stripe_of(old)?;
        // Two stripes at once only ever have the holder of the structure lock.
        let other = if guard.number() == table.layout.stripe_of(slot) {
            None
        } else {
            Some(self.lock_stripe_of(slot)?)
        };
        self.reserve(&guard, 1 + u64::from(other.is_none()))?;
        if let Some(other) = &other {
            self.reserve(other, 1)?;
        }
        self.begin(Plan::Evict, evicted, old);
        self.take_out(&guard, evicted, old, true)?;
        self.settle_at(other.as_ref().unwrap_or(&guard), slot, &mut data)?;
        Ok(true)
    }

    fn lock_stripe_of(&self, slot: usize) -> Result<StripeGuard<'_>> {
        self.table.lock_stripe(self.table.layout.stripe_of(slot))
    }

    /// Does what a removal has planned, or what is left of it.
    fn take_out(&self, guard: &StripeGuard, task_id: i64, slot: usize, evict: bool) -> Result<()> {
        let table = self.table;
        let record = table.record(slot);
        table.unlink(task_id, slot);
        let (tenant, mut gone) = record.load_owned();
        if tenant.live && tenant.task_id == task_id {
            let old = Old::of(tenant, &gone);
            let scheduled = record.freeze(tenant.generation, &table.header().intent.scheduled);
            gone.lp_score = 0.0;
            gone.weight = 0.0;
            let (change, note) = if evict {
                (Change::Evict { scheduled }, Note::Evicted)
            } else {
                (Change::Remove { scheduled }, Note::Removed)
            };
            guard.commit(slot, &old, &mut gone, change, self.noted(note))?;
        }
        self.mark_used(slot, false);
        self.finish();
        Ok(())
    }

    /// Gives a task another label, or none; false if it is not there.
    ///
    /// # Errors
    /// `Labels`, `Value`, `LockTimeout`.
    pub fn set_label(&self, task_id: i64, label: Option<&str>) -> Result<bool> {
        let table = self.table;
        let Some(slot) = table.find(task_id) else {
            return Ok(false);
        };
        let label = self.intern(label)?;
        let guard = table.lock_stripe(table.layout.stripe_of(slot))?;
        let (tenant, mut data) = table.record(slot).load_owned();
        let old = Old::of(tenant, &data);
        data.label = label;
        self.reserve(&guard, 1)?;
        let note = self.noted(Note::Labelled);
        guard.commit(slot, &old, &mut data, Change::Update, note)?;
        Ok(true)
    }

    /// Writes a whole record: fields of a task that is there, or a new task.
    ///
    /// # Errors
    /// `Capacity`, `Labels`, `Value`, `LockTimeout`.
    pub fn write(&self, data: &TaskData, label: Option<&str>) -> Result<()> {
        let table = self.table;
        let mut new = data.clone();
        let Some(slot) = table.find(data.task_id) else {
            self.lowest_free_slot()?;
            new.label = self.intern(label)?;
            return self.settle(&mut new).map(|_| ());
        };
        new.label = self.intern(label)?;
        let guard = table.lock_stripe(table.layout.stripe_of(slot))?;
        let record = table.record(slot);
        let (tenant, before) = record.load_owned();
        let old = Old::of(tenant, &before);
        new.generation = tenant.generation;
        new.weight = progress::weigh(&table.rules, &new);
        guard.commit(slot, &old, &mut new, Change::Update, Note::Nothing)?;
        record.set_schedule(new.generation, data.scheduled_count, data.last_scheduled);
        Ok(())
    }

    /// Takes every task, label and total away; all stripes, held, so that nothing can fail in a
    /// load that follows. Plan `Load` stays in force until the caller finishes it: after a death
    /// in that load the next holder of the structure lock begins it anew.
    ///
    /// # Errors
    /// `LockTimeout`, before anything is changed.
    pub(crate) fn wipe(&self, loading: Loading) -> Result<Vec<StripeGuard<'_>>> {
        let table = self.table;
        let guards = table.lock_all()?;
        self.begin(Plan::Load, loading.hash, loading.path_bytes);
        table.move_version_on();
        for head in table.heads() {
            head.publish(0);
        }
        for guard in &guards {
            guard.wipe();
        }
        self.begin_journal();
        for word in table.used() {
            word.set(0);
        }
        table.header().intent.free_hint.set(0);
        table.header().intent.label_generation.add(1);
        for label in 1..table.other_label() {
            table.free_label(label);
        }
        table.label_limits()[table.other_label()].set(0);
        self.note_limits();
        Ok(guards)
    }
}

impl Table {
    /// The record of a task that nobody has played.
    fn fresh(&self, task_id: i64, new: &NewTask) -> Result<TaskData> {
        let mut data = TaskData::new(task_id);
        data.creation_time = now();
        data.success_threshold = new
            .success_threshold
            .unwrap_or(self.rules.success_threshold);
        data.generator_type = new.generator_type.unwrap_or(self.rules.generator_type);
        data.seed = new.seed.unwrap_or(0);
        for (name, value) in [
            ("success_threshold", data.success_threshold),
            ("generator_type", data.generator_type),
        ] {
            if !value.is_finite() {
                return Err(Error::Value(format!(
                    "{name} {value} is not a finite number"
                )));
            }
        }
        Ok(data)
    }

    /// Whether somebody is replacing everything, or died over it.
    #[inline]
    pub(crate) fn is_loading(&self) -> bool {
        self.header().intent.plan.observe() == Plan::Load as u64
    }

    /// Waits until nobody is replacing everything any more. A load that was cut off by a death is
    /// finished as an empty table, by whoever may write. False if it takes too long, which leaves
    /// the caller with what there is.
    #[cold]
    pub(crate) fn await_load(&self) -> bool {
        if !self.segment().is_read_only() {
            return self.lock_structure().is_ok();
        }
        let start = std::time::Instant::now();
        while self.is_loading() && start.elapsed() < self.lock_timeout {
            std::thread::sleep(std::time::Duration::from_micros(50));
        }
        !self.is_loading()
    }

    /// Calls `read`, which looks at many tasks, so that it sees all of before or all of after a
    /// load.
    pub(crate) fn beside_loads<T>(&self, read: impl Fn() -> T) -> T {
        let generation = &self.header().intent.label_generation;
        let start = std::time::Instant::now();
        loop {
            let before = generation.observe();
            if self.is_loading() {
                self.await_load();
            }
            let value = read();
            fence(Ordering::Acquire);
            let undisturbed = !self.is_loading() && generation.get() == before;
            if undisturbed || start.elapsed() > self.lock_timeout {
                return value;
            }
        }
    }

    /// Slots with a live task, by their order, with the tenant of each.
    pub fn live_slots(&self) -> impl Iterator<Item = (usize, Tenant)> + '_ {
        self.used().iter().enumerate().flat_map(move |(i, word)| {
            let mut bits = word.get();
            std::iter::from_fn(move || {
                while bits != 0 {
                    let slot = i * 64 + bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    let tenant = self.record(slot).tenant();
                    if tenant.live {
                        return Some((slot, tenant));
                    }
                }
                None
            })
        })
    }
}
