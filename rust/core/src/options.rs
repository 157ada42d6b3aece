//! What a session is opened with, and how it is written into the header and held against it.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::journal::JournalHeader;
use crate::layout::{Header, LAYOUT_VERSION, Layout, MAX_COLUMN_NAME_BYTES, Shape, Stripe};
use crate::rules::Rules;
use crate::segment::{Mapping, Mode, Place, Standing};
use crate::sound::damaged;
use crate::ticket;

/// What a session is opened with.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// Number of tasks; not needed to attach.
    pub capacity: Option<usize>,
    /// The rules; not needed to attach.
    pub rules: Option<Rules>,
    /// Where the session lives.
    pub place: Place,
    /// What the session is for, at most 120 bytes; empty for whatever it is for.
    pub content: String,
    /// Names of the algorithm's columns.
    pub columns: Vec<String>,
    /// Number of labels.
    pub max_labels: usize,
    /// Labels without live tasks that are kept when the label table is full.
    pub max_inactive_labels: usize,
    /// Episodes that may lie between two syncs with other machines; 0 keeps no journal of them.
    pub sync_episodes: usize,
    /// Seed of the session's streams.
    pub seed: u64,
    /// How to open.
    pub mode: Mode,
    /// Whether the session outlives its processes.
    pub persist: bool,
    /// How long a lock is waited for.
    pub lock_timeout: Duration,
}

fn pack_name(name: &str) -> [u64; (MAX_COLUMN_NAME_BYTES + 1) / 8] {
    let mut bytes = [0; MAX_COLUMN_NAME_BYTES + 1];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    let chunks = bytes.as_chunks::<8>().0;
    std::array::from_fn(|i| u64::from_le_bytes(chunks[i]))
}

fn check_columns(columns: &[String]) -> Result<()> {
    for (i, name) in columns.iter().enumerate() {
        if name.is_empty() || name.len() > MAX_COLUMN_NAME_BYTES || name.contains('\0') {
            return Err(Error::Value(format!(
                "column name {name:?} has {} bytes; 1 to {MAX_COLUMN_NAME_BYTES} are allowed",
                name.len()
            )));
        }
        if columns[..i].contains(name) {
            return Err(Error::Value(format!("column {name:?} is named twice")));
        }
    }
    Ok(())
}

pub(crate) fn shape_of(header: &Header) -> Result<Shape> {
    let number = |word: u64| usize::try_from(word).unwrap_or(usize::MAX);
    Shape {
        capacity: number(header.capacity.get()),
        columns: number(header.columns.get()),
        max_labels: number(header.max_labels.get()),
        sync_episodes: number(header.sync_episodes.get()),
    }
    .validate()
    .map_err(|error| damaged(&error.to_string()))
}

impl Default for SessionOptions {
    /// A process-local session; its capacity and rules are to be given.
    fn default() -> Self {
        Self {
            capacity: None,
            rules: None,
            place: Place::Local,
            content: String::new(),
            columns: Vec::new(),
            max_labels: 256,
            max_inactive_labels: 64,
            sync_episodes: 0,
            seed: 0,
            mode: Mode::CreateOrAttach,
            persist: false,
            lock_timeout: Duration::from_secs(5),
        }
    }
}

impl SessionOptions {
    pub(crate) fn shape(&self) -> Result<Option<Shape>> {
        check_columns(&self.columns)?;
        let retries = self
            .rules
            .as_ref()
            .is_some_and(|rules| rules.retry_by_column);
        if retries && self.columns.is_empty() {
            return Err(Error::Value(
                "retry_by_column reads the first column, and the session has none: name one in \
                 columns"
                    .to_owned(),
            ));
        }
        self.capacity
            .map(|capacity| {
                Shape {
                    capacity,
                    columns: self.columns.len(),
                    max_labels: self.max_labels,
                    sync_episodes: self.sync_episodes,
                }
                .validate()
            })
            .transpose()
    }

    pub(crate) fn fill(&self, mapping: &Mapping, shape: Shape, rules: &Rules) {
        let layout = Layout::new(shape);
        let header: &Header = mapping.get(layout.header);
        header.version.set(LAYOUT_VERSION);
        header.capacity.set(shape.capacity as u64);
        header.columns.set(shape.columns as u64);
        header.max_labels.set(shape.max_labels as u64);
        header
            .max_inactive_labels
            .set(self.max_inactive_labels as u64);
        header.sync_episodes.set(shape.sync_episodes as u64);
        header.seed.set(self.seed);
        for (word, value) in header.rules.iter().zip(rules.to_words()) {
            word.set(value);
        }
        for (word, chunk) in header.content.iter().zip(self.content.as_bytes().chunks(8)) {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            word.set(u64::from_le_bytes(bytes));
        }
        for (words, name) in header.column_names.iter().zip(&self.columns) {
            for (word, value) in words.iter().zip(pack_name(name)) {
                word.set(value);
            }
        }
        for word in &header.score_range {
            word.set_f64(f64::NAN);
        }
        header.counters.tickets.set(ticket::start());
        make_locks(mapping, &layout);
        if layout.chunks > 0 {
            mapping.get::<JournalHeader>(layout.journal_at).begin();
        }
    }

