//! The conversation of one sync, as a node takes part in it: it says something, hears what all
//! have said, and answers, until there is nothing more to say.
//!
//! All nodes hear the same, so all come to the same next step. Usually there is one round: each
//! says where it stands and what happened on it. Where a node has not the newest state (it joins
//! late, or was restarted), a second round hands it out, and a third brings what such nodes have
//! to tell, since only then they know what others know already.

use super::messages::{Included, Offer, Opening, State, settings_differ};
use super::mirror::Mirror;
use super::wire::{Reader, Writer, garbled};
use crate::error::{Error, Result};
use crate::journal::Adopting;
use crate::session::Session;

/// Streams that each rank has for itself.
const STREAMS_BITS: u32 = 32;

/// What a sync did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Synced {
    /// Number of the sync.
    pub number: u64,
    /// Digest of the state that all nodes have after it.
    pub digest: u128,
    /// Nodes that took part.
    pub nodes: usize,
    /// This node among them.
    pub rank: usize,
    /// Episodes that all nodes sent.
    pub episodes: usize,
    /// Those among them whose task was gone.
    pub late: u64,
    /// Bytes that this node sent, and that it heard from all together.
    pub sent: usize,
    /// See `sent`.
    pub heard: usize,
    /// Nodes that were given the newest state.
    pub joined: Vec<usize>,
    /// Nodes that had synced with others meanwhile: what they synced there is not in the state.
    pub parted: Vec<usize>,
    /// Nodes whose last offer is taken for one that is in the state, which nobody can know.
    pub doubtful: Vec<usize>,
}

#[derive(Default)]
enum Phase {
    #[default]
    Idle,
    Opening {
        /// What happened here, where it was sent already.
        told: bool,
    },
    Settings,
    State {
        openings: Vec<Opening>,
        offers: Vec<(u64, Offer)>,
        provider: usize,
    },
    Offers {
        openings: Vec<Opening>,
        offers: Vec<(u64, Offer)>,
    },
}

/// A node's part in the syncs of its session, and the state of the last one.
#[derive(Default)]
pub struct Exchange {
    mirror: Option<Mirror>,
    /// Whether all tasks of the live session are to be looked at.
    whole: bool,
    phase: Phase,
    synced: Synced,
}

/// What is in the state of a node that has lost its list: what other nodes have seen taken, and
/// what they offered for a sync up to that state. Returns the ranks of which that is not certain:
/// whoever did not finish the sync may have been left out of it. Nothing is counted twice.
fn add_known(included: &mut Included, openings: &[Opening], provider: usize) -> Vec<usize> {
    let newest = openings[provider].number;
    let mut doubtful = Vec::new();
    for (rank, opening) in openings.iter().enumerate() {
        let is_past = opening.offered_for <= newest;
        let known = if is_past {
            opening.offered
        } else {
            opening.settled
        };
        included.entry(opening.uid).or_insert(known);
        if is_past && opening.settled < opening.offered && opening.number < opening.offered_for {
            doubtful.push(rank);
        }
    }
    doubtful
}

/// Lets the streams of draws that come from now on be others than those of any other rank.
fn separate_streams(live: &Session, rank: usize) -> Result<()> {
    let _structure = session_lock(live)?;
    let streams = &live.table().header().counters.streams;
    let first = (rank as u64) << STREAMS_BITS;
    let current = streams.get();
    if current < first {
        // Whoever takes one meanwhile counts after it.
        streams.add(first - current);
    }
    Ok(())
}

fn session_lock(session: &Session) -> Result<crate::structure::StructureGuard<'_>> {
    session.table().enter()?;
    session.table().lock_structure()
}

