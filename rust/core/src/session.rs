//! A handle on a session: opening, the caller's stream of draws, and everything by task id.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::layout::{
    Header, LAYOUT_VERSION, Layout, MAX_COLUMN_NAME_BYTES, MAX_CONTENT_BYTES, Shape, Stripe,
};
use crate::local_fork::LocalLocks;
use crate::own_stream::OwnStream;
use crate::record::TaskData;
use crate::record_words::Tenant;
use crate::rules::Rules;
use crate::segment::{self, Mapping, Mode, Opened, Place, Request, Segment, Standing};
use crate::stream::Stream;
use crate::structure::NewTask;
use crate::table::Table;
use crate::tally::{Tally, fixed_weight, score_of};
use crate::ticket::{self, Ticket};
use crate::tracker::check_finite;
use crate::verify::Verified;

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
    /// Seed of the session's streams.
    pub seed: u64,
    /// How to open.
    pub mode: Mode,
    /// Whether the session outlives its processes.
    pub persist: bool,
    /// How long a lock is waited for.
    pub lock_timeout: Duration,
}

/// Sums of a session or of one label.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// Live tasks.
    pub tasks: u64,
    /// Tasks created.
    pub created: u64,
    /// Tasks evicted.
    pub evicted: u64,
    /// Tasks removed otherwise.
    pub removed: u64,
    /// Episodes reported, of live and retired tasks.
    pub completions: u64,
    /// Episodes reported, of live tasks.
    pub live_completions: u64,
    /// Draws.
    pub scheduled: u64,
    /// Sum of scores, of live and retired tasks.
    pub score_sum: f64,
    /// Sum of scores, of live tasks.
    pub live_score_sum: f64,
    /// Environment steps, of live and retired tasks.
    pub env_steps: u64,
    /// Sum of LP of live tasks.
    pub lp_sum: f64,
    /// Mean LP of live tasks.
    pub lp_mean: f64,
    /// Standard deviation of the LP of live tasks.
    pub lp_std: f64,
    /// Sum of weights of live tasks.
    pub weight_sum: f64,
}

impl Totals {
    pub(crate) fn new(tally: &Tally, scheduled: u64) -> Self {
        let (lp_mean, lp_std) = tally.progress_moments();
        Self {
            tasks: tally.live.tasks,
            created: tally.retired.created,
            evicted: tally.retired.evicted,
            removed: tally.retired.removed,
            completions: tally.completions(),
            live_completions: tally.live.completions,
            scheduled,
            score_sum: tally.score_sum(),
            live_score_sum: score_of(tally.live.score),
            env_steps: tally.live.env_steps + tally.retired.env_steps,
            lp_sum: score_of(tally.live.progress),
            lp_mean,
            lp_std,
            weight_sum: Table::weight_sum(tally),
        }
    }
}

/// Counters of a session beside its totals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counts {
    /// Reports whose task was gone meanwhile.
    pub late_reports: u64,
    /// Locks had after the death of their holder.
    pub recoveries: u64,
    /// Times that somebody slept for a lock.
    pub lock_waits: u64,
    /// Lowest and highest score, NaN before the first (or with a score range).
    pub score_range: [f64; 2],
}

/// A handle on a session.
pub struct Session {
    table: Arc<Table>,
    columns: Vec<String>,
    opened: Opened,
    closed: AtomicBool,
    /// Fork generation of the process that opened the session.
    opened_in: u32,
    stream: OwnStream,
    _local_locks: Option<Arc<LocalLocks>>,
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

fn shape_of(header: &Header) -> Result<Shape> {
    let number = |word: u64| usize::try_from(word).unwrap_or(usize::MAX);
    Shape {
        capacity: number(header.capacity.get()),
        columns: number(header.columns.get()),
        max_labels: number(header.max_labels.get()),
    }
    .validate()
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
            seed: 0,
            mode: Mode::CreateOrAttach,
            persist: false,
            lock_timeout: Duration::from_secs(5),
        }
    }
}

impl SessionOptions {
    fn shape(&self) -> Result<Option<Shape>> {
        check_columns(&self.columns)?;
        self.capacity
            .map(|capacity| {
                Shape {
                    capacity,
                    columns: self.columns.len(),
                    max_labels: self.max_labels,
                }
                .validate()
            })
            .transpose()
    }

