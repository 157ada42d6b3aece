//! Steering a live session: frozen progress, uniform draws, and a record of who did what.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use crate::layout::{LINE_WORDS, MAX_LABEL_BYTES};
use crate::limits::Limits;
use crate::rules::Law;
use crate::structure::StructureGuard;
use crate::sync::fence;
use crate::table::Table;
use crate::words::Word;

/// Acts that a session remembers.
pub const ACTS: usize = 32;

const FROZEN: u64 = 1;
const UNIFORM: u64 = 2;

/// What was done to a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Learning progress and weights were frozen, or go on.
    Freeze(bool),
    /// Draws became uniform, or follow the session's law again.
    DrawUniformly(bool),
    /// A label got limits, or ([`Limits::NONE`]) has none any more.
    LimitShare(String, Limits),
}

/// An act, by whom and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Acted {
    /// Number of the act in the session, from 1.
    pub serial: u64,
    /// Time of the act.
    pub at: SystemTime,
    /// Id of the process.
    pub pid: u32,
    /// What was done.
    pub act: Act,
}

/// Words of one act. The serial number is 0 while the others are written.
#[repr(C)]
pub struct ActWords {
    serial: Word,
    /// Seconds since 1970, a float.
    at: Word,
    pid: Word,
    kind: Word,
    limits: Word,
    label: [Word; MAX_LABEL_BYTES / 8],
}

/// How a session is steered; changed under the structure lock.
#[repr(C, align(64))]
pub struct Steering {
    /// `FROZEN` and `UNIFORM`.
    state: Word,
    /// Acts so far.
    count: Word,
    _rest_of_line: [Word; LINE_WORDS - 2],
    acts: [ActWords; ACTS],
}

impl ActWords {
    fn write(&self, serial: u64, act: &Act) {
        let (kind, limits, label) = match act {
            Act::Freeze(on) => (u64::from(*on), 0, ""),
            Act::DrawUniformly(on) => (2 + u64::from(*on), 0, ""),
            Act::LimitShare(label, limits) => (4, limits.to_word(), label.as_str()),
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.serial.set(0);
        fence(Ordering::Release);
        self.at
            .set_f64(now.map_or(0.0, |since| since.as_secs_f64()));
        self.pid.set(std::process::id().into());
        self.kind.set(kind);
        self.limits.set(limits);
        let mut bytes = [0; MAX_LABEL_BYTES];
        bytes[..label.len()].copy_from_slice(label.as_bytes());
        for (word, chunk) in self.label.iter().zip(bytes.as_chunks::<8>().0) {
            word.set(u64::from_le_bytes(*chunk));
        }
        self.serial.publish(serial);
    }

    /// Nothing where there is none, or where it is being written.
    fn read(&self) -> Option<Acted> {
        let serial = self.serial.observe();
        let words = [&self.pid, &self.kind, &self.limits].map(Word::get);
        let at = Duration::try_from_secs_f64(self.at.get_f64());
        let label: Vec<u8> = self
            .label
            .iter()
            .flat_map(|word| word.get().to_le_bytes())
            .take_while(|byte| *byte != 0)
            .collect();
        fence(Ordering::Acquire);
        if serial == 0 || self.serial.get() != serial {
            return None;
        }
        let [pid, kind, limits] = words;
        let act = match kind {
            0 | 1 => Act::Freeze(kind == 1),
            2 | 3 => Act::DrawUniformly(kind == 3),
            _ => Act::LimitShare(String::from_utf8(label).ok()?, Limits::from_word(limits)?),
        };
        Some(Acted {
            serial,
            at: SystemTime::UNIX_EPOCH.checked_add(at.ok()?)?,
            pid: u32::try_from(pid).ok()?,
            act,
        })
    }
}

#[cfg(test)]
impl Steering {
    /// The words that say which process it was.
    pub(crate) fn pids(&self) -> impl Iterator<Item = &Word> {
        self.acts.iter().map(|act| &act.pid)
    }
}

impl Table {
    /// Whether scores leave learning progress and weights as they are.
    #[inline]
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.header().steering.state.get() & FROZEN != 0
    }

    /// Whether every task is drawn alike, whatever the session's law.
    #[inline]
    #[must_use]
    pub fn draws_uniformly(&self) -> bool {
        self.header().steering.state.get() & UNIFORM != 0
    }

    /// The law that draws follow now.
    #[inline]
    #[must_use]
    pub fn law(&self) -> Law {
        if self.draws_uniformly() {
            Law::Uniform
        } else {
            self.rules.law
        }
    }

    /// The last acts, oldest first: at most [`ACTS`].
    #[must_use]
    pub fn acts(&self) -> Vec<Acted> {
        let words = self.header().steering.acts.iter();
        let mut acts: Vec<Acted> = words.filter_map(ActWords::read).collect();
        acts.sort_unstable_by_key(|act| act.serial);
        acts
    }
}

