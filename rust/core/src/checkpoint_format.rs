//! The file of a checkpoint: a sequence of little-endian 64-bit words: magic, version, number of
//! words, body, and the xxh3 hash of all that.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use crate::labels::check_label;
use crate::layout::{LABEL_WORDS, MAX_LABEL_BYTES, MAX_STRIPES, Shape};
use crate::record::{MAX_COLUMNS, NUMBER_WORDS, TaskData};
use crate::rules::{RULES_WORDS, Rules};
use crate::tally::{Live, Retired, TALLY_WORDS, Tally};

/// Version of the file.
const VERSION: u64 = 5;
/// "CURRICKP".
const MAGIC: u64 = u64::from_le_bytes(*b"CURRICKP");
pub(crate) const NAME_WORDS: usize = 4;
const HEAD_WORDS: usize = 3;
/// Words of seed, number and state of streams, score range, late reports, samples without a label,
/// and number of the sync.
const STATE_WORDS: usize = 2 + 4 + 2 + 3;
/// Words of a label: number, length, text, totals, samples, limits.
const SAVED_LABEL_WORDS: usize = 2 + (LABEL_WORDS - 1) + TALLY_WORDS + 2;

pub(crate) struct Label {
    pub(crate) number: u32,
    pub(crate) text: String,
    pub(crate) retired: Retired,
    pub(crate) samples: u64,
    /// Limits of its share.
    pub(crate) limits: u64,
}

/// What a file holds.
pub(crate) struct Saved {
    pub(crate) capacity: u64,
    pub(crate) columns: Vec<[u64; NAME_WORDS]>,
    pub(crate) rules: Rules,
    pub(crate) seed: u64,
    pub(crate) streams: u64,
    pub(crate) stream: [u64; 4],
    pub(crate) score_range: [u64; 2],
    pub(crate) late_reports: u64,
    pub(crate) samples_without_label: u64,
    /// Number of the sync whose state it is, 0 before the first.
    pub(crate) sync: u64,
    /// Stripe by stripe, because ticks count from them.
    pub(crate) retired: Vec<Retired>,
    pub(crate) labels: Vec<Label>,
    pub(crate) records: Vec<(usize, TaskData)>,
}

fn retired_words(retired: Retired) -> [u64; TALLY_WORDS] {
    let live = Live::default();
    Tally { live, retired }.to_words()
}

impl Saved {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut words = vec![MAGIC, VERSION, 0];
        words.extend([self.capacity, self.columns.len() as u64]);
        words.extend(self.columns.iter().flatten());
        words.extend(self.rules.to_words());
        words.extend([self.seed, self.streams]);
        words.extend(self.stream);
        words.extend(self.score_range);
        words.extend([self.late_reports, self.samples_without_label, self.sync]);
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
            words.extend([label.samples, label.limits]);
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

    pub(crate) fn from_bytes(bytes: &[u8]) -> std::result::Result<Self, String> {
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
        let columns = words.columns()?;
        let rules = Rules::from_words(&words.array::<RULES_WORDS>()?).map_err(|e| e.to_string())?;
        let [seed, streams] = words.array()?;
        let stream = words.array()?;
        let score_range = words.array()?;
        let [late_reports, samples_without_label, sync] = words.array()?;
        let retired = (0..words.count("number of stripes", TALLY_WORDS)?)
            .map(|_| Ok(Tally::from_words(&words.array()?).retired))
            .collect::<std::result::Result<_, String>>()?;
        let mut saved = Self {
            capacity,
            columns,
            rules,
            seed,
            streams,
            stream,
            score_range,
            late_reports,
            samples_without_label,
            sync,
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
            limits: words.one()?,
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

fn unreadable(error: std::io::Error) -> String {
    format!("could not be read: {error}")
}

/// A file to read, and its bytes.
fn open(path: &Path) -> std::result::Result<(File, u64), String> {
    let mut options = File::options();
    // Without waiting for the other end of a pipe.
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let file = options.open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err("could not be read: it is no plain file".to_owned());
    }
    Ok((file, metadata.len()))
}

/// The names of the columns of the checkpoint in a file; nothing if it holds none.
pub(crate) fn columns(path: &Path) -> std::result::Result<Option<Vec<[u64; NAME_WORDS]>>, String> {
    const MOST_WORDS: usize = HEAD_WORDS + 2 + MAX_COLUMNS * NAME_WORDS;
    let mut bytes = Vec::new();
    open(path)?
        .0
        .take(8 * MOST_WORDS as u64)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let words = words_of(&bytes);
    if words.first() != Some(&MAGIC) {
        return Ok(None);
    }
    check_head(&words)?;
    let mut words = Words(&words[HEAD_WORDS + 1..]);
    words.columns().map(Some)
}

/// The content of a file; not of one that is too large for a session of this shape.
pub(crate) fn read(path: &Path, shape: &Shape) -> std::result::Result<Vec<u8>, String> {
    let (mut file, length) = open(path)?;
    let most = most_bytes(shape);
    let mut bytes = Vec::new();
    if length <= most {
        file.take(most)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        return Ok(bytes);
    }
    let mut head = [0; (HEAD_WORDS + 1) * 8];
    file.read_exact(&mut head).map_err(unreadable)?;
    let words = words_of(&head);
    check_head(&words)?;
    Err(format!(
        "the file has {} bytes, from a session with a capacity of {}; one that fits a capacity \
         of {} and {} labels has at most {most}",
        length, words[HEAD_WORDS], shape.capacity, shape.max_labels
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

    /// The names of columns.
    fn columns(&mut self) -> std::result::Result<Vec<[u64; NAME_WORDS]>, String> {
        let columns = self.count("number of columns", NAME_WORDS)?;
        if columns > MAX_COLUMNS {
            return Err(format!("{columns} columns; the limit is {MAX_COLUMNS}"));
        }
        (0..columns).map(|_| self.array()).collect()
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
        evidence: float(22),
        label,
        columns: [0.0; MAX_COLUMNS],
    }
}