impl Exchange {
    /// Begins a sync: what to say first.
    ///
    /// # Errors
    /// `Session` for a session that keeps no journal, `LockTimeout`.
    pub fn begin(&mut self, live: &Session) -> Result<Vec<u8>> {
        self.phase = Phase::Idle;
        self.synced = Synced::default();
        let structure = session_lock(live)?;
        let table = live.table();
        let journal = table.journal_or_refuse()?;
        let torn = journal.adopting() != Adopting::Not;
        structure.settle_offer()?;
        // Another process of the node may have synced, or the session was loaded.
        self.mirror = self.mirror.take().filter(|mirror| {
            let same = mirror.uid == journal.uid.get();
            same && (mirror.number == journal.number() || torn)
        });
        self.whole |= torn;
        let opening = Opening {
            settings: live.settings_digest(),
            uid: journal.uid.get(),
            number: match &self.mirror {
                Some(mirror) => mirror.number,
                None => journal.number(),
            },
            digest: self.mirror.as_ref().map_or(0, Mirror::digest),
            has_state: self.mirror.is_some(),
            torn,
            settled: journal.settled.get(),
            offered: journal.offered.get(),
            offered_for: journal.offered_for.get(),
        };
        let mut message = Writer::default();
        opening.write(&mut message);
        if let Some(mirror) = &self.mirror {
            let offer = structure.offer(mirror.number, &mirror.included)?;
            offer.write(&mut message);
        }
        self.phase = Phase::Opening {
            told: self.mirror.is_some(),
        };
        Ok(self.say(message.0))
    }

    /// Hears what all nodes have said, in the order of their ranks; the answer, or nothing where
    /// the sync is done.
    ///
    /// # Errors
    /// `Session` for nodes that do not fit together and for messages that none of them can have
    /// sent; `LockTimeout`. The next sync begins where this one did.
    pub fn hear(&mut self, live: &Session, messages: &[Vec<u8>]) -> Result<Option<Vec<u8>>> {
        self.synced.heard += messages.iter().map(Vec::len).sum::<usize>();
        match std::mem::take(&mut self.phase) {
            Phase::Idle => Err(garbled("no sync has begun")),
            Phase::Settings => Err(settings_differ(messages)),
            Phase::Opening { told } => self.hear_openings(live, messages, told),
            Phase::State {
                openings,
                offers,
                provider,
            } => self.hear_state(live, messages, openings, offers, provider),
            Phase::Offers { openings, offers } => {
                self.hear_offers(live, messages, &openings, offers)
            }
        }
    }

    /// What the last sync did.
    #[must_use]
    pub fn synced(&self) -> &Synced {
        &self.synced
    }

    fn say(&mut self, message: Vec<u8>) -> Vec<u8> {
        self.synced.sent += message.len();
        message
    }

    fn hear_openings(
        &mut self,
        live: &Session,
        messages: &[Vec<u8>],
        told: bool,
    ) -> Result<Option<Vec<u8>>> {
        let mut openings: Vec<Opening> = Vec::new();
        let mut offers = Vec::new();
        for message in messages {
            let mut from = Reader(message);
            let opening = Opening::read(&mut from)?;
            if opening.has_state {
                offers.push((opening.uid, Offer::read(&mut from)?));
            } else if !from.0.is_empty() {
                return Err(garbled("it goes on after its end"));
            }
            openings.push(opening);
        }
        self.synced.nodes = openings.len();
        self.synced.rank = self.rank_among(live, &openings)?;
        if openings
            .iter()
            .any(|other| other.settings != openings[0].settings)
        {
            self.phase = Phase::Settings;
            return Ok(Some(self.say(live.settings_message())));
        }
        let newest = openings.iter().map(|opening| opening.number).max();
        let with = |has_state: bool| {
            openings.iter().position(|opening| {
                Some(opening.number) == newest
                    && opening.has_state == has_state
                    && (has_state || !opening.torn)
            })
        };
        let provider = with(true).or_else(|| with(false)).ok_or_else(|| {
            Error::Session(
                "every node's session was left in the middle of a sync, and no process has its \
                 state any more: load a checkpoint"
                    .to_owned(),
            )
        })?;
        let digest = openings[provider].digest;
        let joins = |opening: &Opening| {
            !opening.has_state || Some(opening.number) != newest || opening.digest != digest
        };
        let ranks = openings.iter().enumerate();
        self.synced.joined = ranks
            .filter(|(_, o)| joins(o))
            .map(|(rank, _)| rank)
            .collect();
        if self.synced.joined.is_empty() {
            return self.finish(live, &openings, &offers);
        }
        if self.synced.joined.contains(&self.synced.rank) {
            separate_streams(live, self.synced.rank)?;
        }
        let number = openings[provider].number;
        let state = match (&self.mirror, self.synced.rank == provider) {
            (_, false) => Vec::new(),
            (Some(mirror), true) => mirror.table().mirrored_state(number, &mirror.included)?,
            (None, true) => session_lock(live)?.state(number)?,
        };
        debug_assert_eq!(told, self.mirror.is_some());
        self.phase = Phase::State {
            openings,
            offers,
            provider,
        };
        Ok(Some(self.say(state)))
    }