impl StructureGuard<'_> {
    /// Freezes or thaws progress, and makes draws uniform or not, where it is asked for.
    pub fn steer(&self, frozen: Option<bool>, uniform: Option<bool>) {
        let steering = &self.table.header().steering;
        for (bit, on, act) in [
            (FROZEN, frozen, Act::Freeze as fn(bool) -> Act),
            (UNIFORM, uniform, Act::DrawUniformly),
        ] {
            let state = steering.state.get();
            let Some(on) = on.filter(|on| *on != (state & bit != 0)) else {
                continue;
            };
            steering.state.publish(state ^ bit);
            self.note(&act(on));
        }
    }

    /// Keeps a record of an act.
    pub(crate) fn note(&self, act: &Act) {
        let steering = &self.table.header().steering;
        let serial = steering.count.get() + 1;
        steering.acts[(serial % ACTS as u64) as usize].write(serial, act);
        steering.count.publish(serial);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Result;
    use crate::options::SessionOptions;
    use crate::session::Session;
    use crate::structure::NewTask;

    fn session() -> Session {
        Session::open(&SessionOptions {
            capacity: Some(8),
            ..SessionOptions::default()
        })
        .unwrap()
    }

    #[test]
    fn frozen_progress_goes_on_where_the_averages_are() -> Result<()> {
        let (frozen, free) = (session(), session());
        for session in [&frozen, &free] {
            for score in [0.0, 1.0, 1.0] {
                session.update(1, score, 0)?;
            }
        }
        let before = frozen.read(1).unwrap();
        frozen.steer(Some(true), None)?;
        for session in [&frozen, &free] {
            session.update(1, 1.0, 7)?;
            session.update(1, 0.0, 7)?;
        }
        let (kept, moved) = (frozen.read(1).unwrap(), free.read(1).unwrap());
        assert_eq!(
            (kept.lp_score, kept.weight),
            (before.lp_score, before.weight)
        );
        assert_ne!(
            (moved.lp_score, moved.weight),
            (before.lp_score, before.weight)
        );
        assert_eq!((kept.completion_count, kept.p_slow), (5, moved.p_slow));
        assert_eq!(frozen.table().choose_eviction(1, 1.0), None);
        frozen.steer(Some(false), None)?;
        for session in [&frozen, &free] {
            session.update(1, 1.0, 0)?;
        }
        let after = [&frozen, &free].map(|session| session.read(1).unwrap());
        assert_eq!(after[0].lp_score, after[1].lp_score);
        assert_eq!(after[0].weight, after[1].weight);
        assert_eq!(frozen.table().choose_eviction(1, 1.0), Some(1));
        frozen.verify().map(drop)
    }

    #[test]
    fn uniform_draws_keep_limits() -> Result<()> {
        let session = session();
        for task in 0..4 {
            session.create(task, &NewTask::default())?;
            for episode in 0..6 {
                session.update(task, f64::from(task == 0 && episode > 3), 0)?;
            }
        }
        session.set_label(3, Some("maze"))?;
        assert!(session.table().distribution().1[0] > 0.3);
        session.steer(None, Some(true))?;
        assert_eq!(session.table().distribution().1, [0.25; 4]);
        session.limit_share(
            "maze",
            Limits {
                least: 0.0,
                most: 0.1,
            },
        )?;
        let shares = session.table().distribution().1;
        for (share, expected) in shares.iter().zip([0.3, 0.3, 0.3, 0.1]) {
            assert!((share - expected).abs() < 1e-9, "{shares:?}");
        }
        session.steer(None, Some(false))?;
        assert_ne!(session.table().distribution().1, shares);
        Ok(())
    }

    #[test]
    fn the_last_acts_are_kept_in_order_and_what_changes_nothing_is_none() -> Result<()> {
        let session = session();
        assert_eq!(session.table().acts(), []);
        session.steer(Some(false), Some(false))?;
        session.steer(Some(true), None)?;
        session.steer(Some(true), Some(true))?;
        let long = "é".repeat(MAX_LABEL_BYTES / 2);
        session.limit_share(&long, Limits::BAN)?;
        let acts = session.table().acts();
        let done: Vec<&Act> = acts.iter().map(|acted| &acted.act).collect();
        let expected = [
            Act::Freeze(true),
            Act::DrawUniformly(true),
            Act::LimitShare(long, Limits::BAN),
        ];
        assert_eq!(done, expected.iter().collect::<Vec<_>>());
        assert!(acts.iter().all(|act| act.pid == std::process::id()));
        assert!(
            acts.iter()
                .all(|act| act.at.elapsed().unwrap().as_secs() < 60)
        );
        for round in 0..ACTS {
            session.steer(Some(round % 2 == 1), None)?;
        }
        let serials: Vec<u64> = session
            .table()
            .acts()
            .iter()
            .map(|act| act.serial)
            .collect();
        assert_eq!(serials, (4..4 + ACTS as u64).collect::<Vec<_>>());
        Ok(())
    }
}
