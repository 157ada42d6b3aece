//! The table of one session.

use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::path::PathBuf;

use curricle_core::episode_ends::Eviction;
use curricle_core::segment::{Mode, Opened, Place};
use curricle_core::{Error, Limits, NewTask, Session as Core, SessionOptions, TaskData as Record};
use numpy::PyArray1;
use pyo3::exceptions::{PyRuntimeWarning, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::arrays::{copied, counts, same_length};
use crate::calls::{IntoPython, detached, scan, single, sized};
use crate::ended::Ended;
use crate::labels::LabelCache;
use crate::rules::Rules;
use crate::scalars::{Count, Draws, Label, Score, Seed, Steps, TaskId};
use crate::steering::seconds;
use crate::stream::{Stream, Words, words};
use crate::task_data::TaskData;
use crate::ticket::Ticket;
use crate::{options, snapshot, steering, totals};

/// The table of one session: by ``name``, by ``path``, or of this process alone (neither).
///
/// All methods may be called from any thread and any process. Reads take no lock.
#[pyclass(frozen, module = "curricle._core")]
pub struct Session {
    pub(crate) core: Core,
    labels: LabelCache,
}

/// A draw takes about as long as a scan of so many slots.
const SLOTS_A_DRAW: usize = 200;

/// An array of shape (n,).
type Array<'py, T> = Bound<'py, PyArray1<T>>;

/// What finds a session again: name, path, its random number, read-only, lock timeout.
type Address<'a> = (Option<&'a str>, Option<&'a PathBuf>, u64, bool, f64);

fn warn(py: Python<'_>, message: &str) -> PyResult<()> {
    let category = py.get_type::<PyRuntimeWarning>();
    PyErr::warn(py, &category, &CString::new(message)?, 1)
}

impl Session {
    fn open(py: Python<'_>, options: &SessionOptions) -> PyResult<Self> {
        let core = detached(py, || Core::open(options))?;
        if core.opened() == Opened::Replaced {
            let warning = format!(
                "session {:?} was left behind by processes that are gone; it was made anew",
                core.table().segment().name().unwrap_or_default()
            );
            warn(py, &warning)?;
        }
        Ok(Session {
            core,
            labels: LabelCache::default(),
        })
    }

    /// The session for a read, which works without being attached but not when closed.
    #[inline]
    fn opened(&self) -> PyResult<&Core> {
        if self.core.is_closed() {
            // Says what was closed.
            self.core
                .table()
                .segment()
                .ensure_attached()
                .into_python()?;
        }
        Ok(&self.core)
    }

    fn slots(&self) -> usize {
        self.core.table().layout.shape.capacity
    }
}

#[pymethods]
impl Session {
    #[new]
    #[pyo3(
        signature = (
            capacity = None, rules = None, *, name = None, path = None,
            content = String::new(), columns = Vec::new(),
            max_labels = Count(256), max_inactive_labels = Count(100),
            sync_episodes = Count(0), seed = Seed(0),
            mode = "create-or-attach", persist = false, lock_timeout = 10.0
        ),
        text_signature = "(capacity=None, rules=None, *, name=None, path=None, content='', columns=(), \
            max_labels=256, max_inactive_labels=100, sync_episodes=0, seed=0, \
            mode='create-or-attach', persist=False, lock_timeout=10.0)"
    )]
    #[expect(clippy::too_many_arguments, reason = "one keyword a parameter")]
    fn new(
        py: Python<'_>,
        capacity: Option<Count>,
        rules: Option<&Rules>,
        name: Option<String>,
        path: Option<PathBuf>,
        content: String,
        columns: Vec<String>,
        max_labels: Count,
        max_inactive_labels: Count,
        sync_episodes: Count,
        seed: Seed,
        mode: &str,
        persist: bool,
        lock_timeout: f64,
    ) -> PyResult<Self> {
        options::check_columns(&columns)?;
        let options = SessionOptions {
            capacity: capacity.map(options::size),
            rules: rules.map(|rules| rules.0.clone()),
            place: options::place(name, path)?,
            content,
            columns,
            max_labels: options::size(max_labels),
            max_inactive_labels: options::size(max_inactive_labels),
            sync_episodes: options::size(sync_episodes),
            seed: seed.0,
            mode: options::mode(mode)?,
            persist,
            lock_timeout: options::lock_timeout(lock_timeout)?,
        };
        Session::open(py, &options)
    }

    #[getter]
    fn name(&self) -> Option<&str> {
        self.core.table().segment().name()
    }

    #[getter]
    fn path(&self) -> Option<String> {
        match self.core.table().segment().place() {
            Place::Path(path) => Some(path.to_string_lossy().into_owned()),
            Place::Local | Place::Name(_) => None,
        }
    }

    #[getter]
    fn capacity(&self) -> usize {
        self.slots()
    }

    #[getter]
    fn rules(&self) -> Rules {
        Rules(self.core.table().rules.clone())
    }

    #[getter]
    fn content(&self) -> String {
        self.core.content()
    }

    #[getter]
    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.core.columns())
    }

    #[getter]
    fn max_labels(&self) -> usize {
        self.core.table().layout.shape.max_labels
    }

    #[getter]
    fn seed(&self) -> u64 {
        self.core.seed()
    }

    /// Whether this handle made the session.
    #[getter]
    fn created(&self) -> bool {
        matches!(self.core.opened(), Opened::Created | Opened::Replaced)
    }

    #[getter]
    fn read_only(&self) -> bool {
        self.core.table().segment().is_read_only()
    }

    #[getter]
    fn closed(&self) -> bool {
        self.core.is_closed()
    }

    /// Bytes of memory that the session has reserved.
    #[getter]
    fn nbytes(&self) -> usize {
        self.core.table().segment().len()
    }

    /// When the session was made, seconds since the epoch; None for one of this process alone.
    #[getter]
    fn created_at(&self) -> Option<f64> {
        self.core.table().segment().origin().created.map(seconds)
    }

    /// Whether a process is attached, handles that only read aside: a few system calls.
    #[getter]
    fn live(&self, py: Python<'_>) -> PyResult<bool> {
        detached(py, || self.core.table().segment().is_live())
    }

    /// Leaves the session; the last process to leave removes it unless it persists.
    ///
    /// Args:
    ///     discard: remove it then even if it persists, as a session that came to nothing.
    #[pyo3(signature = (*, discard = false))]
    fn close(&self, py: Python<'_>, discard: bool) -> PyResult<()> {
        detached(py, || {
            if discard {
                self.core.discard()
            } else {
                self.core.close()
            }
        })
    }

    fn __repr__(&self) -> String {
        let table = self.core.table();
        let place = match table.segment().place() {
            Place::Name(name) => format!("name={name:?}"),
            Place::Path(path) => format!("path={path:?}"),
            Place::Local => "of this process".to_owned(),
        };
        if self.core.is_closed() {
            return format!("Session({place}, closed)");
        }
        let (tasks, capacity) = (table.len(), table.layout.shape.capacity);
        format!("Session({place}, {tasks} of {capacity} tasks)")
    }

    fn __len__(&self) -> PyResult<usize> {
        Ok(self.opened()?.table().len())
    }

    fn __contains__(&self, task_id: &Bound<'_, PyAny>) -> PyResult<bool> {
        let table = self.opened()?.table();
        Ok(task_id
            .extract::<i64>()
            .is_ok_and(|task_id| table.find(task_id).is_some()))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Address<'_>)> {
        let table = self.opened()?.table();
        let (segment, timeout) = (table.segment(), table.lock_timeout.as_secs_f64());
        let (name, path) = match segment.place() {
            Place::Name(name) => (Some(name.as_str()), None),
            Place::Path(path) => (None, Some(path)),
            Place::Local => {
                return Err(PyTypeError::new_err(
                    "a session of this process alone cannot be pickled: open it with a name or \
                     a path, and other processes can join it",
                ));
            }
        };
        let rejoin = py.import("curricle._core")?.getattr("_rejoin")?;
        Ok((
            rejoin,
            (
                name,
                path,
                segment.generation(),
                segment.is_read_only(),
                timeout,
            ),
        ))
    }

    /// Creates a task.
    ///
    /// Returns:
    ///     True if the task is new, False if it was there already (and is left as it is).
    ///
    /// Raises:
    ///     CapacityError: the table of tasks or of labels is full.
    ///     ValueError: a number or label out of its range.
    #[pyo3(signature = (
        task_id, *, success_threshold = None, seed = None, generator_type = None, label = None
    ))]
    fn create(
        &self,
        py: Python<'_>,
        task_id: TaskId,
        success_threshold: Option<f64>,
        seed: Option<Seed>,
        generator_type: Option<f64>,
        label: Option<Label>,
    ) -> PyResult<bool> {
        let (seed, label) = (seed.map(|seed| seed.0), label.map(|label| label.0));
        let new = NewTask {
            success_threshold,
            seed,
            generator_type,
            label: label.as_deref(),
        };
        detached(py, || self.core.create(task_id.0, &new))
    }

    /// Creates tasks, shape (n,), with labels, n of them.
    ///
    /// Returns:
    ///     True where the task is new, shape (n,), bool.
    ///
    /// Raises:
    ///     CapacityError: there is no room for all new tasks; nothing was created then, unless
    ///         other processes took the room meanwhile.
    #[pyo3(signature = (task_ids, labels = None))]
    fn create_many<'py>(
        &self,
        py: Python<'py>,
        task_ids: &Bound<'py, PyAny>,
        labels: Option<Vec<Option<Label>>>,
    ) -> PyResult<Array<'py, bool>> {
        let ids = copied::<i64>("task_ids", task_ids)?;
        if let Some(labels) = &labels {
            same_length(("task_ids", ids.len()), ("labels", labels.len()))?;
        }
        let labels: Vec<_> = labels
            .into_iter()
            .flatten()
            .map(|label| label.map(|label| label.0))
            .collect();
        let created = detached(py, || self.core.create_many(&ids, &labels))?;
        Ok(PyArray1::from_vec(py, created))
    }

    /// Evicts one task and creates another in one operation.
    ///
    /// False, and nothing done, if ``evicted`` is gone or ``task_id`` is there already.
    #[pyo3(signature = (evicted, task_id, *, label = None))]
    fn replace(
        &self,
        py: Python<'_>,
        evicted: TaskId,
        task_id: TaskId,
        label: Option<Label>,
    ) -> PyResult<bool> {
        let label = label.map(|label| label.0);
        detached(py, || {
            self.core.replace(evicted.0, task_id.0, label.as_deref())
        })
    }

    /// Removes a task, or evicts it, and keeps its counts in the totals; False if it is unknown.
    #[pyo3(signature = (task_id, *, evict = false))]
    fn remove(&self, py: Python<'_>, task_id: TaskId, evict: bool) -> PyResult<bool> {
        detached(py, || self.core.remove(task_id.0, evict))
    }

    /// Removes all tasks, labels and totals.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        detached(py, || self.core.clear())
    }

    /// Labels a task, or takes its label off; UnknownTaskError if the task is unknown.
    fn set_label(&self, py: Python<'_>, task_id: TaskId, label: Option<Label>) -> PyResult<()> {
        let label = label.map(|label| label.0);
        detached(py, || self.core.set_label(task_id.0, label.as_deref()))
    }

    /// Limits the share of the draws that the tasks of a label get; 0 and 1 take limits off.
    ///
    /// Every process follows them from its next draw on. They are kept in units of 1e-9, and the
    /// label is not folded into "other" while it has them.
    ///
    /// Raises:
    ///     ValueError: not 0 <= least <= most <= 1, or least shares that add up to more than 1.
    ///     CapacityError: the table of labels is full.
    #[pyo3(signature = (label, least = 0.0, most = 1.0))]
    fn limit_share(&self, py: Python<'_>, label: Label, least: f64, most: f64) -> PyResult<()> {
        let limits = Limits { least, most };
        detached(py, || self.core.limit_share(&label.0, limits))
    }

    /// Freezes or thaws learning progress and weights, and makes draws uniform or not, in all
    /// processes from their next call on; None leaves either as it is.
    ///
    /// Frozen tasks are drawn as they were, and none is evicted: scores count, and averages follow
    /// them, but not what is drawn by. Thawed, each task's progress follows at its next score.
    #[pyo3(signature = (*, frozen = None, uniform = None))]
    fn steer(&self, py: Python<'_>, frozen: Option<bool>, uniform: Option<bool>) -> PyResult<()> {
        detached(py, || self.core.steer(frozen, uniform))
    }

    /// Whether learning progress and weights are frozen.
    #[getter]
    fn frozen(&self) -> PyResult<bool> {
        Ok(self.opened()?.table().is_frozen())
    }

    /// Whether every task is drawn alike, whatever the session's law.
    #[getter]
    fn uniform(&self) -> PyResult<bool> {
        Ok(self.opened()?.table().draws_uniformly())
    }

    /// The last 32 changes of limits, freezing and uniform draws, oldest first.
    ///
    /// Returns:
    ///     For each: ``serial``, its number from 1; ``time``, seconds since the epoch; ``pid``;
    ///     ``act``, one of "freeze", "draw_uniformly" (both with ``on``) and "limit_share" (with
    ///     ``label``, ``least`` and ``most``); None for what an act has not.
    fn acts<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        steering::acts(py, self.opened()?.table().acts())
    }

    /// The labels that have limits: the least and the most share of the draws.
    fn share_limits(&self) -> PyResult<BTreeMap<String, (f64, f64)>> {
        let pair = |(label, Limits { least, most })| (label, (least, most));
        Ok(self
            .opened()?
            .share_limits()
            .into_iter()
            .map(pair)
            .collect())
    }

    /// The shares of draws of labels that have limits and tasks, and (None) of all other tasks
    /// together: by the law alone, and under the limits. Empty where no label has limits.
    fn limited_shares(&self) -> PyResult<HashMap<Option<String>, (f64, f64)>> {
        Ok(self.opened()?.limited_shares().into_iter().collect())
    }

    /// The label of a task, None for none; UnknownTaskError if the task is unknown.
    fn label(&self, py: Python<'_>, task_id: TaskId) -> PyResult<Option<Py<PyString>>> {
        let core = self.opened()?;
        let data = core
            .read(task_id.0)
            .ok_or(Error::UnknownTask(task_id.0))
            .into_python()?;
        Ok(self.labels.get(py, core.table(), data.label))
    }

    /// A task's record as of one instant; None if it is unknown.
    fn read(&self, py: Python<'_>, task_id: TaskId) -> PyResult<Option<TaskData>> {
        let core = self.opened()?;
        let mut data = Record::new(task_id.0);
        Ok(core.read_into(task_id.0, &mut data).then(|| {
            let label = self.labels.get(py, core.table(), data.label);
            TaskData::from_record(&data, core.columns().len(), label)
        }))
    }

    /// One numeric field (or column) as a float.
    ///
    /// Raises:
    ///     UnknownTaskError: the task is unknown.
    ///     ValueError: no such field.
    fn field(&self, task_id: TaskId, name: &str) -> PyResult<f64> {
        self.opened()?.field(task_id.0, name).into_python()
    }

    /// Writes a whole record; creates the task if it is unknown.
    ///
    /// ``generation`` and ``weight`` of ``data`` are ignored: the session owns them. Without any
    /// columns, ``data`` sets those of the session to 0.
    ///
    /// Raises:
    ///     ValueError: ``data`` is of another task, has another number of columns than the
    ///         session, or a number that is not finite.
    fn write(&self, py: Python<'_>, task_id: TaskId, data: PyRef<'_, TaskData>) -> PyResult<()> {
        if data.task_id != task_id {
            return Err(PyValueError::new_err(format!(
                "the record is of task {}, not of task {}: use data.replace(task_id={})",
                data.task_id.0, task_id.0, task_id.0
            )));
        }
        let (given, here) = (data.columns.len(), self.core.columns().len());
        if given != 0 && given != here {
            return Err(PyValueError::new_err(format!(
                "the record has {given} columns, the session {here}: {:?}",
                self.core.columns()
            )));
        }
        let record = data.record();
        let label = data.label_text(py)?.map(str::to_owned);
        drop(data);
        detached(py, || self.core.write(&record, label.as_deref()))
    }

    /// The slot of a task, None if it is unknown; creation takes the lowest free slot.
    fn index(&self, task_id: TaskId) -> PyResult<Option<usize>> {
        Ok(self.opened()?.table().find(task_id.0))
    }

    /// Ids of all tasks in order of their slots, shape (n,), int64.
    fn task_ids<'py>(&self, py: Python<'py>) -> PyResult<Array<'py, i64>> {
        let core = self.opened()?;
        Ok(PyArray1::from_vec(
            py,
            scan(py, self.slots(), || core.task_ids()),
        ))
    }

    /// All records, shape (n,), in order of their slots, each as of one instant.
    ///
    /// Returns:
    ///     A structured array with the names of ``TaskData`` (``label`` as index into
    ///     ``labels()``, -1 for none) and one float64 field a column.
    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let core = self.opened()?;
        let columns = core.columns();
        let words = scan(py, self.slots(), || {
            snapshot::words(&core.snapshot(), columns.len())
        });
        snapshot::structured(py, words, columns)
    }

    /// The texts of the labels by their index in ``snapshot()``; None for an index not in use.
    fn labels(&self) -> PyResult<Vec<Option<String>>> {
        Ok(self.opened()?.labels())
    }

    /// One score under the rules; an unknown task is created. Returns the task's LP.
    #[pyo3(
        signature = (task_id, score, env_steps = Steps(0)),
        text_signature = "($self, task_id, score, env_steps=0)"
    )]
    fn update(
        &self,
        py: Python<'_>,
        task_id: TaskId,
        score: Score,
        env_steps: Steps,
    ) -> PyResult<f64> {
        single(py, || self.core.update(task_id.0, score.0, env_steps.0))
    }

    /// One score an element, shape (n,), in their order.
    ///
    /// Checked whole before the first write; then each element is an update of its own.
    ///
    /// Returns:
    ///     LP per element, shape (n,), float64; NaN where a full table kept an unknown task out.
    #[pyo3(signature = (task_ids, scores, env_steps = None))]
    fn update_many<'py>(
        &self,
        py: Python<'py>,
        task_ids: &Bound<'py, PyAny>,
        scores: &Bound<'py, PyAny>,
        env_steps: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Array<'py, f64>> {
        let ids = copied::<i64>("task_ids", task_ids)?;
        let scores = copied::<f64>("scores", scores)?;
        same_length(("task_ids", ids.len()), ("scores", scores.len()))?;
        let steps = counts("env_steps", env_steps)?;
        if let Some(steps) = &steps {
            same_length(("task_ids", ids.len()), ("env_steps", steps.len()))?;
        }
        let lps = detached(py, || {
            self.core
                .update_many(&ids, &scores, steps.as_deref().unwrap_or_default())
        })?;
        Ok(PyArray1::from_vec(py, lps))
    }

    /// Reports a drawn episode once.
    ///
    /// Returns:
    ///     LP after it, or None if the task was evicted since (counted as late).
    ///
    /// Raises:
    ///     ValueError: the ticket was reported before, or a score out of its range.
    #[pyo3(
        signature = (ticket, score, env_steps = Steps(0)),
        text_signature = "($self, ticket, score, env_steps=0)"
    )]
    fn report(
        &self,
        py: Python<'_>,
        ticket: &Ticket,
        score: Score,
        env_steps: Steps,
    ) -> PyResult<Option<f64>> {
        single(py, || self.core.report(ticket.core(), score.0, env_steps.0))
    }

    /// Reports drawn episodes, each once, with scores of shape (n,).
    ///
    /// Checked whole before the first write; then each element is a report of its own.
    ///
    /// Returns:
    ///     LP per element, shape (n,), float64; NaN where the task was evicted since the draw
    ///     (counted as late).
    ///
    /// Raises:
    ///     ValueError: lengths that differ, a score out of its range, a ticket that was reported
    ///         before or comes twice.
    #[pyo3(signature = (tickets, scores, env_steps = None))]
    fn report_many<'py>(
        &self,
        py: Python<'py>,
        tickets: Vec<PyRef<'py, Ticket>>,
        scores: &Bound<'py, PyAny>,
        env_steps: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Array<'py, f64>> {
        let ended = Ended::copied(&tickets, scores, env_steps)?;
        let lps = detached(py, || self.core.report_many(&ended.view()))?;
        Ok(PyArray1::from_vec(py, lps))
    }

    /// Reports drawn episodes as `report_many` does, then draws ``n`` tasks as `draw_many` does,
    /// in one call.
    ///
    /// Args:
    ///     eviction: ``(min_presentations, percentile)`` of `choose_eviction`, to be asked between
    ///         the two. Where it names a task, nothing is drawn.
    ///
    /// Returns:
    ///     LP per report, shape (k,), float64; what was drawn; the task to evict or None.
    #[pyo3(signature = (tickets, scores, env_steps, n, *, stream = None, eviction = None))]
    #[allow(clippy::too_many_arguments, clippy::type_complexity)]
    fn report_and_draw<'py>(
        &self,
        py: Python<'py>,
        tickets: Vec<PyRef<'py, Ticket>>,
        scores: &Bound<'py, PyAny>,
        env_steps: Option<&Bound<'py, PyAny>>,
        n: Count,
        stream: Option<&Stream>,
        eviction: Option<(Count, f64)>,
    ) -> PyResult<(Array<'py, f64>, Vec<Ticket>, Option<i64>)> {
        let ended = Ended::copied(&tickets, scores, env_steps)?;
        let n = options::size(n);
        let eviction = eviction
            .map(|(min_presentations, percentile)| {
                options::percentile(percentile).map(|percentile| Eviction {
                    min_presentations: min_presentations.0,
                    percentile,
                })
            })
            .transpose()?;
        let mut stream = stream.map(|stream| stream.take(py));
        let stream = stream.as_deref_mut();
        let begun = detached(py, || {
            self.core
                .report_and_draw(&ended.view(), eviction, n, stream)
        })?;
        let tickets = begun.tickets.into_iter().map(Ticket::from).collect();
        Ok((PyArray1::from_vec(py, begun.lps), tickets, begun.evict))
    }

    /// Sets the score from which an episode of a task is a success; the rest of it stays.
    fn set_success_threshold(
        &self,
        py: Python<'_>,
        task_id: TaskId,
        success_threshold: f64,
    ) -> PyResult<()> {
        single(py, || {
            self.core
                .set_success_threshold(task_id.0, success_threshold)
        })
    }

    /// Publishes an LP that the caller computed; the task's weight follows from it.
    fn set_lp(&self, py: Python<'_>, task_id: TaskId, lp_score: f64) -> PyResult<()> {
        single(py, || self.core.set_lp(task_id.0, lp_score))
    }

    /// Sets the EMAs and the baseline of a task; its LP stays.
    fn set_emas(
        &self,
        py: Python<'_>,
        task_id: TaskId,
        p_fast: f64,
        p_slow: f64,
        p_true: f64,
        random_baseline: f64,
    ) -> PyResult<()> {
        let emas = [p_fast, p_slow, p_true, random_baseline];
        single(py, || self.core.set_emas(task_id.0, emas))
    }

    /// Sets one column of a task.
    fn set_column(&self, py: Python<'_>, task_id: TaskId, name: &str, value: f64) -> PyResult<()> {
        single(py, || self.core.set_column(task_id.0, name, value))
    }

    /// Sets one column of tasks, shape (n,), finite.
    ///
    /// Returns:
    ///     False where the task is gone, shape (n,), bool.
    fn set_columns<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        task_ids: &Bound<'py, PyAny>,
        values: &Bound<'py, PyAny>,
    ) -> PyResult<Array<'py, bool>> {
        let ids = copied::<i64>("task_ids", task_ids)?;
        let values = copied::<f64>("values", values)?;
        same_length(("task_ids", ids.len()), ("values", values.len()))?;
        let known = detached(py, || self.core.set_columns(name, &ids, &values))?;
        Ok(PyArray1::from_vec(py, known))
    }

    /// Weights of draws, shape (n,), each in [0, 4096).
    ///
    /// Returns:
    ///     False where the task is gone, shape (n,), bool.
    fn set_weights<'py>(
        &self,
        py: Python<'py>,
        task_ids: &Bound<'py, PyAny>,
        weights: &Bound<'py, PyAny>,
    ) -> PyResult<Array<'py, bool>> {
        let ids = copied::<i64>("task_ids", task_ids)?;
        let weights = copied::<f64>("weights", weights)?;
        same_length(("task_ids", ids.len()), ("weights", weights.len()))?;
        let known = detached(py, || self.core.set_weights(&ids, &weights))?;
        Ok(PyArray1::from_vec(py, known))
    }

    /// One task by weight; LookupError from an empty table.
    #[pyo3(signature = (stream = None))]
    fn draw(&self, py: Python<'_>, stream: Option<&Stream>) -> PyResult<Ticket> {
        let mut stream = stream.map(|stream| stream.take(py));
        let mut stream = stream.as_deref_mut();
        single(py, || self.core.draw(stream.as_deref_mut())).map(Ticket::from)
    }

    /// ``n`` tasks by weight, one after the other, with or without putting back.
    ///
    /// Raises:
    ///     LookupError: the table is empty.
    ///     ValueError: without putting back, fewer than ``n`` tasks can be drawn.
    #[pyo3(signature = (n, *, replace = true, stream = None))]
    fn draw_many(
        &self,
        py: Python<'_>,
        n: Draws,
        replace: bool,
        stream: Option<&Stream>,
    ) -> PyResult<Vec<Ticket>> {
        let n = options::size(Count(n.0));
        let mut stream = stream.map(|stream| stream.take(py));
        let mut stream = stream.as_deref_mut();
        let draw = || self.core.draw_many(n, replace, stream.as_deref_mut());
        let tickets = sized(py, n.saturating_mul(SLOTS_A_DRAW), draw)?;
        Ok(tickets.into_iter().map(Ticket::from).collect())
    }

    /// Ids, shape (n,), int64, and the exact distribution that draws follow, shape (n,), float64.
    fn probabilities<'py>(&self, py: Python<'py>) -> PyResult<(Array<'py, i64>, Array<'py, f64>)> {
        let core = self.opened()?;
        let (ids, shares) = scan(py, self.slots(), || core.probabilities());
        Ok((PyArray1::from_vec(py, ids), PyArray1::from_vec(py, shares)))
    }

    /// The task of least LP among those with at least ``min_presentations`` completions.
    ///
    /// None where there is none, or where its LP is not within the lowest ``percentile`` (in
    /// [0, 1]) of all.
    #[pyo3(
        signature = (min_presentations = Count(5), percentile = 1.0),
        text_signature = "($self, min_presentations=5, percentile=1.0)"
    )]
    fn choose_eviction(
        &self,
        py: Python<'_>,
        min_presentations: Count,
        percentile: f64,
    ) -> PyResult<Option<i64>> {
        let percentile = options::percentile(percentile)?;
        let table = self.opened()?.table();
        Ok(scan(py, self.slots(), || {
            table.choose_eviction(min_presentations.0, percentile)
        }))
    }

    /// A stream of (session seed, seed), or of (session seed, next stream number).
    #[pyo3(signature = (seed = None))]
    fn stream(&self, py: Python<'_>, seed: Option<Seed>) -> PyResult<Stream> {
        let core = self.opened()?;
        let stream = single(py, || core.new_stream(seed.map(|seed| seed.0)))?;
        Ok(stream.into())
    }

    /// State of the stream that ``draw()`` uses in this handle.
    #[getter]
    fn stream_state(&self) -> PyResult<(u64, u64, u64, u64)> {
        Ok(self.core.stream_state().into_python()?.into())
    }

    #[setter]
    fn set_stream_state(&self, words: Words) -> PyResult<()> {
        self.core.set_stream_state(self::words(words)).into_python()
    }

    /// Sums and counters of the session; see the names for what they are.
    ///
    /// ``completions``, ``score_sum`` and ``env_steps`` are of the session's whole life, those
    /// that start with ``live_`` of the tasks that are there. ``score_min`` and ``score_max`` are
    /// NaN before the first score, and where the rules have a ``score_range``.
    fn totals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let core = self.opened()?;
        totals::session(py, &core.totals(), &core.counts())
    }

    /// Sums of each label that ever had a task; ``lp_sum`` and ``lp_mean`` are of live tasks.
    fn label_totals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        totals::labels(py, &self.opened()?.label_totals())
    }

    /// The labels that changed since a call that returned ``versions`` (all, for None).
    ///
    /// Returns:
    ///     ``versions`` for the next call, and a row for each label: its number, its text (None
    ///     for a label that is gone), the mean LP of its live tasks, completions, draws, the mean
    ///     score and evictions of its whole life.
    #[pyo3(signature = (versions = None))]
    fn label_changes<'py>(
        &self,
        py: Python<'py>,
        versions: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Array<'py, u64>, Vec<totals::LabelRow>)> {
        let core = self.opened()?;
        let mut versions = match versions {
            Some(versions) => copied::<u64>("versions", versions)?,
            None => Vec::new(),
        };
        let rows = core
            .label_changes(&mut versions)
            .into_iter()
            .map(|(label, totals)| {
                let text = totals.and_then(|_| self.labels.get(py, core.table(), label as u32));
                totals::label_row(label, text, &totals.unwrap_or_default())
            })
            .collect();
        Ok((PyArray1::from_vec(py, versions), rows))
    }

    /// Holds records, index, labels and totals against each other.
    ///
    /// To be exact no update may be in flight.
    ///
    /// Raises:
    ///     SessionError: names what disagrees.
    fn verify<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        totals::verified(py, &detached(py, || self.core.verify())?)
    }

    /// Digest of what nodes have in common after a sync, 32 hexadecimal digits.
    ///
    /// Of the tasks with their labels and statistics, the totals, and the range of scores; not of
    /// draws, columns, limits, the order of slots, and, where the caller gives it, learning
    /// progress with the weights. Exact where nothing changes meanwhile.
    fn digest(&self, py: Python<'_>) -> PyResult<String> {
        let core = self.opened()?;
        let digest = scan(py, self.slots(), || core.digest());
        Ok(format!("{digest:032x}"))
    }

    /// Episodes that may lie between two syncs with other machines; 0 where there is no journal.
    #[getter]
    fn sync_episodes(&self) -> usize {
        self.core.table().layout.shape.sync_episodes
    }

    /// Writes a checkpoint (atomically); returns its size in bytes.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<u64> {
        detached(py, || self.core.save(&path))
    }

    /// Replaces the tasks by those of a checkpoint, all or nothing, and the seed by its own.
    ///
    /// Raises:
    ///     CheckpointError: names what failed; the session is unchanged.
    ///
    /// Warns:
    ///     RuntimeWarning: it was saved under other rules. Those of the session stay.
    fn load(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        match detached(py, || self.core.load(&path))? {
            None => Ok(()),
            Some(difference) => warn(
                py,
                &format!(
                    "{} was saved under other rules: {difference} (here: the checkpoint, there: \
                     this session); its statistics stay what its own rules made of the scores",
                    path.display()
                ),
            ),
        }
    }
}

/// The session that a pickled handle is of.
#[pyfunction]
pub fn _rejoin(
    py: Python<'_>,
    name: Option<String>,
    path: Option<PathBuf>,
    generation: u64,
    read_only: bool,
    lock_timeout: f64,
) -> PyResult<Session> {
    let options = SessionOptions {
        capacity: None,
        rules: None,
        place: options::place(name, path)?,
        content: String::new(),
        columns: Vec::new(),
        max_labels: 0,
        max_inactive_labels: 0,
        sync_episodes: 0,
        seed: 0,
        mode: if read_only {
            Mode::ReadOnly
        } else {
            Mode::Attach
        },
        persist: false,
        lock_timeout: options::lock_timeout(lock_timeout)?,
    };
    let session = Session::open(py, &options)?;
    let segment = session.core.table().segment();
    if segment.generation() != generation {
        return Err(Error::Session(format!(
            "{}: the session is another one than the handle was pickled from, which is gone; \
             pickle a handle of this one",
            segment.path().unwrap_or(std::path::Path::new("")).display()
        )))
        .into_python();
    }
    Ok(session)
}
