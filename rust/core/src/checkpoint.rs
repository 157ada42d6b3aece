//! Saving a session to a file and loading it, all or nothing.
//!
//! A file is a sequence of little-endian 64-bit words: magic, version, number of words, body, and
//! the xxh3 hash of all that. A checkpoint is exact stripe by stripe, not one instant of the
//! session: each stripe is copied under its lock.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use crate::atomic_file;
use crate::commit::{Change, Old};
use crate::error::{Error, Result};
use crate::labels::{OTHER, check_label};
use crate::layout::{LABEL_WORDS, MAX_LABEL_BYTES, MAX_PATH_BYTES, MAX_STRIPES, Shape};
use crate::plausible::{Sums, check_score_range};
use crate::progress::{self, check_baseline};
use crate::record::{MAX_COLUMNS, MAX_COUNT, NUMBER_WORDS, TaskData, check_record};
use crate::rules::{RULES_WORDS, Rules};
use crate::structure::{Loading, StructureGuard};
use crate::table::Table;
use crate::tally::{Live, MAX_PROGRESS, Retired, TALLY_WORDS, Tally, fixed_weight};
use crate::words::Word;

/// Version of the file.
const VERSION: u64 = 1;
/// "CURRICKP".
const MAGIC: u64 = u64::from_le_bytes(*b"CURRICKP");
const NAME_WORDS: usize = 4;
const HEAD_WORDS: usize = 3;
/// Words of number and state of streams, score range, late reports and samples without a label.
const STATE_WORDS: usize = 1 + 4 + 2 + 2;
/// Words of a label: number, length, text, totals, samples.
const SAVED_LABEL_WORDS: usize = 2 + (LABEL_WORDS - 1) + TALLY_WORDS + 1;

struct Label {
    number: u32,
    text: String,
    retired: Retired,
    samples: u64,
}

struct Saved {
    capacity: u64,
    columns: Vec<[u64; NAME_WORDS]>,
    rules: Rules,
    streams: u64,
    stream: [u64; 4],
    score_range: [u64; 2],
    late_reports: u64,
    samples_without_label: u64,
    /// Stripe by stripe, because ticks count from them.
    retired: Vec<Retired>,
    labels: Vec<Label>,
    records: Vec<(usize, TaskData)>,
}

fn retired_words(retired: Retired) -> [u64; TALLY_WORDS] {
    let live = Live::default();
    Tally { live, retired }.to_words()
}

