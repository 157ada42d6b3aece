//! Totals of the labels that have changed since a caller looked last.

use crate::index::hash;
use crate::session::Session;
use crate::table::Table;
use crate::tally::Tally;
use crate::totals::Totals;

impl Table {
    /// A number that stands for a label's text and totals; 0 where there is no such label.
    #[inline]
    fn label_version(&self, label: usize) -> u64 {
        let text = self.label_hashes()[label].observe();
        if text == 0 {
            return 0;
        }
        // Sequences only grow, so their sum tells whether any total was published.
        let (mut published, mut samples) = (0_u64, 0_u64);
        for stripe in 0..self.layout.stripes {
            published += self.label_totals(stripe, label).observe();
            samples += self.sample_count(stripe, label);
        }
        let mix = |state: u64, word: u64| hash((state ^ word).cast_signed());
        mix(mix(text, published), samples)
    }
}

impl Session {
    /// The labels that changed since the call that left `versions` (all of them if that is empty),
    /// by number, with their sums; none for a label that is gone.
    ///
    /// A change that comes in the middle of a call shows in the next one at the latest.
    pub fn label_changes(&self, versions: &mut Vec<u64>) -> Vec<(usize, Option<Totals>)> {
        let table = self.table();
        versions.resize(table.layout.labels, 0);
        let mut changed = Vec::new();
        for (label, known) in versions.iter_mut().enumerate().skip(1) {
            // Before the totals are read, so that nothing is missed.
            let version = table.label_version(label);
            if version == *known {
                continue;
            }
            let was_told = std::mem::replace(known, version) != 0;
            let (tally, samples) = match version {
                0 => (Tally::default(), 0),
                _ => (table.fold_label(label), table.samples(label)),
            };
            let ever_used = tally != Tally::default() || samples > 0;
            if ever_used || was_told {
                changed.push((label, ever_used.then(|| Totals::new(&tally, samples))));
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::SessionOptions;
    use crate::structure::NewTask;

    fn session() -> Session {
        Session::open(&SessionOptions {
            capacity: Some(20),
            max_labels: 2,
            max_inactive_labels: 0,
            ..SessionOptions::default()
        })
        .unwrap()
    }

    fn create(session: &Session, task_id: i64, label: &str) {
        let new = NewTask {
            label: Some(label),
            ..NewTask::default()
        };
        session.create(task_id, &new).unwrap();
    }

    #[test]
    fn changes_add_up_to_the_totals() {
        let session = session();
        create(&session, 1, "a");
        create(&session, 2, "b");
        let (mut versions, mut known) = (Vec::new(), vec![None; 4]);
        let mut look = |most: usize| {
            let changed = session.label_changes(&mut versions);
            assert!(changed.len() <= most, "{changed:?}");
            for (label, totals) in changed {
                known[label] = totals;
            }
            let texts = session.labels();
            let mut expected = vec![None; 4];
            for (text, totals) in session.label_totals() {
                let label = texts.iter().position(|label| label.as_ref() == Some(&text));
                expected[label.unwrap()] = Some(totals);
            }
            assert_eq!(known, expected);
        };
        look(3);
        look(0);
        session.update(2, 0.5, 1).unwrap();
        look(1);
        session.draw(None).unwrap();
        look(1);
        session.set_label(2, Some("a")).unwrap();
        look(2);
        // "b" has no task any more: it is folded into "other", and its place is taken.
        create(&session, 3, "c");
        look(3);
        session.clear().unwrap();
        look(3);
        look(0);
    }
}