    fn fill(&self, mapping: &Mapping, shape: Shape, rules: &Rules) {
        let layout = Layout::new(shape);
        let header: &Header = mapping.get(layout.header);
        header.version.set(LAYOUT_VERSION);
        header.capacity.set(shape.capacity as u64);
        header.columns.set(shape.columns as u64);
        header.max_labels.set(shape.max_labels as u64);
        header
            .max_inactive_labels
            .set(self.max_inactive_labels as u64);
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
    }

    /// Holds what a session is against what was asked for.
    fn check(&self, mapping: &Mapping, standing: Standing) -> Result<()> {
        let smallest = Layout::new(Shape {
            capacity: 1,
            columns: 0,
            max_labels: 1,
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
            return differ(
                "layout version",
                header.version.get().to_string(),
                LAYOUT_VERSION.to_string(),
            );
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

fn content_of(header: &Header) -> String {
    let words = header.content.iter().map(crate::words::Word::get);
    let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    String::from_utf8_lossy(&bytes)
        .trim_end_matches('\0')
        .to_owned()
}

fn rules_of(header: &Header) -> Result<Rules> {
    let words: Vec<u64> = header.rules.iter().map(crate::words::Word::get).collect();
    Rules::from_words(&words)
}

fn column_names(header: &Header, count: usize) -> Vec<String> {
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

impl Session {
    /// Opens a session.
    ///
    /// # Errors
    /// `Value` for numbers and names out of range; `Session` where it cannot be created, attached
    /// or trusted.
    pub fn open(options: &SessionOptions) -> Result<Self> {
        let shape = options.shape()?;
        if options.content.len() > MAX_CONTENT_BYTES || options.content.contains('\0') {
            return Err(Error::Value(format!(
                "content {:?} has {} bytes; the limit is {MAX_CONTENT_BYTES}, without zeros",
                options.content,
                options.content.len()
            )));
        }
        let rules = options.rules.clone().unwrap_or_default();
        rules.validate()?;
        let attaching = matches!(options.mode, Mode::Attach | Mode::ReadOnly);
        if shape.is_none() && !attaching {
            return Err(Error::Value(
                "a session that may have to be created needs a capacity".to_owned(),
            ));
        }
        let (segment, opened) = Segment::open(&Request {
            place: &options.place,
            mode: options.mode,
            persist: options.persist,
            size: shape
                .filter(|_| !attaching)
                .map(|shape| Layout::new(shape).bytes),
            init: &|mapping| {
                options.fill(mapping, shape.expect("checked above"), &rules);
                Ok(())
            },
            check: &|mapping, standing| options.check(mapping, standing),
        })?;
        let header: &Header = segment.mapping().get(
            Layout::new(Shape {
                capacity: 1,
                columns: 0,
                max_labels: 1,
            })
            .header,
        );
        let shape = shape_of(header)?;
        let rules = rules_of(header)?;
        let columns = column_names(header, shape.columns);
        let local = matches!(options.place, Place::Local);
        let table = Arc::new(Table::new(
            segment,
            Layout::new(shape),
            rules,
            options.lock_timeout,
        ));
        match opened {
            Opened::Created | Opened::Replaced => {
                table.set_label_text(table.other_label(), crate::labels::OTHER);
            }
            Opened::Revived { .. } if !table.segment().is_read_only() => table.rebuild()?,
            _ => {}
        }
        Ok(Self {
            _local_locks: local.then(|| LocalLocks::watch(&table)),
            table,
            columns,
            opened,
            closed: AtomicBool::new(false),
            opened_in: segment::fork_generation(),
            stream: OwnStream::default(),
        })
    }

    /// The table itself.
    #[inline]
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// What opening did.
    #[must_use]
    pub fn opened(&self) -> Opened {
        self.opened
    }

    /// Names of the algorithm's columns.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// What the session is for; empty where its maker did not say.
    #[must_use]
    pub fn content(&self) -> String {
        content_of(self.table.header())
    }

    /// Seed of the session's streams.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.table.header().seed.get()
    }

    /// Leaves the session; the last to leave removes it, unless it persists.
    ///
    /// # Errors
    /// `Session` where the file could not be removed.
    pub fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Relaxed);
        self.table.segment().close()
    }

    /// Whether [`Self::close`] was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Creates a task; false if it is there already.
    ///
    /// # Errors
    /// `Capacity`, `Labels`, `Value`, `LockTimeout`, `Session`.
    pub fn create(&self, task_id: i64, new: &NewTask) -> Result<bool> {
        self.table.enter()?;
        if let Some(label) = new.label {
            crate::labels::check_label(label)?;
        }
        Ok(self.table.lock_structure()?.create(task_id, new)?.is_some())
    }

    /// Evicts one task and creates another in one structure change. False, with nothing done, if
    /// `evicted` is gone or `task_id` is there already.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn replace(&self, evicted: i64, task_id: i64, label: Option<&str>) -> Result<bool> {
        self.table.enter()?;
        let structure = self.table.lock_structure()?;
        if self.table.find(task_id).is_some() || self.table.find(evicted).is_none() {
            return Ok(false);
        }
        // Whatever may fail comes before the eviction.
        structure.intern(label)?;
        structure.remove(evicted, true)?;
        let label = NewTask {
            label,
            ..NewTask::default()
        };
        structure.create(task_id, &label)?;
        Ok(true)
    }

    /// Removes a task; false if it is not there.
    ///
    /// # Errors
    /// `LockTimeout`, `Session`.
    pub fn remove(&self, task_id: i64, evict: bool) -> Result<bool> {
        self.table.enter()?;
        self.table.lock_structure()?.remove(task_id, evict)
    }

    /// Removes every task, label and total.
    ///
    /// # Errors
    /// `LockTimeout`, `Session`.
    pub fn clear(&self) -> Result<()> {
        self.table.enter()?;
        let structure = self.table.lock_structure()?;
        structure.wipe()?;
        structure.finish();
        Ok(())
    }

    /// Gives a task a label, or takes it away.
    ///
    /// # Errors
    /// `UnknownTask`, `Labels`, `Value`, `LockTimeout`, `Session`.
    pub fn set_label(&self, task_id: i64, label: Option<&str>) -> Result<()> {
        self.table.enter()?;
        if self.table.lock_structure()?.set_label(task_id, label)? {
            Ok(())
        } else {
            Err(Error::UnknownTask(task_id))
        }
    }

    /// A task's record.
    #[inline]
    #[must_use]
    pub fn read(&self, task_id: i64) -> Option<TaskData> {
        loop {
            let slot = self.table.find(task_id)?;
            let (tenant, data) = self.table.record(slot).load();
            if tenant.live && tenant.task_id == task_id {
                return Some(data);
            }
        }
    }

    /// Writes a whole record. Generation, weight and label number of `data` are the session's.
    ///
    /// # Errors
    /// `Value` for a number that is not finite, `Capacity`, `Labels`, `LockTimeout`, `Session`.
    pub fn write(&self, data: &TaskData, label: Option<&str>) -> Result<()> {
        self.table.enter()?;
        check_finite(&[
            ("creation_time", data.creation_time),
            ("reward_ema", data.reward_ema),
            ("ema_squared", data.ema_squared),
            ("success_rate_ema", data.success_rate_ema),
            ("total_score", data.total_score),
            ("last_score", data.last_score),
            ("p_fast", data.p_fast),
            ("p_slow", data.p_slow),
            ("p_true", data.p_true),
            ("random_baseline", data.random_baseline),
            ("lp_score", data.lp_score),
            ("success_threshold", data.success_threshold),
            ("generator_type", data.generator_type),
        ])?;
        self.table.lock_structure()?.write(data, label)
    }

    /// Records of all live tasks in order of their slots, each as of one instant.
    #[must_use]
    pub fn snapshot(&self) -> Vec<TaskData> {
        let record = |(slot, _)| {
            let (tenant, data) = self.table.record(slot).load();
            tenant.live.then_some(data)
        };
        self.table
            .beside_loads(|| self.table.live_slots().filter_map(record).collect())
    }

    /// Ids of all live tasks in order of their slots.
    #[must_use]
    pub fn task_ids(&self) -> Vec<i64> {
        let id = |(_, tenant): (usize, Tenant)| tenant.task_id;
        self.table
            .beside_loads(|| self.table.live_slots().map(id).collect())
    }

    /// Texts of the labels by number; `None` for label 0 and free ones.
    #[must_use]
    pub fn labels(&self) -> Vec<Option<String>> {
        (0..self.table.layout.labels)
            .map(|label| self.table.label_text(label))
            .collect()
    }

    /// See [`Table::update`].
    ///
    /// # Errors
    /// As there, and `Session`.
    #[inline]
    pub fn update(&self, task_id: i64, score: f64, env_steps: u64) -> Result<f64> {
        self.table.enter()?;
        self.table.update(task_id, score, env_steps)
    }

    /// See [`Table::report`].
    ///
    /// # Errors
    /// As there, and `Session`.
    #[inline]
    pub fn report(&self, ticket: &Ticket, score: f64, env_steps: u64) -> Result<Option<f64>> {
        self.table.enter()?;
        self.table.report(ticket, score, env_steps)
    }

    /// Publishes a task's LP; its weight follows.
    ///
    /// # Errors
    /// `UnknownTask`, `Value`, `LockTimeout`, `Session`.
    pub fn set_lp(&self, task_id: i64, lp_score: f64) -> Result<()> {
        self.table.enter()?;
        check_finite(&[("lp_score", lp_score)])?;
        self.table.modify(task_id, |data| {
            data.lp_score = lp_score;
            data.weight = crate::progress::weigh(&self.table.rules, data).max(0.0);
        })
    }

    /// Sets the EMAs and the baseline of a task.
    ///
    /// # Errors
    /// `UnknownTask`, `Value`, `LockTimeout`, `Session`.
    pub fn set_emas(&self, task_id: i64, [fast, slow, raw, baseline]: [f64; 4]) -> Result<()> {
        self.table.enter()?;
        check_finite(&[
            ("p_fast", fast),
            ("p_slow", slow),
            ("p_true", raw),
            ("random_baseline", baseline),
        ])?;
        self.table.modify(task_id, |data| {
            data.p_fast = fast;
            data.p_slow = slow;
            data.p_true = raw;
            data.random_baseline = baseline;
        })
    }

    /// Sets the score from which an episode of a task is a success.
    ///
    /// # Errors
    /// `UnknownTask`, `Value`, `LockTimeout`, `Session`.
    pub fn set_success_threshold(&self, task_id: i64, threshold: f64) -> Result<()> {
        self.table.enter()?;
        check_finite(&[("success_threshold", threshold)])?;
        self.table
            .modify(task_id, |data| data.success_threshold = threshold)
    }

    /// Sets one column of a task.
    ///
    /// # Errors
    /// `Value` for a column that the session has not, `UnknownTask`, `LockTimeout`, `Session`.
    pub fn set_column(&self, task_id: i64, name: &str, value: f64) -> Result<()> {
        self.table.enter()?;
        check_finite(&[(name, value)])?;
        let column = self.column(name)?;
        self.table
            .modify(task_id, |data| data.columns[column] = value)
    }

    /// The number of a column.
    ///
    /// # Errors
    /// `Value` naming the columns that there are.
    pub fn column(&self, name: &str) -> Result<usize> {
        self.columns
            .iter()
            .position(|column| column == name)
            .ok_or_else(|| {
                Error::Value(format!(
                    "the session has no column {name:?}; it has {:?}",
                    self.columns
                ))
            })
    }

    /// Sets the weight and LP of tasks; false for those that are gone.
    ///
    /// # Errors
    /// `Value` for lengths that differ or a weight out of its range, before anything is written; `LockTimeout`, `Session`.
    pub fn set_weights(&self, task_ids: &[i64], weights: &[f64]) -> Result<Vec<bool>> {
        self.table.enter()?;
        if task_ids.len() != weights.len() {
            return Err(Error::Value(format!(
                "{} tasks and {} weights: one weight a task is needed",
                task_ids.len(),
                weights.len()
            )));
        }
        for weight in weights {
            fixed_weight(*weight)?;
        }
        task_ids
            .iter()
            .zip(weights)
            .map(|(task_id, weight)| {
                let set = self.table.modify(*task_id, |data| {
                    data.weight = *weight;
                    data.lp_score = data.weight;
                });
                match set {
                    Ok(()) => Ok(true),
                    Err(Error::UnknownTask(_)) => Ok(false),
                    Err(error) => Err(error),
                }
            })
            .collect()
    }

    #[inline]
    fn own_stream(&self) -> Result<MutexGuard<'_, Stream>> {
        self.stream.lock(|| self.new_stream(None))
    }

