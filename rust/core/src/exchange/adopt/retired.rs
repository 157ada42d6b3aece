//! What became of tasks that are gone.

use super::Adoption;
use crate::error::Result;
use crate::tally::{Retired, Tally};

/// A share of what is retired, so that the parts of all stripes add up to it.
fn part_of(whole: &Retired, stripe: usize, stripes: usize) -> Retired {
    let count = |count: u64| {
        let each = count / stripes as u64;
        if stripe == 0 {
            count - each * (stripes as u64 - 1)
        } else {
            each
        }
    };
    let each = whole.score / stripes as i128;
    let score = match stripe {
        0 => whole.score - each * (stripes as i128 - 1),
        _ => each,
    };
    Retired {
        created: count(whole.created),
        evicted: count(whole.evicted),
        removed: count(whole.removed),
        completions: count(whole.completions),
        score,
        env_steps: count(whole.env_steps),
        scheduled: 0,
    }
}

impl Adoption<'_> {
    /// Folds labels that mean nothing any more, so that no other one has to be for want of room.
    fn fold_others(&self, meant: &[(String, Retired)]) -> Result<()> {
        let live = self.live;
        for label in 1..live.other_label() {
            let Some(text) = live.label_text(label) else {
                continue;
            };
            if live.is_inactive(label) && !meant.iter().any(|(other, _)| *other == text) {
                self.structure.fold(label)?;
            }
        }
        Ok(())
    }

    /// Sets what became of tasks that are gone to what the mirror says, and what workers did since.
    pub(super) fn take_retired(&mut self) -> Result<()> {
        let (live, mirror) = (self.live, self.mirror);
        let texts: Vec<(String, Retired)> = (1..mirror.layout.labels)
            .filter_map(|label| {
                let retired = mirror.fold_label(label).retired;
                Some((mirror.label_text(label)?, retired))
            })
            .chain(
                self.retired
                    .iter()
                    .filter_map(|(tag, retired)| Some((self.text(*tag)?, *retired))),
            )
            .filter(|(_, retired)| *retired != Retired::default())
            .collect();
        self.fold_others(&texts)?;
        for (text, _) in &texts {
            self.structure.intern_or_other(Some(text))?;
        }
        let mut of_labels = vec![Retired::default(); live.layout.labels];
        for (text, retired) in &texts {
            let label = live
                .find_label(text)
                .map_or(live.other_label(), |l| l as usize);
            of_labels[label].add(retired);
        }
        of_labels[0] = mirror.fold().retired;
        for (_, retired) in &self.retired {
            of_labels[0].add(retired);
        }
        let guards = live.lock_all()?;
        for (label, retired) in of_labels.iter().enumerate() {
            for guard in &guards {
                let latch = live.totals_of(guard.number(), label);
                let parts = if label == 0 { guards.len() } else { 1 };
                let part = if guard.number() < parts {
                    part_of(retired, guard.number(), parts)
                } else {
                    Retired::default()
                };
                let tally = Tally::load(latch.owned());
                let part = tally.retired_like(&part);
                if part != tally.retired {
                    guard.set_retired(label, part);
                }
            }
        }
        Ok(())
    }
}
