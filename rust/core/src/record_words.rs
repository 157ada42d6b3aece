//! A record in shared memory: a latch over its fields and five words beside it.
//!
//! The tenant's identity comes first: looking who lives in a slot, which every look-up and every
//! draw does, takes one stretch of 56 bytes. The id is there once. It changes only in a slot whose
//! tenant is gone, as part of the next write: whoever reads it beside a live tenant's word either
//! has that tenant's id or sees that the sequence has moved on.

use crate::latch::Latch;
use crate::layout::{FIELD_WORDS, LINE_WORDS, RECORD_HEAD_WORDS};
use crate::link::Link;
use crate::record::{MAX_COLUMNS, TaskData};
use crate::words::Word;

const LIVE: u64 = 1 << 31;
const LABEL: u64 = LIVE - 1;
/// Bits of a packed word that count; the others hold the low bits of the generation.
const COUNT_BITS: u32 = 48;
const COUNT: u64 = (1 << COUNT_BITS) - 1;

/// Identity of a slot's tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenant {
    /// The task.
    pub task_id: i64,
    /// Grows with each tenant of the slot.
    pub generation: u32,
    /// Whether the task is there (otherwise it was the last one).
    pub live: bool,
    /// Its label, 0 for none.
    pub label: u32,
}

impl Tenant {
    pub(crate) fn unpack(task_id: u64, meta: u64) -> Self {
        Self {
            task_id: task_id.cast_signed(),
            generation: (meta >> 32) as u32,
            live: meta & LIVE != 0,
            label: (meta & LABEL) as u32,
        }
    }
}

/// Words before the remaining fields of both copies: the identity but for the id is packed in one
/// word of either.
const HEAD_WORDS: usize = RECORD_HEAD_WORDS + 2;
/// Words of a copy between identity and columns.
const REST_WORDS: usize = FIELD_WORDS - 1;

/// One record.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// Sequence, scheduled, last scheduled, link, id; the rest of the identity of either copy.
    head: &'a [Word; HEAD_WORDS],
    /// The rest of either copy.
    copies: &'a [Word],
}

impl<'a> Record<'a> {
    /// A view of a record's words.
    #[inline]
    pub fn new(words: &'a [Word]) -> Self {
        let (head, copies) = words.split_first_chunk().expect("the words of a record");
        Self { head, copies }
    }

