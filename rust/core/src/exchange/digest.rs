//! A number for everything that nodes have in common after a sync: equal tables have equal ones.
//!
//! The order of slots does not matter: records are hashed one by one, and the hashes added up, so
//! that the sum follows a change of a few records without a look at the others.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::record::{NUMBER_WORDS, TaskData};
use crate::rules::Progress;
use crate::session::Session;
use crate::table::Table;
use crate::tally::{Retired, Tally};

fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// What became of tasks that are gone, but for their draws, which are each node's own.
fn retired_words(retired: &Retired) -> [u64; 7] {
    let score = retired.score.cast_unsigned();
    [
        retired.created,
        retired.evicted,
        retired.removed,
        retired.completions,
        score as u64,
        (score >> 64) as u64,
        retired.env_steps,
    ]
}

impl Table {
    /// Whether learning progress, and the weight, follow from episodes alone.
    fn derived(&self) -> (bool, bool) {
        let progress = self.rules.progress != Progress::Given;
        (progress, progress && !self.rules.retry_by_column)
    }

    /// The hash of one record.
    pub(crate) fn record_digest(&self, data: &TaskData) -> u128 {
        let (progress, weight) = self.derived();
        let common = TaskData {
            last_scheduled: 0,
            scheduled_count: 0,
            lp_score: if progress { data.lp_score } else { 0.0 },
            weight: if weight { data.weight } else { 0.0 },
            ..data.clone()
        };
        let label = match data.label {
            0 => 0,
            label => self.label_hashes()[label as usize].get(),
        };
        let mut words = [0; 2 + NUMBER_WORDS];
        (words[0], words[1]) = (data.task_id.cast_unsigned(), label);
        words[2..].copy_from_slice(&common.number_words());
        xxh3_128(&bytes(&words))
    }

    /// The sum of the hashes of all records.
    pub(crate) fn records_digest(&self) -> u128 {
        let digest = |(slot, _)| {
            let (tenant, data) = self.record(slot).load();
            tenant.live.then(|| self.record_digest(&data))
        };
        self.live_slots()
            .filter_map(digest)
            .fold(0, u128::wrapping_add)
    }

    /// The sum of the hashes of what labels have retired.
    pub(crate) fn labels_digest(&self) -> u128 {
        let mut labels = 0_u128;
        for label in 1..self.layout.labels {
            let retired = self.fold_label(label).retired;
            let words = retired_words(&retired);
            if words == [0; 7] {
                continue;
            }
            let text = self.label_hashes()[label].get();
            labels = labels.wrapping_add(xxh3_128(&bytes(&[[text].as_slice(), &words].concat())));
        }
        labels
    }

    /// The digest of a table whose records and labels have these sums of hashes.
    pub(crate) fn digest_with(&self, records: u128, labels: u128) -> u128 {
        let header = self.header();
        let mut words = retired_words(&self.fold().retired).to_vec();
        words.extend([0, 1].map(|i: usize| header.score_range[i].get()));
        for sum in [records, labels] {
            words.extend([sum as u64, (sum >> 64) as u64]);
        }
        xxh3_128(&bytes(&words))
    }
}

impl Session {
    /// A number for everything that nodes have in common after a sync: tasks with their labels
    /// and statistics, totals, and the range of scores. Not in it are draws, columns, limits, the
    /// order of slots, and, where the caller gives it, learning progress with the weights.
    ///
    /// Exact where nothing changes meanwhile.
    #[must_use]
    pub fn digest(&self) -> u128 {
        let table = self.table();
        table.beside_loads(|| table.digest_with(table.records_digest(), table.labels_digest()))
    }
}

impl Tally {
    /// With another retired part, whose draws stay.
    pub(crate) fn retired_like(&self, other: &Retired) -> Retired {
        Retired {
            scheduled: self.retired.scheduled,
            ..*other
        }
    }
}

/// The hash of a text that must be the same on all nodes.
pub(crate) fn text_digest(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}