impl Saved {
    fn to_bytes(&self) -> Vec<u8> {
        let mut words = vec![MAGIC, VERSION, 0];
        words.extend([self.capacity, self.columns.len() as u64]);
        words.extend(self.columns.iter().flatten());
        words.extend(self.rules.to_words());
        words.push(self.streams);
        words.extend(self.stream);
        words.extend(self.score_range);
        words.extend([self.late_reports, self.samples_without_label]);
        words.push(self.retired.len() as u64);
        for retired in &self.retired {
            words.extend(retired_words(*retired));
        }
        words.push(self.labels.len() as u64);
        for label in &self.labels {
            let mut text = [0; (LABEL_WORDS - 1) * 8];
            text[..label.text.len()].copy_from_slice(label.text.as_bytes());
            words.extend([u64::from(label.number), label.text.len() as u64]);
            words.extend(
                text.as_chunks::<8>()
                    .0
                    .iter()
                    .map(|c| u64::from_le_bytes(*c)),
            );
            words.extend(retired_words(label.retired));
            words.push(label.samples);
        }
        words.push(self.records.len() as u64);
        for (slot, data) in &self.records {
            words.push(*slot as u64);
            words.extend(record_words(data));
            words.extend(
                data.columns[..self.columns.len()]
                    .iter()
                    .map(|v| v.to_bits()),
            );
        }
        words[2] = words.len() as u64 + 1;
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend(xxh3_64(&bytes).to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> std::result::Result<Self, String> {
        let (words, rest) = (words_of(bytes), bytes.len() % 8);
        check_head(&words)?;
        if rest != 0 || words[2] != words.len() as u64 {
            return Err(format!(
                "the file is cut short or padded: {} bytes, {} expected",
                bytes.len(),
                words[2].saturating_mul(8)
            ));
        }
        let body = bytes.len() - 8;
        if xxh3_64(&bytes[..body]) != words[words.len() - 1] {
            return Err("the checksum does not fit: the file is damaged".to_owned());
        }
        Self::parse(&mut Words(&words[HEAD_WORDS..words.len() - 1]))
    }

    fn parse(words: &mut Words) -> std::result::Result<Self, String> {
        let capacity = words.one()?;
        let columns = words.count("number of columns", NAME_WORDS)?;
        if columns > MAX_COLUMNS {
            return Err(format!("{columns} columns; the limit is {MAX_COLUMNS}"));
        }
        let columns = (0..columns)
            .map(|_| words.array())
            .collect::<std::result::Result<_, _>>()?;
        let rules = Rules::from_words(&words.array::<RULES_WORDS>()?).map_err(|e| e.to_string())?;
        let streams = words.one()?;
        let stream = words.array()?;
        let score_range = words.array()?;
        let [late_reports, samples_without_label] = words.array()?;
        let retired = (0..words.count("number of stripes", TALLY_WORDS)?)
            .map(|_| Ok(Tally::from_words(&words.array()?).retired))
            .collect::<std::result::Result<_, String>>()?;
        let mut saved = Self {
            capacity,
            columns,
            rules,
            streams,
            stream,
            score_range,
            late_reports,
            samples_without_label,
            retired,
            labels: Vec::new(),
            records: Vec::new(),
        };
        for _ in 0..words.count("number of labels", SAVED_LABEL_WORDS)? {
            saved.labels.push(Label::parse(words)?);
        }
        for _ in 0..words.count("number of records", 1 + RECORD_WORDS)? {
            let slot = usize::try_from(words.one()?).unwrap_or(usize::MAX);
            let mut data = record_of(&words.array()?);
            for value in data.columns.iter_mut().take(saved.columns.len()) {
                *value = f64::from_bits(words.one()?);
            }
            saved.records.push((slot, data));
        }
        if words.0.is_empty() {
            Ok(saved)
        } else {
            Err(format!("{} words too many", words.0.len()))
        }
    }

    /// What keeps the checkpoint out of a table.
    fn fits(&self, table: &Table) -> std::result::Result<(), String> {
        let shape = &table.layout.shape;
        let names: Vec<_> = table.header().column_names[..shape.columns]
            .iter()
            .map(|name| std::array::from_fn(|i| name[i].get()))
            .collect::<Vec<[u64; NAME_WORDS]>>();
        if names != self.columns {
            return Err(format!(
                "the file has {} columns and the session {}, or their names differ",
                self.columns.len(),
                names.len()
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

impl Label {
    fn parse(words: &mut Words) -> std::result::Result<Self, String> {
        let [number, length] = words.array()?;
        let text: [u64; LABEL_WORDS - 1] = words.array()?;
        let bytes: Vec<u8> = text.iter().flat_map(|word| word.to_le_bytes()).collect();
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= MAX_LABEL_BYTES)
            .ok_or_else(|| format!("a label of {length} bytes; the limit is {MAX_LABEL_BYTES}"))?;
        let text = String::from_utf8(bytes[..length].to_vec())
            .map_err(|_| "a label is not valid UTF-8".to_owned())?;
        check_label(&text).map_err(|e| e.to_string())?;
        Ok(Self {
            number: u32::try_from(number).map_err(|_| format!("label number {number}"))?,
            text,
            retired: Tally::from_words(&words.array()?).retired,
            samples: words.one()?,
        })
    }
}

fn check_head(words: &[u64]) -> std::result::Result<(), String> {
    if words.len() <= HEAD_WORDS || words[0] != MAGIC {
        return Err("this is no checkpoint of a curriculum session".to_owned());
    }
    if words[1] != VERSION {
        return Err(format!(
            "the file has version {}, this build reads version {VERSION}",
            words[1]
        ));
    }
    Ok(())
}

fn words_of(bytes: &[u8]) -> Vec<u64> {
    let chunks = bytes.as_chunks::<8>().0;
    chunks.iter().map(|c| u64::from_le_bytes(*c)).collect()
}

/// Most bytes of a checkpoint that a session of this shape can load.
fn most_bytes(shape: &Shape) -> u64 {
    let fixed = HEAD_WORDS + 2 + shape.columns * NAME_WORDS + RULES_WORDS + STATE_WORDS;
    let stripes = 1 + MAX_STRIPES * TALLY_WORDS;
    let labels = 1 + (shape.max_labels + 1) * SAVED_LABEL_WORDS;
    let records = 1 + shape.capacity * (1 + RECORD_WORDS + shape.columns);
    8 * (fixed + stripes + labels + records + 1) as u64
}

/// The content of a file; not of one that is too large for a session of this shape.
fn read(path: &Path, shape: &Shape) -> std::result::Result<Vec<u8>, String> {
    let fail = |error: std::io::Error| format!("could not be read: {error}");
    let mut options = File::options();
    // Without waiting for the other end of a pipe.
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let mut file = options.open(path).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if !metadata.is_file() {
        return Err("could not be read: it is no plain file".to_owned());
    }
    let most = most_bytes(shape);
    let mut bytes = Vec::new();
    if metadata.len() <= most {
        file.take(most).read_to_end(&mut bytes).map_err(fail)?;
        return Ok(bytes);
    }
    let mut head = [0; (HEAD_WORDS + 1) * 8];
    file.read_exact(&mut head).map_err(fail)?;
    let words = words_of(&head);
    check_head(&words)?;
    Err(format!(
        "the file has {} bytes, from a session with a capacity of {}; one that fits a capacity \
         of {} and {} labels has at most {most}",
        metadata.len(),
        words[HEAD_WORDS],
        shape.capacity,
        shape.max_labels
    ))
}

/// Words that are left to read.
struct Words<'a>(&'a [u64]);

impl Words<'_> {
    fn array<const N: usize>(&mut self) -> std::result::Result<[u64; N], String> {
        let (head, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or("the file ends too early")?;
        self.0 = rest;
        Ok(*head)
    }

    fn one(&mut self) -> std::result::Result<u64, String> {
        self.array::<1>().map(|[word]| word)
    }

    /// A number of items of at least `each` words, which must be there.
    fn count(&mut self, what: &str, each: usize) -> std::result::Result<usize, String> {
        let count = self.one()?;
        usize::try_from(count)
            .ok()
            .filter(|count| count.saturating_mul(each) <= self.0.len())
            .ok_or_else(|| format!("{what} {count} is more than the file holds"))
    }
}

/// Words of a record without its columns.
const RECORD_WORDS: usize = 2 + NUMBER_WORDS;

fn record_words(data: &TaskData) -> impl Iterator<Item = u64> {
    [
        data.task_id.cast_unsigned(),
        (u64::from(data.generation) << 32) | u64::from(data.label),
    ]
    .into_iter()
    .chain(data.number_words())
}

fn record_of(words: &[u64; RECORD_WORDS]) -> TaskData {
    let float = |i: usize| f64::from_bits(words[i]);
    let (generation, label) = ((words[1] >> 32) as u32, words[1] as u32);
    TaskData {
        task_id: words[0].cast_signed(),
        generation,
        creation_time: float(2),
        last_scheduled: words[3],
        last_completed: words[4],
        completion_count: words[5],
        scheduled_count: words[6],
        env_steps: words[7],
        reward_ema: float(8),
        ema_squared: float(9),
        success_rate_ema: float(10),
        total_score: float(11),
        last_score: float(12),
        p_fast: float(13),
        p_slow: float(14),
        p_true: float(15),
        random_baseline: float(16),
        lp_score: float(17),
        weight: float(18),
        success_threshold: float(19),
        seed: words[20],
        generator_type: float(21),
        label,
        columns: [0.0; MAX_COLUMNS],
    }
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

    fn copy_out(&self, stream: [u64; 4]) -> Result<Saved> {
        let intent = &self.header().intent;
        let versions = || [&intent.label_generation, &intent.index_version].map(Word::observe);
        let before = versions();
        let saved = self.copy_stripes(stream)?;
        if versions() == before && !self.is_loading() {
            return Ok(saved);
        }
        // A task may have come twice, by way of a slot in a later stripe, and a label's number may
        // mean another one: copied again while nobody changes the set of tasks.
        let _structure = self.lock_structure()?;
        self.copy_stripes(stream)
    }

    fn copy_stripes(&self, stream: [u64; 4]) -> Result<Saved> {
        let header = self.header();
        let mut records = Vec::new();
        let mut retired = Vec::new();
        let mut of_labels = vec![(Tally::default(), 0); self.layout.labels];
        for stripe in 0..self.layout.stripes {
            let _guard = self.lock_stripe(stripe)?;
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
        let labels = of_labels.iter().enumerate().skip(1);
        Ok(Saved {
            capacity: self.layout.shape.capacity as u64,
            columns: header.column_names[..self.layout.shape.columns]
                .iter()
                .map(|name| std::array::from_fn(|i| name[i].get()))
                .collect(),
            rules: self.rules.clone(),
            streams: header.counters.streams.get(),
            stream,
            score_range: [header.score_range[0].get(), header.score_range[1].get()],
            late_reports: header.counters.late_reports.get(),
            samples_without_label: of_labels[0].1,
            retired,
            labels: labels
                .filter_map(|(number, (tally, samples))| {
                    Some(Label {
                        number: u32::try_from(number).expect("at most 2^16 labels"),
                        text: self.label_text(number)?,
                        retired: tally.retired,
                        samples: *samples,
                    })
                })
                .collect(),
            records,
        })
    }

    /// Replaces everything by a checkpoint; the state of the saver's stream.
    ///
    /// # Errors
    /// `Checkpoint` naming what failed, with the session unchanged; `LockTimeout`.
    pub fn load(&self, path: &Path) -> Result<[u64; 4]> {
        let (saved, hash) = self.read_checkpoint(path)?;
        let stream = saved.stream;
        let structure = self.lock_structure()?;
        let path_bytes = self.note_path(path);
        structure.fill(saved, Loading { hash, path_bytes })?;
        Ok(stream)
    }

    /// A checkpoint that fits this table and nothing of which will be refused, and its hash.
    fn read_checkpoint(&self, path: &Path) -> Result<(Saved, i64)> {
        let failed = |reason: String| Error::Checkpoint {
            path: path.to_owned(),
            reason,
        };
        let bytes = read(path, &self.layout.shape).map_err(failed)?;
        let mut saved = Saved::from_bytes(&bytes).map_err(failed)?;
        saved.fits(self).map_err(failed)?;
        let mut checked = saved.check_numbers();
        if saved.rules != self.rules {
            checked = checked.and_then(|()| saved.weigh_by(&self.rules));
        }
        checked.map_err(|error| failed(error.to_string()))?;
        let hash = bytes.last_chunk().expect("a checkpoint ends in its hash");
        Ok((saved, i64::from_le_bytes(*hash)))
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
    fn fill(&self, saved: Saved, loading: Loading) -> Result<()> {
        let table = self.table;
        // From here on nothing fails: every number was checked, and every lock is held.
        let stripes = self.wipe(loading)?;
        let mut numbers = HashMap::from([(0, 0)]);
        for label in &saved.labels {
            let number = self.intern(Some(&label.text))?;
            numbers.insert(label.number, number);
            stripes[0].set_retired(number as usize, label.retired);
            table.label_samples(0, number as usize).set(label.samples);
        }
        // A table with fewer stripes keeps what the others have retired in its first ones.
        let mut of_stripes = vec![Retired::default(); stripes.len()];
        for (at, retired) in saved.retired.iter().enumerate() {
            of_stripes[at % stripes.len()].add(retired);
        }
        for (stripe, retired) in stripes.iter().zip(of_stripes) {
            stripe.set_retired(0, retired);
        }
        table.label_samples(0, 0).set(saved.samples_without_label);
        for (slot, mut data) in saved.records {
            data.label = numbers[&data.label];
            let record = table.record(slot);
            record.set_schedule(data.generation, data.scheduled_count, data.last_scheduled);
            let (tenant, before) = record.load_owned();
            let old = Old::of(tenant, &before);
            stripes[table.layout.stripe_of(slot)].commit(slot, &old, &mut data, Change::Load)?;
            self.mark_used(slot, true);
            table.link(data.task_id, slot);
        }
        let header = table.header();
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