    /// This node's rank, by the name of its journal.
    fn rank_among(&self, live: &Session, openings: &[Opening]) -> Result<usize> {
        let own = live.table().journal_or_refuse()?.uid.get();
        for (rank, opening) in openings.iter().enumerate() {
            let mut earlier = openings[..rank].iter();
            if let Some(first) = earlier.position(|earlier| earlier.uid == opening.uid) {
                return Err(Error::Session(format!(
                    "ranks {first} and {rank} name the same session: one process of each node \
                     takes part in a sync"
                )));
            }
        }
        openings
            .iter()
            .position(|opening| opening.uid == own)
            .ok_or_else(|| garbled("none of them is this node's own"))
    }

    fn hear_state(
        &mut self,
        live: &Session,
        messages: &[Vec<u8>],
        openings: Vec<Opening>,
        offers: Vec<(u64, Offer)>,
        provider: usize,
    ) -> Result<Option<Vec<u8>>> {
        let state = messages
            .get(provider)
            .ok_or_else(|| garbled("it is missing"))?;
        let mut included = State::read(state)?.included;
        if !openings[provider].has_state {
            self.synced.doubtful = add_known(&mut included, &openings, provider);
        }
        let parted = openings.iter().enumerate().filter(|(_, opening)| {
            opening.settled > included.get(&opening.uid).copied().unwrap_or(0)
        });
        self.synced.parted = parted.map(|(rank, _)| rank).collect();
        let told = self.mirror.is_some();
        if self.synced.joined.contains(&self.synced.rank) {
            let mut mirror = Mirror::of(live, state)?;
            mirror.uid = live.table().journal_or_refuse()?.uid.get();
            mirror.included.clone_from(&included);
            self.mirror = Some(mirror);
            // The session of the provider is the state already.
            self.whole |= self.synced.rank != provider;
        }
        let structure = session_lock(live)?;
        let mut message = Writer::default();
        if let Some(mirror) = self.mirror.as_ref().filter(|_| !told) {
            let mut offer = structure.offer(mirror.number, &included)?;
            offer.steps.without_known(mirror.table());
            offer.write(&mut message);
        }
        self.phase = Phase::Offers { openings, offers };
        Ok(Some(self.say(message.0)))
    }

    fn hear_offers(
        &mut self,
        live: &Session,
        messages: &[Vec<u8>],
        openings: &[Opening],
        mut offers: Vec<(u64, Offer)>,
    ) -> Result<Option<Vec<u8>>> {
        for (message, opening) in messages.iter().zip(openings) {
            if !message.is_empty() {
                offers.push((opening.uid, Offer::read(&mut Reader(message))?));
            }
        }
        // By rank, whenever they were told.
        let rank = |uid: u64| openings.iter().position(|opening| opening.uid == uid);
        offers.sort_by_key(|(uid, _)| rank(*uid));
        self.finish(live, openings, &offers)
    }

    fn finish(
        &mut self,
        live: &Session,
        openings: &[Opening],
        offers: &[(u64, Offer)],
    ) -> Result<Option<Vec<u8>>> {
        if offers.len() != openings.len() {
            return Err(garbled("a node has told nothing"));
        }
        // A mirror that is left in the midst of a replay is of no use.
        let mut mirror = self
            .mirror
            .take()
            .ok_or_else(|| garbled("there is no state"))?;
        let late = mirror.table().header().counters.late_reports.get();
        mirror.replay(offers)?;
        self.synced.number = mirror.number;
        self.synced.digest = mirror.digest();
        self.synced.episodes = offers.iter().map(|(_, offer)| offer.steps.episodes()).sum();
        self.synced.late = mirror.table().header().counters.late_reports.get() - late;
        let adopted = session_lock(live)?.adopt(&mut mirror, self.whole);
        self.mirror = Some(mirror);
        adopted?;
        self.whole = false;
        Ok(None)
    }
}