    /// A stream of (session seed, `seed`), or of (session seed, next stream number).
    ///
    /// # Errors
    /// `Session` for the next number in a handle that may not write.
    pub fn new_stream(&self, seed: Option<u64>) -> Result<Stream> {
        /// Keeps streams of reset seeds apart from streams by number.
        const RESET: u64 = 0x5245_5345_5453_4544;
        if let Some(seed) = seed {
            return Ok(Stream::new(self.seed() ^ RESET, seed));
        }
        self.table.enter()?;
        let number = self.table.header().counters.streams.add(1);
        let mut seed = self.seed();
        let copied = self.opened_in != segment::fork_generation();
        if copied && matches!(self.table.segment().place(), Place::Local) {
            // A forked copy of a process-local session has a counter of its own: only the process
            // id tells it from its siblings.
            seed ^= u64::from(std::process::id()) << 32;
        }
        Ok(Stream::new(seed, number))
    }

    /// Draws one task with `stream`, or with the handle's own.
    ///
    /// # Errors
    /// `Empty`, `Session`.
    #[inline]
    pub fn draw(&self, stream: Option<&mut Stream>) -> Result<Ticket> {
        self.table.enter()?;
        match stream {
            Some(stream) => self.table.draw(stream),
            None => self.table.draw(&mut *self.own_stream()?),
        }
    }

