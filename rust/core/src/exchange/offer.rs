//! What a live session offers: a cut through its journal, which stays until it is known that the
//! offer was taken.

use super::messages::{Included, Offer, State};
use super::steps::Steps;
use crate::error::Result;
use crate::journal::{Adopting, JournalHeader};
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
    /// What to offer for the sync after the one of a number, in whose state other offers are: the
    /// open offer if there is one, else a new one.
    ///
    /// # Errors
    /// `LockTimeout`.
    pub(crate) fn offer(&self, number: u64, included: &Included) -> Result<Offer> {
        let table = self.table;
        let journal = table.journal_or_refuse()?;
        let taken = included.get(&journal.uid.get()).copied().unwrap_or(0);
        if journal.has_open_offer() && taken >= journal.offered.get() {
            // It has to stay until this session has that state as well; what came after it waits.
            return Ok(Offer {
                number: taken,
                steps: Steps::of(table, &[]),
            });
        }
        // Before the offer: one that is not made is for nothing.
        journal.offered_for.publish(number + 1);
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
        journal.offered_for.publish(number + 1);
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

    /// Lets go of the open offer if the session has the state of the sync that it was for: only
    /// then is what was offered in a table that others may be given.
    ///
    /// # Errors
    /// `LockTimeout`.
    pub(crate) fn settle_offer(&self) -> Result<()> {
        let table = self.table;
        let journal = table.journal_or_refuse()?;
        let reached =
            journal.adopting() == Adopting::Not && journal.offered_for.get() <= journal.number();
        if journal.has_open_offer() && reached {
            for stripe in 0..table.layout.stripes {
                table.lock_stripe(stripe)?.settle_entries();
            }
            journal.settled.publish(journal.offered.get());
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