    /// The latch over the fields. Its copies lack the identity.
    #[inline]
    pub fn latch(self) -> Latch<'a> {
        Latch::new(&self.head[0], self.copies)
    }

    /// The id.
    #[inline]
    fn id(self) -> &'a Word {
        &self.head[4]
    }

    /// The packed rest of the identity in the copy that a sequence names.
    #[inline]
    fn meta(self, sequence: u64) -> &'a Word {
        &self.head[RECORD_HEAD_WORDS + (sequence & 1) as usize]
    }

    #[inline]
    fn tenant_at(self, sequence: u64) -> Tenant {
        Tenant::unpack(self.id().get(), self.meta(sequence).get())
    }

    /// Labels of either copy.
    pub(crate) fn labels(self) -> [u32; 2] {
        [0, 1].map(|copy| self.tenant_at(copy).label)
    }

    /// The link to the next record of the same chain of the index.
    #[inline]
    pub fn next(self) -> &'a Word {
        &self.head[3]
    }

    /// Next link, decoded.
    #[inline]
    pub fn next_link(self) -> Option<Link> {
        Link::unpack(self.next().observe())
    }

    /// Who lives here.
    #[inline]
    pub fn tenant(self) -> Tenant {
        self.latch().read_by(|sequence| self.tenant_at(sequence))
    }

    /// Who lives here, and the word at a position of the published copy, packed identity included.
    #[inline]
    pub fn word(self, at: usize) -> (Tenant, u64) {
        let latch = self.latch();
        latch.read_by(|sequence| {
            let word = &latch.copy_of(sequence)[at - 1];
            (self.tenant_at(sequence), word.get())
        })
    }

    /// Has the processor fetch all of it, for a change soon.
    #[inline]
    pub fn prefetch_all(self) {
        prefetch(&self.head[0]);
        self.copies.iter().step_by(LINE_WORDS).for_each(prefetch);
        if let Some(last) = self.copies.last() {
            prefetch(last);
        }
    }

    /// Who lives here, for the holder of the stripe's lock.
    #[inline]
    pub fn owned_tenant(self) -> Tenant {
        self.tenant_at(self.latch().sequence())
    }

    /// Whether a task lives here, for the holder of the stripe's lock.
    #[inline]
    pub fn is_home_of(self, task_id: i64) -> bool {
        let meta = self.meta(self.latch().sequence()).get();
        self.id().get().cast_signed() == task_id && meta & LIVE != 0
    }

    /// The whole record, as of one instant.
    #[inline]
    pub fn load(self) -> (Tenant, TaskData) {
        let mut data = TaskData::new(0);
        (self.load_into(&mut data), data)
    }

    /// [`Self::load`] in place: to move a record costs as much as to read it.
    #[inline(always)]
    pub fn load_into(self, data: &mut TaskData) -> Tenant {
        let latch = self.latch();
        let tenant = latch.read_by(|sequence| self.decode(sequence, data));
        self.add_schedule(&tenant, data);
        tenant
    }

    /// The whole record, for the holder of the stripe's lock.
    #[inline]
    pub fn load_owned(self) -> (Tenant, TaskData) {
        let mut data = TaskData::new(0);
        let tenant = self.decode(self.latch().sequence(), &mut data);
        self.add_schedule(&tenant, &mut data);
        (tenant, data)
    }

    /// What is staged over the record, without the schedule, for the holder of the stripe's lock.
    pub(crate) fn load_staged(self) -> TaskData {
        let mut data = TaskData::new(0);
        self.decode(self.latch().sequence() + 1, &mut data);
        data
    }

    /// What a score changes or looks at: the record without its schedule, and of its columns only
    /// the first, by which it may be weighed; for the holder of the stripe's lock.
    #[inline(always)]
    pub fn load_score(self) -> (Tenant, TaskData) {
        let tenant = self.tenant_at(self.latch().sequence());
        let (fields, columns) = split(self.latch().owned());
        let mut data = decode(tenant, fields);
        if let Some(word) = columns.first() {
            data.columns[0] = word.get_f64();
        }
        (tenant, data)
    }

    /// The copy that a sequence names, without the schedule, which lies beside the copies.
    #[inline(always)]
    fn decode(self, sequence: u64, data: &mut TaskData) -> Tenant {
        let tenant = self.tenant_at(sequence);
        let (fields, columns) = split(self.latch().copy_of(sequence));
        *data = decode(tenant, fields);
        for (value, word) in data.columns.iter_mut().zip(columns) {
            *value = word.get_f64();
        }
        tenant
    }

    #[inline]
    fn add_schedule(self, tenant: &Tenant, data: &mut TaskData) {
        data.scheduled_count = self.scheduled(tenant.generation);
        data.last_scheduled = of_generation(self.head[2].get(), tenant.generation);
    }

    /// Times that the tenant was drawn.
    #[inline]
    pub fn scheduled(self, generation: u32) -> u64 {
        let word = self.head[1].get();
        // Frozen for a removal that is under way.
        let frozen = of_generation(word, generation.wrapping_add(1));
        of_generation(word, generation).max(frozen)
    }

    /// Counts one draw of the tenant of `generation`; false if the slot has another by now.
    #[inline]
    pub fn schedule(self, generation: u32, tick: u64) -> bool {
        let mut word = self.head[1].get();
        loop {
            if word >> COUNT_BITS != low_bits(generation) {
                return false;
            }
            match self.head[1].exchange(word, word + 1) {
                Ok(_) => break,
                Err(found) => word = found,
            }
        }
        let mut last = self.head[2].get();
        while last >> COUNT_BITS == low_bits(generation) {
            match self.head[2].exchange(last, pack(generation, tick)) {
                Ok(_) => break,
                Err(found) => last = found,
            }
        }
        true
    }

    /// Ends the tenancy's schedule, so that no draw counts any more; its count, which is left in
    /// `note` as well before it is gone from here. May be repeated.
    pub fn freeze(self, generation: u32, note: &Word) -> u64 {
        loop {
            let word = self.head[1].get();
            if word >> COUNT_BITS != low_bits(generation) {
                return note.get();
            }
            note.publish(word & COUNT);
            if self.head[1]
                .exchange(word, pack(generation.wrapping_add(1), word))
                .is_ok()
            {
                return word & COUNT;
            }
        }
    }

    /// Sets the words of the schedule to those of a tenant.
    pub fn set_schedule(self, generation: u32, scheduled: u64, last: u64) {
        self.head[1].publish(pack(generation, scheduled));
        self.head[2].publish(pack(generation, last));
    }

    /// Gives a tenant whose schedule is another's one of its own: it could never be drawn.
    pub(crate) fn mend_schedule(self, generation: u32) {
        if self.head[1].get() >> COUNT_BITS != low_bits(generation) {
            self.set_schedule(generation, 0, 0);
        }
    }

    /// Fills the unpublished copy; returns the sequence that publishes it.
    #[inline]
    pub fn stage(self, data: &TaskData, live: bool) -> u64 {
        let latch = self.latch();
        let next = latch.begin() + 1;
        self.id().set(data.task_id.cast_unsigned());
        self.encode(next, data, live);
        let columns = split(latch.copy_of(next)).1;
        for (word, value) in columns.iter().zip(data.columns) {
            word.set_f64(value);
        }
        next
    }

    /// As [`Self::stage`] of a live task, with the columns that are published.
    #[inline(always)]
    pub fn stage_score(self, data: &TaskData) -> u64 {
        let latch = self.latch();
        let published = latch.begin();
        self.encode(published + 1, data, true);
        let kept = split(latch.copy_of(published)).1;
        let columns = split(latch.copy_of(published + 1)).1;
        for (word, kept) in columns.iter().zip(kept) {
            word.set(kept.get());
        }
        published + 1
    }

    /// Fills everything but the id and the columns of the copy that a sequence names.
    #[inline(always)]
    fn encode(self, sequence: u64, data: &TaskData, live: bool) {
        let live = if live { LIVE } else { 0 };
        self.meta(sequence)
            .set((u64::from(data.generation) << 32) | live | u64::from(data.label));
        let fields: [u64; REST_WORDS] = [
            data.creation_time.to_bits(),
            data.last_completed,
            data.completion_count,
            data.env_steps,
            data.reward_ema.to_bits(),
            data.ema_squared.to_bits(),
            data.success_rate_ema.to_bits(),
            data.total_score.to_bits(),
            data.last_score.to_bits(),
            data.p_fast.to_bits(),
            data.p_slow.to_bits(),
            data.p_true.to_bits(),
            data.random_baseline.to_bits(),
            data.lp_score.to_bits(),
            data.weight.to_bits(),
            data.success_threshold.to_bits(),
            data.seed,
            data.generator_type.to_bits(),
            data.evidence.to_bits(),
        ];
        let words = split(self.latch().copy_of(sequence)).0;
        for (word, value) in words.iter().zip(fields) {
            word.set(value);
        }
    }
}