    /// Draws `n` tasks, with or without putting back.
    ///
    /// # Errors
    /// `Empty`, `Value` where `n` different ones are not to be had, `Session`.
    pub fn draw_many(
        &self,
        n: usize,
        replace: bool,
        stream: Option<&mut Stream>,
    ) -> Result<Vec<Ticket>> {
        self.table.enter()?;
        let mut own;
        let stream = match stream {
            Some(stream) => stream,
            None => {
                own = self.own_stream()?;
                &mut *own
            }
        };
        if replace {
            let mut tickets = Vec::new();
            tickets.try_reserve_exact(n).map_err(|_| {
                Error::Value(format!(
                    "{n} tickets do not fit into memory; draw fewer at once"
                ))
            })?;
            for _ in 0..n {
                tickets.push(self.table.draw(stream)?);
            }
            Ok(tickets)
        } else {
            self.table.draw_distinct(stream, n)
        }
    }

    /// Ids and the exact distribution that draws follow.
    #[must_use]
    pub fn probabilities(&self) -> (Vec<i64>, Vec<f64>) {
        self.table.beside_loads(|| self.table.distribution())
    }

    /// State of the handle's own stream.
    ///
    /// # Errors
    /// `Session` for a handle that may not write, which has none.
    pub fn stream_state(&self) -> Result<[u64; 4]> {
        self.table.enter()?;
        Ok(self.own_stream()?.state())
    }

