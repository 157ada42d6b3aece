//! Saving a session to a file and loading it, all or nothing.
//!
//! A checkpoint is exact stripe by stripe, not one instant of the session: each stripe is copied
//! under its lock.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::atomic_file;
use crate::checkpoint_format::{self, Label, NAME_WORDS, Saved, read};
use crate::commit::{Change, Old, StripeGuard};
use crate::error::{Error, Result};
use crate::journal::{Adopting, Note};
use crate::labels::OTHER;
use crate::layout::MAX_PATH_BYTES;
use crate::limits::check_limits;
use crate::plausible::{Sums, check_score_range};
use crate::progress::{self, check_baseline};
use crate::record::{MAX_COUNT, check_record};
use crate::rules::Rules;
use crate::structure::{Loading, StructureGuard};
use crate::table::Table;
use crate::tally::{MAX_PROGRESS, Retired, Tally, fixed_weight};
use crate::words::Word;

/// Names of columns, as the caller would write them.
fn texts(names: &[[u64; NAME_WORDS]]) -> Vec<String> {
    let text = |words: &[u64; NAME_WORDS]| {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let text = String::from_utf8_lossy(&bytes);
        text.trim_end_matches('\0').to_owned()
    };
    names.iter().map(text).collect()
}

/// The columns of an algorithm's own that a session must have to load a checkpoint; nothing if
/// the file is none.
///
/// # Errors
/// `Checkpoint` for one of another version, and for a file that cannot be read.
pub fn checkpoint_columns(path: &Path) -> Result<Option<Vec<String>>> {
    let names = checkpoint_format::columns(path).map_err(|reason| Error::Checkpoint {
        path: path.to_owned(),
        reason,
    })?;
    Ok(names.map(|names| texts(&names)))
}

impl Saved {
    /// What keeps the checkpoint out of a table.
    fn fits(&self, table: &Table) -> std::result::Result<(), String> {
        let shape = &table.layout.shape;
        let names: Vec<_> = table.header().column_names[..shape.columns]
            .iter()
            .map(|name| std::array::from_fn(|i| name[i].get()))
            .collect::<Vec<[u64; NAME_WORDS]>>();
        if names != self.columns {
            return Err(format!(
                "the file has the columns {:?} and the session {:?}: load it with the algorithm \
                 that saved it",
                texts(&self.columns),
                texts(&names)
            ));
        }
        let mut slots = vec![false; shape.capacity];
        let mut ids = HashSet::new();
        for (slot, data) in &self.records {
            match slots.get_mut(*slot) {
                None => {
                    return Err(format!(
                        "a task is in slot {slot} and the session has a capacity of {}; \
                         make it for at least {}",
                        shape.capacity, self.capacity
                    ));
                }
                Some(used) if *used => return Err(format!("slot {slot} comes twice")),
                Some(used) => *used = true,
            }
            if !ids.insert(data.task_id) {
                return Err(format!("task {} comes twice", data.task_id));
            }
        }
        let (mut texts, mut numbers) = (HashSet::from([OTHER]), HashSet::from([0]));
        for label in &self.labels {
            if !numbers.insert(label.number) || !(texts.insert(&label.text) || label.text == OTHER)
            {
                return Err(format!("label {:?} comes twice", label.text));
            }
        }
        if texts.len() - 1 > shape.max_labels {
            return Err(format!(
                "the file has {} labels, the session has room for {}",
                texts.len() - 1,
                shape.max_labels
            ));
        }
        for (_, data) in &self.records {
            if !numbers.contains(&data.label) {
                return Err(format!("task {} has no label {}", data.task_id, data.label));
            }
        }
        Ok(())
    }