    /// Holds what a session is against what was asked for.
    pub(crate) fn check(&self, mapping: &Mapping, standing: Standing) -> Result<()> {
        let smallest = Layout::new(Shape {
            capacity: 1,
            columns: 0,
            max_labels: 1,
            sync_episodes: 0,
        });
        if mapping.len() < smallest.bytes {
            return Err(Error::Session(format!(
                "the session has {} bytes, the smallest one has {}: the file is damaged",
                mapping.len(),
                smallest.bytes
            )));
        }
        let header: &Header = mapping.get(smallest.header);
        let differ = |what: &str, theirs: String, ours: String| {
            Err(Error::Session(format!(
                "the session has {what} {theirs}, this process asks for {ours}; \
                 use the same settings or another session name"
            )))
        };
        if header.version.get() != LAYOUT_VERSION {
            return Err(Error::Session(format!(
                "the session has layout version {}, this Curricle knows {LAYOUT_VERSION}: another \
                 release made it; use that one, or another session name",
                header.version.get()
            )));
        }
        let shape = shape_of(header)?;
        let layout = Layout::new(shape);
        if layout.bytes != mapping.len() {
            return differ(
                "size",
                mapping.len().to_string(),
                format!("{} (of its capacity)", layout.bytes),
            );
        }
        if let Some(capacity) = self.capacity.filter(|capacity| *capacity != shape.capacity) {
            return differ("capacity", shape.capacity.to_string(), capacity.to_string());
        }
        let names = column_names(header, shape.columns);
        check_columns(&names).map_err(|error| damaged(&error.to_string()))?;
        if self.capacity.is_some() && names != self.columns {
            return differ(
                "columns",
                format!("{names:?}"),
                format!("{:?}", self.columns),
            );
        }
        if self.capacity.is_some() && self.max_labels != shape.max_labels {
            return differ(
                "max_labels",
                shape.max_labels.to_string(),
                self.max_labels.to_string(),
            );
        }
        if self.capacity.is_some() && self.sync_episodes != shape.sync_episodes {
            return differ(
                "sync_episodes",
                shape.sync_episodes.to_string(),
                self.sync_episodes.to_string(),
            );
        }
        let rules = rules_of(header)?;
        if let Some(difference) = self.rules.as_ref().and_then(|mine| rules.difference(mine)) {
            return Err(Error::Session(format!(
                "the session has other rules than this process asks for: {difference}; \
                 use the same settings or another session name"
            )));
        }
        let content = content_of(header);
        if !self.content.is_empty() && !content.is_empty() && content != self.content {
            return differ(
                "tasks",
                format!("({content})"),
                format!("({})", self.content),
            );
        }
        if standing.new_boot && !standing.synced {
            // Pages of the file may be of different ages, also those of one record.
            let file = self.place.file()?.unwrap_or_default();
            return Err(Error::Session(format!(
                "{}: the machine stopped before the session was written to the disk; remove the \
                 file and load a checkpoint into a new session",
                file.display()
            )));
        }
        if standing.exclusive && mapping.is_writable() {
            make_locks(mapping, &layout);
        }
        Ok(())
    }
}

fn make_locks(mapping: &Mapping, layout: &Layout) {
    let header: &Header = mapping.get(layout.header);
    header.structure.initialise();
    for stripe in mapping.slice::<Stripe>(layout.stripes_at, layout.stripes) {
        stripe.lock.initialise();
    }
}

pub(crate) fn content_of(header: &Header) -> String {
    let words = header.content.iter().map(crate::words::Word::get);
    let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    String::from_utf8_lossy(&bytes)
        .trim_end_matches('\0')
        .to_owned()
}

pub(crate) fn rules_of(header: &Header) -> Result<Rules> {
    let words: Vec<u64> = header.rules.iter().map(crate::words::Word::get).collect();
    Rules::from_words(&words).map_err(|error| damaged(&error.to_string()))
}

pub(crate) fn column_names(header: &Header, count: usize) -> Vec<String> {
    header.column_names[..count]
        .iter()
        .map(|words| {
            let bytes: Vec<u8> = words.iter().flat_map(|w| w.get().to_le_bytes()).collect();
            String::from_utf8_lossy(&bytes)
                .trim_end_matches('\0')
                .to_owned()
        })
        .collect()
}