    /// Sets the state of the handle's own stream.
    ///
    /// # Errors
    /// `Value` for a state that is none; `Session` as for [`Self::stream_state`].
    pub fn set_stream_state(&self, state: [u64; 4]) -> Result<()> {
        self.table.enter()?;
        self.own_stream()?.set_state(state)
    }

    /// Sums of the session.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.table
            .beside_loads(|| Totals::new(&self.table.fold(), self.table.scheduled()))
    }

    /// Counters of the session.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let header = self.table.header();
        Counts {
            late_reports: header.counters.late_reports.get(),
            recoveries: header.counters.recoveries.get(),
            lock_waits: header.counters.lock_waits.get(),
            score_range: [0, 1].map(|i: usize| header.score_range[i].get_f64()),
        }
    }

    /// Sums of each label that ever had a task.
    #[must_use]
    pub fn label_totals(&self) -> Vec<(String, Totals)> {
        let totals = |label| {
            if self.table.label_words(label)[0].get() == 0 {
                return None;
            }
            let tally = self.table.fold_label(label);
            let samples = self.table.samples(label);
            if tally == Tally::default() && samples == 0 {
                return None;
            }
            Some((self.table.label_text(label)?, Totals::new(&tally, samples)))
        };
        self.table
            .beside_loads(|| (1..self.table.layout.labels).filter_map(totals).collect())
    }

    /// See [`Table::verify`].
    ///
    /// # Errors
    /// As there, and `Session` for a handle that may not write.
    pub fn verify(&self) -> Result<Verified> {
        self.table.enter()?;
        self.table.verify()
    }

    /// Writes a checkpoint, with the state of the handle's own stream; its size in bytes.
    ///
    /// # Errors
    /// `Checkpoint`, `LockTimeout`, `Session`.
    pub fn save(&self, path: &Path) -> Result<u64> {
        self.table.enter()?;
        self.table.save(path, self.stream_state()?)
    }

    /// Replaces all tasks by those of a checkpoint and goes on with its stream of draws.
    ///
    /// # Errors
    /// `Checkpoint` with the session unchanged; `LockTimeout`, `Session`.
    pub fn load(&self, path: &Path) -> Result<()> {
        self.table.enter()?;
        let state = self.table.load(path)?;
        self.set_stream_state(state)
    }
}
