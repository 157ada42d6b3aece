//! Making everything that follows from the records anew, by a process that has a session alone.

use crate::error::Result;
use crate::record_words::Tenant;
use crate::table::Table;
use crate::tally::{Live, fixed_weight};

impl Table {
    /// Rebuilds index, free slots, drawn words and the live part of all totals from the records,
    /// for a session whose last processes may have died anywhere.
    ///
    /// # Errors
    /// `Session` for records that are damaged, `LockTimeout`.
    pub fn rebuild(&self) -> Result<()> {
        let guards = self.lock_all()?;
        for guard in &guards {
            for words in [
                self.drawn(guard.number()),
                self.block_weights(guard.number()),
                self.block_counts(guard.number()),
            ] {
                for word in words {
                    word.set(0);
                }
            }
            guard.recover();
        }
        self.check_records()?;
        for head in self.heads() {
            head.publish(0);
        }
        for word in self.used() {
            word.set(0);
        }
        self.header().intent.free_hint.set(0);
        for guard in &guards {
            let stripe = guard.number();
            let mut sums = vec![Live::default(); self.layout.labels];
            let mut sum = Live::default();
            for slot in (stripe..self.layout.shape.capacity).step_by(self.layout.stripes) {
                let record = self.record(slot);
                let (Tenant { live, label, .. }, data) = record.load_owned();
                guard.rederive(slot);
                if !live {
                    continue;
                }
                let part = Live::of(&data, fixed_weight(data.weight)?);
                sum.add(&part);
                sums[label as usize].add(&part);
                let (word, bit) = (&self.used()[slot / 64], 1 << (slot % 64));
                word.set(word.get() | bit);
                self.link(data.task_id, slot);
            }
            guard.set_live(0, sum);
            for (label, part) in sums.into_iter().enumerate().skip(1) {
                guard.set_live(label, part);
            }
        }
        drop(guards);
        // What a dead holder of the structure lock had planned is finished by the next one.
        drop(self.lock_structure()?);
        for (slot, tenant) in self.live_slots() {
            self.record(slot).mend_schedule(tenant.generation);
        }
        Ok(())
    }
}
