//! One step of a chain of the index, in a word.

/// Where a chain goes on, with part of the hash of the task there, so that most records of other
/// tasks need not be touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    pub(crate) slot: u32,
    pub(crate) tag: u32,
}

impl Link {
    /// From a word; `None` at the end of a chain.
    #[inline]
    pub fn unpack(word: u64) -> Option<Self> {
        let slot = (word >> 32) as u32;
        (slot != 0).then(|| Self {
            slot: slot - 1,
            tag: word as u32,
        })
    }

    /// Where it leads.
    pub(crate) fn slot(self) -> usize {
        self.slot as usize
    }

    pub(crate) fn pack(self) -> u64 {
        ((u64::from(self.slot) + 1) << 32) | u64::from(self.tag)
    }
}
