//! A record in shared memory: a latch over its fields and four words beside it.

use std::sync::atomic::{Ordering, fence};

use crate::index::Link;
use crate::latch::Latch;
use crate::layout::{FIELD_WORDS, RECORD_HEAD_WORDS};
use crate::record::TaskData;
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

/// One record.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    words: &'a [Word],
}

impl<'a> Record<'a> {
    /// A view of a record's words.
    #[inline]
    pub fn new(words: &'a [Word]) -> Self {
        Self { words }
    }

    /// The latch over the fields.
    #[inline]
    pub fn latch(self) -> Latch<'a> {
        Latch::new(&self.words[0], &self.words[RECORD_HEAD_WORDS..])
    }

    /// The link to the next record of the same chain of the index.
    #[inline]
    pub fn next(self) -> &'a Word {
        &self.words[3]
    }

    /// Next link, decoded.
    #[inline]
    pub fn next_link(self) -> Option<Link> {
        Link::unpack(self.next().observe())
    }

    /// Who lives here.
    #[inline]
    pub fn tenant(self) -> Tenant {
        self.latch()
            .read(|copy| Tenant::unpack(copy[0].get(), copy[1].get()))
    }

    /// The tasks that live in some records, each as of one instant. The loads of different records
    /// do not wait for each other, which is what a pass over a large table spends its time on.
    pub fn task_ids<const N: usize>(records: &[Self; N]) -> [i64; N] {
        let sequences = records.map(|record| record.latch().observe());
        let mut ids = [0; N];
        for (id, (record, sequence)) in ids.iter_mut().zip(records.iter().zip(sequences)) {
            *id = record.latch().copy_of(sequence)[0].get().cast_signed();
        }
        fence(Ordering::Acquire);
        for (id, (record, sequence)) in ids.iter_mut().zip(records.iter().zip(sequences)) {
            if record.latch().sequence() != sequence {
                *id = record.tenant().task_id;
            }
        }
        ids
    }

    /// Who lives here, for the holder of the stripe's lock.
    #[inline]
    pub fn owned_tenant(self) -> Tenant {
        let copy = self.latch().owned();
        Tenant::unpack(copy[0].get(), copy[1].get())
    }

    /// The whole record, as of one instant.
    #[inline]
    pub fn load(self) -> (Tenant, TaskData) {
        let (tenant, mut data) = self.latch().read(decode);
        self.add_schedule(&tenant, &mut data);
        (tenant, data)
    }

    /// The whole record, for the holder of the stripe's lock.
    #[inline]
    pub fn load_owned(self) -> (Tenant, TaskData) {
        let (tenant, mut data) = decode(self.latch().owned());
        self.add_schedule(&tenant, &mut data);
        (tenant, data)
    }

    fn add_schedule(self, tenant: &Tenant, data: &mut TaskData) {
        data.scheduled_count = self.scheduled(tenant.generation);
        data.last_scheduled = of_generation(self.words[2].get(), tenant.generation);
    }

    /// Times that the tenant was drawn.
    #[inline]
    pub fn scheduled(self, generation: u32) -> u64 {
        of_generation(self.words[1].get(), generation)
    }

    /// Counts one draw of the tenant of `generation`; false if the slot has another by now.
    #[inline]
    pub fn schedule(self, generation: u32, tick: u64) -> bool {
        let mut word = self.words[1].get();
        loop {
            if word >> COUNT_BITS != low_bits(generation) {
                return false;
            }
            match self.words[1].exchange(word, word + 1) {
                Ok(_) => break,
                Err(found) => word = found,
            }
        }
        let mut last = self.words[2].get();
        while last >> COUNT_BITS == low_bits(generation) {
            match self.words[2].exchange(last, pack(generation, tick)) {
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
            let word = self.words[1].get();
            if word >> COUNT_BITS != low_bits(generation) {
                return note.get();
            }
            note.publish(word & COUNT);
            if self.words[1]
                .exchange(word, pack(generation.wrapping_add(1), 0))
                .is_ok()
            {
                return word & COUNT;
            }
        }
    }

    /// Sets the words of the schedule to those of a tenant.
    pub fn set_schedule(self, generation: u32, scheduled: u64, last: u64) {
        self.words[1].publish(pack(generation, scheduled));
        self.words[2].publish(pack(generation, last));
    }

    /// Fills the unpublished copy; returns the sequence that publishes it.
    #[inline]
    pub fn stage(self, data: &TaskData, live: bool) -> u64 {
        self.latch().stage(|copy| encode(copy, data, live))
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

/// Fields and columns of a copy.
#[inline]
fn split(copy: &[Word]) -> (&[Word; FIELD_WORDS], &[Word]) {
    copy.split_first_chunk().expect("a copy of a record")
}

#[inline]
fn encode(copy: &[Word], data: &TaskData, live: bool) {
    let live = if live { LIVE } else { 0 };
    let fields: [u64; FIELD_WORDS] = [
        data.task_id.cast_unsigned(),
        (u64::from(data.generation) << 32) | live | u64::from(data.label),
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
    ];
    let (words, columns) = split(copy);
    for (word, value) in words.iter().zip(fields) {
        word.set(value);
    }
    for (word, value) in columns.iter().zip(data.columns) {
        word.set_f64(value);
    }
}

#[inline]
fn decode(copy: &[Word]) -> (Tenant, TaskData) {
    let (fields, columns) = split(copy);
    let tenant = Tenant::unpack(fields[0].get(), fields[1].get());
    let mut data = TaskData::new(tenant.task_id);
    data.generation = tenant.generation;
    data.label = tenant.label;
    data.creation_time = fields[2].get_f64();
    data.last_completed = fields[3].get();
    data.completion_count = fields[4].get();
    data.env_steps = fields[5].get();
    data.reward_ema = fields[6].get_f64();
    data.ema_squared = fields[7].get_f64();
    data.success_rate_ema = fields[8].get_f64();
    data.total_score = fields[9].get_f64();
    data.last_score = fields[10].get_f64();
    data.p_fast = fields[11].get_f64();
    data.p_slow = fields[12].get_f64();
    data.p_true = fields[13].get_f64();
    data.random_baseline = fields[14].get_f64();
    data.lp_score = fields[15].get_f64();
    data.weight = fields[16].get_f64();
    data.success_threshold = fields[17].get_f64();
    data.seed = fields[18].get();
    data.generator_type = fields[19].get_f64();
    for (value, word) in data.columns.iter_mut().zip(columns) {
        *value = word.get_f64();
    }
    (tenant, data)
}
