//! What a live session offers: a cut through its journal, which stays until it is known that the
//! offer was taken.

use super::messages::{Included, Offer, State};
use super::steps::Steps;
use crate::error::Result;
use crate::journal::JournalHeader;
use crate::structure::StructureGuard;
use crate::table::Table;

/// The state of a stream that nobody draws from.
const NO_STREAM: [u64; 4] = [1, 0, 0, 0];

impl Table {
    pub(crate) fn journal_or_refuse(&self) -> Result<&JournalHeader> {
        self.journal().ok_or_else(|| {
            crate::error::Error::Session(
                "the session keeps no journal of episodes: make it with sync_episodes, the number \
                 of episodes that may lie between two syncs"
                    .to_owned(),
            )
        })
    }
}

impl StructureGuard<'_> {
    /// The offer whose fate is not known, or a new one.
    ///
    /// # Errors
    /// `LockTimeout`.
    pub(crate) fn offer(&self) -> Result<Offer> {
        let table = self.table;
        let journal = table.journal_or_refuse()?;
        if !journal.has_open_offer() {
            for stripe in 0..table.layout.stripes {
                let _guard = table.lock_stripe(stripe)?;
                let words = table.journal_stripe(stripe);
                words.mark.publish(words.length.get());
            }
            journal.offered.publish(journal.offered.get() + 1);
        }
        let mut of_stripes = Vec::new();
        for stripe in 0..table.layout.stripes {
            let guard = table.lock_stripe(stripe)?;
            let words = table.journal_stripe(stripe);
            of_stripes.push(guard.entries(words.base.get(), words.mark.get()));
        }
        Ok(Offer {
            number: journal.offered.get(),
            steps: Steps::of(table, &of_stripes),
        })
    }

    /// The session as it is, as a state in which all that it has written down is included.
    ///
    /// # Errors
    /// `LockTimeout`.
    pub(crate) fn state(&self, number: u64) -> Result<Vec<u8>> {
        let table = self.table;
        let journal = table.journal_or_refuse()?;
        let guards = table.lock_all()?;
        for guard in &guards {
            let words = table.journal_stripe(guard.number());
            words.mark.publish(words.length.get());
        }
        let offer = journal.offered.get() + 1;
        journal.offered.publish(offer);
        let saved = table.copy_stripes(NO_STREAM, Some(&guards))?;
        drop(guards);
        let state = State {
            number,
            included: Included::from([(journal.uid.get(), offer)]),
            checkpoint: &saved.to_bytes(),
        };
        Ok(state.to_bytes())
    }

    /// Lets go of an offer, where it is among those that were taken.
    ///
    /// # Errors
    /// `LockTimeout`.
    pub(crate) fn settle_offer(&self, included: &Included) -> Result<()> {
        let table = self.table;
        let journal = table.journal_or_refuse()?;
        let taken = included.get(&journal.uid.get()).copied().unwrap_or(0);
        let offered = journal.offered.get();
        if journal.has_open_offer() && taken >= offered {
            for stripe in 0..table.layout.stripes {
                table.lock_stripe(stripe)?.settle_entries();
            }
            journal.settled.publish(offered);
        }
        Ok(())
    }
}

impl Table {
    /// The session as a state, for one that nobody else has.
    pub(crate) fn mirrored_state(&self, number: u64, included: &Included) -> Result<Vec<u8>> {
        let state = State {
            number,
            included: included.clone(),
            checkpoint: &self.copy_out(NO_STREAM)?.to_bytes(),
        };
        Ok(state.to_bytes())
    }
}