    /// Refuses numbers that no session has: they would be found too late, one by one.
    fn check_numbers(&self) -> Result<()> {
        let refuse = |reason: String| Err(Error::Value(reason));
        if self.stream == [0; 4] {
            return refuse("the state of the saver's stream is four zeros".to_owned());
        }
        check_score_range(self.score_range).or_else(refuse)?;
        let (mut sums, mut of_labels) = (Sums::default(), Sums::default());
        for (_, data) in &self.records {
            check_record(data)?;
            let scheduled = data.scheduled_count.max(data.last_scheduled);
            // A NaN compares false, so it is refused too.
            let in_range = data.lp_score.abs() <= MAX_PROGRESS;
            if !in_range || scheduled >= MAX_COUNT {
                return refuse(format!(
                    "LP {} and {scheduled} draws of task {}",
                    data.lp_score, data.task_id
                ));
            }
            fixed_weight(data.weight)?;
            sums.add_record(data);
            of_labels.add_record(data);
        }
        for retired in &self.retired {
            sums.add_retired(retired);
        }
        for label in &self.labels {
            of_labels.add_retired(&label.retired);
            of_labels.add_scheduled(label.samples);
        }
        of_labels.add_scheduled(self.samples_without_label);
        check_limits(self.labels.iter().map(|label| label.limits)).or_else(refuse)?;
        sums.check()
            .and_then(|()| of_labels.check())
            .or_else(refuse)
    }

    /// Weights by other rules than the saver's.
    fn weigh_by(&mut self, rules: &Rules) -> Result<()> {
        for (_, data) in &mut self.records {
            check_baseline(rules, data.random_baseline)?;
            data.weight = progress::weigh(rules, data);
            fixed_weight(data.weight)?;
        }
        Ok(())
    }
}

/// What a load says beside the records.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// State of the saver's stream.
    pub stream: [u64; 4],
    /// Where the saver's rules ("here") differ from the session's ("there").
    pub other_rules: Option<String>,
}

impl Table {
    /// Writes a checkpoint beside `path` and moves it there; its size in bytes. `stream` is the
    /// state of the caller's own stream of draws.
    ///
    /// # Errors
    /// `Checkpoint` naming what failed (a file that was there is intact), `LockTimeout`.
    pub fn save(&self, path: &Path, stream: [u64; 4]) -> Result<u64> {
        let bytes = self.copy_out(stream)?.to_bytes();
        atomic_file::replace(path, &bytes).map_err(|error| Error::Checkpoint {
            path: path.to_owned(),
            reason: format!("could not be written: {error}"),
        })?;
        Ok(bytes.len() as u64)
    }

    pub(crate) fn copy_out(&self, stream: [u64; 4]) -> Result<Saved> {
        let intent = &self.header().intent;
        let versions = || [&intent.label_generation, &intent.index_version].map(Word::observe);
        let before = versions();
        let saved = self.copy_stripes(stream, None)?;
        if versions() == before && !self.is_loading() {
            return Ok(saved);
        }
        // A task may have come twice, by way of a slot in a later stripe, and a label's number may
        // mean another one: copied again while nobody changes the set of tasks.
        let _structure = self.lock_structure()?;
        self.copy_stripes(stream, None)
    }

