//! What nodes say to one another.

use std::collections::BTreeMap;

use super::digest::text_digest;
use super::steps::Steps;
use super::wire::{Reader, Writer, garbled};
use crate::error::{Error, Result};
use crate::session::Session;

/// "CURRSYN2".
const MAGIC: u64 = u64::from_le_bytes(*b"CURRSYN2");

const HAS_STATE: u64 = 1;
const TORN: u64 = 2;

/// How a node opens a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opening {
    /// Digest of what must be the same on all nodes.
    pub(crate) settings: u64,
    /// Name of the node's journal.
    pub(crate) uid: u64,
    /// The last sync that the node took part in, and the digest of its state then.
    pub(crate) number: u64,
    pub(crate) digest: u128,
    /// Whether the process has that state beside the live session.
    pub(crate) has_state: bool,
    /// Whether the session is between two states.
    pub(crate) torn: bool,
    /// The last offer of which the node knows that it was taken.
    pub(crate) settled: u64,
    /// The last offer that it made, and the sync that it was for.
    pub(crate) offered: u64,
    pub(crate) offered_for: u64,
}

impl Opening {
    pub(crate) fn write(&self, to: &mut Writer) {
        let flags = (u64::from(self.has_state) * HAS_STATE) | (u64::from(self.torn) * TORN);
        let (low, high) = (self.digest as u64, (self.digest >> 64) as u64);
        for word in [
            MAGIC,
            self.settings,
            self.uid,
            self.number,
            low,
            high,
            flags,
            self.settled,
            self.offered,
            self.offered_for,
        ] {
            to.word(word);
        }
    }

    pub(crate) fn read(from: &mut Reader) -> Result<Self> {
        if from.word()? != MAGIC {
            return Err(garbled("it does not begin a sync of this version"));
        }
        let [settings, uid, number] = [from.word()?, from.word()?, from.word()?];
        let digest = u128::from(from.word()?) | u128::from(from.word()?) << 64;
        let flags = from.word()?;
        Ok(Self {
            settings,
            uid,
            number,
            digest,
            has_state: flags & HAS_STATE != 0,
            torn: flags & TORN != 0,
            settled: from.word()?,
            offered: from.word()?,
            offered_for: from.word()?,
        })
    }
}

/// What happened on a node since its last offer that was taken.
#[derive(Debug, PartialEq)]
pub(crate) struct Offer {
    /// Number of the offer among those of the node; 0 for none.
    pub(crate) number: u64,
    pub(crate) steps: Steps,
}

impl Offer {
    pub(crate) fn write(&self, to: &mut Writer) {
        to.number(self.number);
        self.steps.write(to);
    }

    pub(crate) fn read(from: &mut Reader) -> Result<Self> {
        let number = from.number()?;
        let steps = Steps::read(from)?;
        if from.0.is_empty() {
            Ok(Self { number, steps })
        } else {
            Err(garbled("it goes on after its end"))
        }
    }
}

/// The last offer of each journal that is in a state.
pub(crate) type Included = BTreeMap<u64, u64>;

/// The state of a sync.
pub(crate) struct State<'a> {
    pub(crate) number: u64,
    pub(crate) included: Included,
    /// As in the file of a checkpoint.
    pub(crate) checkpoint: &'a [u8],
}

impl<'a> State<'a> {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.word(MAGIC);
        to.number(self.number);
        to.number(self.included.len() as u64);
        for (uid, offer) in &self.included {
            to.word(*uid);
            to.number(*offer);
        }
        to.0.extend(self.checkpoint);
        to.0
    }

    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut from = Reader(bytes);
        if from.word()? != MAGIC {
            return Err(garbled("it is no state of this version"));
        }
        let number = from.number()?;
        let included = (0..from.count()?)
            .map(|_| Ok((from.word()?, from.number()?)))
            .collect::<Result<_>>()?;
        Ok(Self {
            number,
            included,
            checkpoint: from.0,
        })
    }
}

impl Session {
    /// What must be the same on all nodes, one setting a line.
    fn shared_settings(&self) -> String {
        let table = self.table();
        let shape = &table.layout.shape;
        let mut lines = vec![
            format!("capacity = {}", shape.capacity),
            format!("columns = {:?}", self.columns()),
            format!("max_labels = {}", shape.max_labels),
            format!(
                "max_inactive_labels = {}",
                table.header().max_inactive_labels.get()
            ),
            format!("tasks = {:?}", self.content()),
            format!("seed = {}", self.seed()),
        ];
        let rules = table.rules.texts();
        lines.extend(rules.map(|(name, text)| format!("{name} = {text}")));
        lines.join("\n")
    }

    pub(crate) fn settings_digest(&self) -> u64 {
        text_digest(&self.shared_settings())
    }

    /// The answer to nodes of other settings.
    pub(crate) fn settings_message(&self) -> Vec<u8> {
        self.shared_settings().into_bytes()
    }
}

/// The error for nodes of different settings, from what all have said of theirs.
pub(crate) fn settings_differ(messages: &[Vec<u8>]) -> Error {
    let texts = messages
        .iter()
        .map(|message| String::from_utf8_lossy(message));
    let texts: Vec<_> = texts.collect();
    for (rank, text) in texts.iter().enumerate() {
        let mut pairs = texts[0].lines().zip(text.lines());
        if let Some((first, other)) = pairs.find(|(first, other)| first != other) {
            return Error::Session(format!(
                "rank 0 has {first} (settings {:016x}), rank {rank} has {other} (settings \
                 {:016x}): nodes that sync need the same tasks and the same settings",
                text_digest(&texts[0]),
                text_digest(text)
            ));
        }
    }
    garbled("settings that differ only in their digests")
}