fn low_bits(generation: u32) -> u64 {
    u64::from(generation) & (u64::MAX >> COUNT_BITS)
}

fn pack(generation: u32, count: u64) -> u64 {
    (low_bits(generation) << COUNT_BITS) | (count & COUNT)
}

fn of_generation(word: u64, generation: u32) -> u64 {
    if word >> COUNT_BITS == low_bits(generation) {
        word & COUNT
    } else {
        0
    }
}

/// Has the processor fetch the cache line of a word.
#[inline]
#[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables))]
pub(crate) fn prefetch(word: &Word) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint about memory that a reference leads to.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(word).cast()) };
    }
}

/// Fields after the identity, and columns, of a copy.
#[inline]
fn split(copy: &[Word]) -> (&[Word; REST_WORDS], &[Word]) {
    copy.split_first_chunk().expect("a copy of a record")
}

#[inline(always)]
fn decode(tenant: Tenant, fields: &[Word; REST_WORDS]) -> TaskData {
    TaskData {
        task_id: tenant.task_id,
        generation: tenant.generation,
        creation_time: fields[0].get_f64(),
        last_completed: fields[1].get(),
        completion_count: fields[2].get(),
        env_steps: fields[3].get(),
        reward_ema: fields[4].get_f64(),
        ema_squared: fields[5].get_f64(),
        success_rate_ema: fields[6].get_f64(),
        total_score: fields[7].get_f64(),
        last_score: fields[8].get_f64(),
        p_fast: fields[9].get_f64(),
        p_slow: fields[10].get_f64(),
        p_true: fields[11].get_f64(),
        random_baseline: fields[12].get_f64(),
        lp_score: fields[13].get_f64(),
        weight: fields[14].get_f64(),
        success_threshold: fields[15].get_f64(),
        seed: fields[16].get(),
        generator_type: fields[17].get_f64(),
        evidence: fields[18].get_f64(),
        last_scheduled: 0,
        scheduled_count: 0,
        label: tenant.label,
        columns: [0.0; MAX_COLUMNS],
    }
}