    /// Stripe by stripe, or all at one instant where the caller holds them all.
    pub(crate) fn copy_stripes(
        &self,
        stream: [u64; 4],
        held: Option<&[StripeGuard]>,
    ) -> Result<Saved> {
        let header = self.header();
        let mut records = Vec::new();
        let mut retired = Vec::new();
        let mut of_labels = vec![(Tally::default(), 0); self.layout.labels];
        for stripe in 0..self.layout.stripes {
            let _guard = match held {
                Some(_) => None,
                None => Some(self.lock_stripe(stripe)?),
            };
            for slot in (stripe..self.layout.shape.capacity).step_by(self.layout.stripes) {
                let (tenant, data) = self.record(slot).load_owned();
                if tenant.live {
                    records.push((slot, data));
                }
            }
            retired.push(Tally::load(self.totals(stripe).owned()).retired);
            for (label, (tally, samples)) in of_labels.iter_mut().enumerate() {
                tally.add(&Tally::load(self.label_totals(stripe, label).owned()));
                *samples += self.sample_count(stripe, label);
            }
        }
        records.sort_unstable_by_key(|(slot, _)| *slot);
        // In the order of their age, which a load keeps: the oldest are folded first.
        let mut labels: Vec<_> = of_labels.iter().enumerate().skip(1).collect();
        // Read once each: others intern and fold meanwhile, and a sort panics if its keys change.
        labels.sort_by_cached_key(|(label, _)| self.label_serial(*label));
        Ok(Saved {
            capacity: self.layout.shape.capacity as u64,
            columns: header.column_names[..self.layout.shape.columns]
                .iter()
                .map(|name| std::array::from_fn(|i| name[i].get()))
                .collect(),
            rules: self.rules.clone(),
            seed: header.seed.get(),
            streams: header.counters.streams.get(),
            stream,
            score_range: [header.score_range[0].get(), header.score_range[1].get()],
            late_reports: header.counters.late_reports.get(),
            samples_without_label: of_labels[0].1,
            sync: self.journal().map_or(0, |journal| journal.number()),
            retired,
            labels: labels
                .into_iter()
                .filter_map(|(number, (tally, samples))| {
                    Some(Label {
                        number: u32::try_from(number).expect("at most 2^16 labels"),
                        text: self.label_text(number)?,
                        retired: tally.retired,
                        samples: *samples,
                        limits: self.label_limits()[number].get(),
                    })
                })
                .collect(),
            records,
        })
    }

    /// Replaces everything by a checkpoint, its seed as well; the rules stay.
    ///
    /// # Errors
    /// `Checkpoint` naming what failed, with the session unchanged; `LockTimeout`.
    pub fn load(&self, path: &Path) -> Result<Loaded> {
        let (saved, hash) = self.read_checkpoint(path)?;
        let loaded = Loaded {
            stream: saved.stream,
            other_rules: saved.rules.difference(&self.rules),
        };
        let structure = self.lock_structure()?;
        let path_bytes = self.note_path(path);
        structure.fill(saved, Loading { hash, path_bytes })?;
        Ok(loaded)
    }

    /// A checkpoint that fits this table and nothing of which will be refused, and its hash.
    fn read_checkpoint(&self, path: &Path) -> Result<(Saved, i64)> {
        let failed = |reason: String| Error::Checkpoint {
            path: path.to_owned(),
            reason,
        };
        let bytes = read(path, &self.layout.shape).map_err(failed)?;
        let saved = self.checked(&bytes).map_err(failed)?;
        let hash = bytes.last_chunk().expect("a checkpoint ends in its hash");
        Ok((saved, i64::from_le_bytes(*hash)))
    }

    /// The content of a checkpoint that fits this table and nothing of which will be refused.
    pub(crate) fn checked(&self, bytes: &[u8]) -> std::result::Result<Saved, String> {
        let mut saved = Saved::from_bytes(bytes)?;
        saved.fits(self)?;
        let mut checked = saved.check_numbers();
        if saved.rules != self.rules {
            checked = checked.and_then(|()| saved.weigh_by(&self.rules));
        }
        checked.map_err(|error| error.to_string())?;
        Ok(saved)
    }

    /// Notes what is being loaded, for whoever has to finish it; the bytes of the path, or 0 where
    /// nobody could.
    fn note_path(&self, path: &Path) -> usize {
        let Ok(path) = std::path::absolute(path) else {
            return 0;
        };
        let bytes = path.as_os_str().as_bytes();
        if bytes.len() > MAX_PATH_BYTES {
            return 0;
        }
        for (word, chunk) in self.header().loading.iter().zip(bytes.chunks(8)) {
            let mut whole = [0; 8];
            whole[..chunk.len()].copy_from_slice(chunk);
            word.set(u64::from_le_bytes(whole));
        }
        bytes.len()
    }

