//! Task id -> slot: chains of records that are read without a lock.
//!
//! A head or a link is one word, so that linking and unlinking are one publishing store each: a
//! change that is cut off leaves either the old chain or the new one. Nothing is left behind that
//! would have to be swept up later, however often slots are reused. A reader that is led astray,
//! because the record under it moved to another chain, can only miss; it then sees that the
//! version has moved on and looks again.

use std::sync::atomic::Ordering;

use crate::link::Link;
use crate::record_words::Record;
use crate::sync::fence;
use crate::table::Table;
use crate::words::Word;

/// The finaliser of splitmix64: frozen, since sessions and their attachers must agree on it.
#[inline]
pub(crate) fn hash(task_id: i64) -> u64 {
    let mut z = task_id.cast_unsigned().wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Table {
    #[inline]
    fn chain(&self, task_id: i64) -> (&Word, u32) {
        self.chain_of(hash(task_id))
    }

    #[inline]
    fn chain_of(&self, hash: u64) -> (&Word, u32) {
        let heads = self.heads();
        let head = ((u128::from(hash) * heads.len() as u128) >> 64) as usize;
        (&heads[head], hash as u32)
    }

    /// The slot where `task_id` lives now.
    #[inline]
    pub fn find(&self, task_id: i64) -> Option<usize> {
        let (head, tag) = self.chain(task_id);
        let version = &self.header().intent.index_version;
        loop {
            let before = version.observe();
            let mut link = Link::unpack(head.observe());
            // Bounds a walk that a concurrent reuse has led into a circle.
            let mut left = self.layout.shape.capacity;
            while let Some(Link { slot, tag: found }) = link {
                let record: Record = self.record(slot as usize);
                if found == tag {
                    let tenant = record.tenant();
                    if tenant.live && tenant.task_id == task_id {
                        return Some(slot as usize);
                    }
                }
                if left == 0 {
                    break;
                }
                left -= 1;
                link = record.next_link();
            }
            fence(Ordering::Acquire);
            // Before the version: a load that ends in between has moved it on.
            let loading = self.is_loading();
            if version.get() != before {
                continue;
            }
            if !loading {
                return None;
            }
            // Whatever is being replaced is unknown for a moment.
            if !self.await_load() {
                return None;
            }
        }
    }

    /// The slot where `task_id` most likely lives: the first one of its chain with its tag. Only
    /// for a caller that looks under the stripe's lock whether it does.
    #[inline]
    pub fn find_likely(&self, task_id: i64) -> Option<usize> {
        self.find_likely_by(hash(task_id))
    }

    /// [`Self::find_likely`] by the hash of the task's id.
    #[inline]
    pub(crate) fn find_likely_by(&self, hash: u64) -> Option<usize> {
        let (head, tag) = self.chain_of(hash);
        let mut link = Link::unpack(head.observe())?;
        // Bounds a walk that a concurrent reuse has led into a circle.
        for _ in 0..self.layout.shape.capacity {
            if link.tag == tag {
                return Some(link.slot as usize);
            }
            link = self.record(link.slot as usize).next_link()?;
        }
        None
    }

    /// What `read` makes of the index, if no chain changed meanwhile.
    #[inline]
    pub(crate) fn unchanging<T>(&self, read: impl FnOnce() -> T) -> Option<T> {
        let intent = &self.header().intent;
        let before = intent.index_version.observe();
        if intent.plan.observe() != 0 {
            return None;
        }
        let value = read();
        fence(Ordering::Acquire);
        (intent.index_version.get() == before).then_some(value)
    }

    pub(crate) fn move_version_on(&self) {
        // A reader that sees the new version also sees the plan that it belongs to.
        fence(Ordering::Release);
        self.header().intent.index_version.add(1);
        // A reader that sees one of the stores that follow also sees the new version.
        fence(Ordering::Release);
    }

    /// Whether the chain of `task_id` leads to `slot`. Only for the holder of the structure lock.
    pub fn is_linked(&self, task_id: i64, slot: usize) -> bool {
        self.word_before(task_id, slot).is_some()
    }

    /// The word of the chain that leads to `slot`.
    fn word_before(&self, task_id: i64, slot: usize) -> Option<&Word> {
        let (mut word, _) = self.chain(task_id);
        for _ in 0..=self.layout.shape.capacity {
            let link = Link::unpack(word.get())?;
            if link.slot as usize == slot {
                return Some(word);
            }
            word = self.record(link.slot as usize).next();
        }
        None
    }

    /// Makes `task_id` findable. Only for the holder of the structure lock.
    pub fn link(&self, task_id: i64, slot: usize) {
        let (head, tag) = self.chain(task_id);
        self.move_version_on();
        self.record(slot).next().set(head.get());
        head.publish(
            Link {
                slot: slot as u32,
                tag,
            }
            .pack(),
        );
    }

    /// Takes `slot` out of the chain of `task_id`, if it is in. Only for the holder of the
    /// structure lock.
    pub fn unlink(&self, task_id: i64, slot: usize) {
        if let Some(word) = self.word_before(task_id, slot) {
            self.move_version_on();
            word.publish(self.record(slot).next().get());
        }
    }

    /// Number of records that the chains lead to, and whether all of them are live.
    pub fn count_linked(&self) -> (usize, bool) {
        let (mut count, mut live) = (0, true);
        for head in self.heads() {
            let mut link = Link::unpack(head.get());
            while let Some(Link { slot, .. }) = link {
                count += 1;
                if count > self.layout.shape.capacity {
                    return (count, false);
                }
                live &= self.record(slot as usize).tenant().live;
                link = self.record(slot as usize).next_link();
            }
        }
        (count, live)
    }
}