    fn noted_path(&self, path_bytes: usize) -> PathBuf {
        let words = self.header().loading.iter();
        let bytes = words.flat_map(|word| word.get().to_le_bytes());
        OsString::from_vec(bytes.take(path_bytes).collect()).into()
    }
}

impl StructureGuard<'_> {
    /// Finishes the load of a loader that died. Where its checkpoint is gone or another by now,
    /// the table ends up empty.
    ///
    /// # Errors
    /// `LockTimeout`.
    pub(crate) fn finish_load(&self, loading: Loading) -> Result<()> {
        let path = self.table.noted_path(loading.path_bytes);
        match self.table.read_checkpoint(&path) {
            Ok((saved, hash)) if hash == loading.hash => self.fill(saved, loading),
            _ => {
                drop(self.wipe(Loading::default())?);
                self.finish();
                Ok(())
            }
        }
    }

    /// Replaces everything by a checkpoint that was checked.
    pub(crate) fn fill(&self, saved: Saved, loading: Loading) -> Result<()> {
        let table = self.table;
        // From here on nothing fails: every number was checked, and every lock is held.
        let stripes = self.wipe(loading)?;
        let mut numbers = HashMap::from([(0, 0)]);
        for label in &saved.labels {
            let number = self.intern(Some(&label.text))?;
            numbers.insert(label.number, number);
            stripes[0].set_retired(number as usize, label.retired);
            table.sample_word(0, number as usize).set(label.samples);
            table.label_limits()[number as usize].set(label.limits);
        }
        self.note_limits();
        // A table with fewer stripes keeps what the others have retired in its first ones.
        let mut of_stripes = vec![Retired::default(); stripes.len()];
        for (at, retired) in saved.retired.iter().enumerate() {
            of_stripes[at % stripes.len()].add(retired);
        }
        for (stripe, retired) in stripes.iter().zip(of_stripes) {
            stripe.set_retired(0, retired);
        }
        table.sample_word(0, 0).set(saved.samples_without_label);
        for (slot, mut data) in saved.records {
            data.label = numbers[&data.label];
            let record = table.record(slot);
            record.set_schedule(data.generation, data.scheduled_count, data.last_scheduled);
            let (tenant, before) = record.load_owned();
            let old = Old::of(tenant, &before);
            let stripe = &stripes[table.layout.stripe_of(slot)];
            stripe.commit(slot, &old, &mut data, Change::Load, Note::Nothing)?;
            self.mark_used(slot, true);
            table.link(data.task_id, slot);
        }
        if let Some(journal) = table.journal() {
            journal.stand(saved.sync, Adopting::Not);
        }
        let header = table.header();
        header.seed.set(saved.seed);
        // Never lower: processes that are here draw streams of the numbers up to it.
        let streams = saved.streams.max(header.counters.streams.get());
        header.counters.streams.set(streams);
        header.counters.late_reports.set(saved.late_reports);
        for (word, bits) in header.score_range.iter().zip(saved.score_range) {
            word.set(bits);
        }
        self.finish();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use crate::options::SessionOptions;
    use crate::session::Session;
    use crate::structure::NewTask;

    #[test]
    fn labels_that_change_places_meanwhile_do_not_stop_a_save() {
        let session = Session::open(&SessionOptions {
            capacity: Some(64),
            max_labels: 400,
            max_inactive_labels: 0,
            ..SessionOptions::default()
        })
        .unwrap();
        for task_id in 0..64 {
            session.create(task_id, &NewTask::default()).unwrap();
        }
        thread::scope(|scope| {
            let other = scope.spawn(|| {
                // Each takes a place; when all are taken, most are freed at once.
                for serial in 0..20_000 {
                    let label = format!("label {serial}");
                    session.set_label(serial % 64, Some(&label)).unwrap();
                }
            });
            while !other.is_finished() {
                let saved = session.table().copy_out([1; 4]).unwrap();
                assert_eq!(saved.records.len(), 64);
            }
        });
    }
}
