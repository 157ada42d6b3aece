//! The rules of a session.

use curricle_core::progress::{self, Seen};
use curricle_core::record;
use curricle_core::rules::{Baseline, Law, Progress, Rules as Core};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::calls::IntoPython;
use crate::scalars::{Count, Score, Steps};
use crate::task_data::{TaskData, rebuild};

/// How a session turns scores into statistics and weights; fixed for the life of the session.
///
/// Args:
///     ema_alpha: step of ``reward_ema``, ``ema_squared`` and ``success_rate_ema``, in (0, 1].
///     ema_timescale: step ``a`` of the fast EMA and of ``p_true``, in (0, 1].
///     slow_timescale_factor: ``b = a * factor`` is the step of the slow EMA, factor in (0, 1].
///     score_range: ``(lo, hi)`` that maps scores to [0, 1]; ``None`` leaves scores as they are
///         and divides learning progress by the range of the scores that the session has seen.
///     baseline: ``None``, a fixed number in [0, 1), or ``"mean"`` for the mean of a task's first
///         ``baseline_samples`` scores, capped at 0.75.
///     baseline_samples: number of first scores that make the baseline, at least 1.
///     reweighting: ``t`` of R(p) = p(1-t) / (p + t(1-2p)), in (0, 1); 0.5 is the identity.
///     noise_deviations: standard deviations of pure noise taken off the learning progress, >= 0.
///     progress: "bidirectional", "variance" (of the score), "noise-aware", or "given" (set by
///         the caller).
///     law: "proportional", "sigmoid" (z-scored), or "uniform".
///     amplification: ``A`` of the sigmoid law, > 0.
///     floor: share of draws that is uniform over the tasks, in [0, 1].
///     exploration: weight of a task without a score, in [0, 4096).
///     exploration_blend: share of the learning progress in the weight of a task that has
///         scores, but fewer than ``min_samples``, in [0, 1].
///     min_samples: scores from which a task's weight is its learning progress alone.
///     retry_by_column: whether a task that fails is tried again, under "noise-aware", by the weight
///         in its first column, in [0, 4096), instead of a constant.
///     progress_floor: least learning progress, in [0, 4096).
///     performance_bonus: multiple of ``p_true`` added to the learning progress, in [0, 4096).
///     success_threshold: threshold of tasks that name none.
///     generator_type: ``generator_type`` of tasks that name none.
///
/// Raises:
///     ValueError: a number out of its range, or a baseline or reweighting without
///         ``score_range``.
#[pyclass(frozen, eq, module = "curricle._core")]
#[derive(PartialEq)]
pub struct Rules(pub Core);

/// ``baseline`` as Python hands it in.
struct BaselineArgument(Baseline);

impl<'a, 'py> FromPyObject<'a, 'py> for BaselineArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if object.is_none() {
            return Ok(BaselineArgument(Baseline::None));
        }
        match object.extract::<&str>() {
            Ok("mean") => Ok(BaselineArgument(Baseline::Mean)),
            Ok(word) => Err(PyValueError::new_err(format!(
                "baseline = {word:?} is unknown: it is None, \"mean\" or a number in [0, 1)"
            ))),
            Err(_) => Ok(BaselineArgument(Baseline::Fixed(object.extract()?))),
        }
    }
}

#[pymethods]
impl Rules {
    #[new]
    #[pyo3(
        signature = (
            *, ema_alpha = 0.1, ema_timescale = 0.1, slow_timescale_factor = 0.2,
            score_range = None, baseline = BaselineArgument(Baseline::None),
            baseline_samples = Count(5), reweighting = 0.5, noise_deviations = 0.0,
            progress = "bidirectional", law = "proportional", amplification = 10.0, floor = 0.0,
            exploration = 0.1, exploration_blend = 0.5, min_samples = Count(10),
            progress_floor = 0.0, performance_bonus = 0.0, success_threshold = 0.5,
            generator_type = 0.0, retry_by_column = false
        ),
        text_signature = "(*, ema_alpha=0.1, ema_timescale=0.1, slow_timescale_factor=0.2, \
            score_range=None, baseline=None, baseline_samples=5, reweighting=0.5, \
            noise_deviations=0.0, progress='bidirectional', law='proportional', \
            amplification=10.0, floor=0.0, exploration=0.1, exploration_blend=0.5, \
            min_samples=10, progress_floor=0.0, performance_bonus=0.0, success_threshold=0.5, \
            generator_type=0.0, retry_by_column=False)"
    )]
    #[expect(clippy::too_many_arguments, reason = "one keyword a parameter")]
    fn new(
        ema_alpha: f64,
        ema_timescale: f64,
        slow_timescale_factor: f64,
        score_range: Option<(f64, f64)>,
        baseline: BaselineArgument,
        baseline_samples: Count,
        reweighting: f64,
        noise_deviations: f64,
        progress: &str,
        law: &str,
        amplification: f64,
        floor: f64,
        exploration: f64,
        exploration_blend: f64,
        min_samples: Count,
        progress_floor: f64,
        performance_bonus: f64,
        success_threshold: f64,
        generator_type: f64,
        retry_by_column: bool,
    ) -> PyResult<Self> {
        let rules = Core {
            ema_alpha,
            ema_timescale,
            slow_timescale_factor,
            score_range,
            baseline: baseline.0,
            baseline_samples: baseline_samples.0,
            reweighting,
            noise_deviations,
            progress: Progress::parse(progress).into_python()?,
            law: Law::parse(law).into_python()?,
            amplification,
            floor,
            exploration,
            exploration_blend,
            min_samples: min_samples.0,
            progress_floor,
            performance_bonus,
            success_threshold,
            generator_type,
            retry_by_column,
        };
        rules.validate().into_python()?;
        Ok(Rules(rules))
    }

    /// All parameters by name, as the constructor takes them.
    fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let rules = &self.0;
        let dict = PyDict::new(py);
        dict.set_item("ema_alpha", rules.ema_alpha)?;
        dict.set_item("ema_timescale", rules.ema_timescale)?;
        dict.set_item("slow_timescale_factor", rules.slow_timescale_factor)?;
        dict.set_item("score_range", rules.score_range)?;
        match rules.baseline {
            Baseline::None => dict.set_item("baseline", py.None())?,
            Baseline::Fixed(value) => dict.set_item("baseline", value)?,
            Baseline::Mean => dict.set_item("baseline", "mean")?,
        }
        dict.set_item("baseline_samples", rules.baseline_samples)?;
        dict.set_item("reweighting", rules.reweighting)?;
        dict.set_item("noise_deviations", rules.noise_deviations)?;
        dict.set_item("progress", rules.progress.as_str())?;
        dict.set_item("law", rules.law.as_str())?;
        dict.set_item("amplification", rules.amplification)?;
        dict.set_item("floor", rules.floor)?;
        dict.set_item("exploration", rules.exploration)?;
        dict.set_item("exploration_blend", rules.exploration_blend)?;
        dict.set_item("min_samples", rules.min_samples)?;
        dict.set_item("progress_floor", rules.progress_floor)?;
        dict.set_item("performance_bonus", rules.performance_bonus)?;
        dict.set_item("success_threshold", rules.success_threshold)?;
        dict.set_item("generator_type", rules.generator_type)?;
        dict.set_item("retry_by_column", rules.retry_by_column)?;
        Ok(dict)
    }

    /// ValueError for a score out of its range under these rules.
    fn check_score(&self, score: Score) -> PyResult<()> {
        record::check_score(score.0).into_python()?;
        progress::check_in_range(&self.0, score.0).into_python()
    }

    /// The record after one more score; ``data`` stays as it is.
    ///
    /// This is the one place of the update formulas: sessions use it too.
    ///
    /// Args:
    ///     data: the record before the score.
    ///     score: finite, within [-1e9, 1e9] and within ``score_range`` where there is one.
    ///     env_steps: environment steps of the episode, at least 0.
    ///     span: (highest - lowest) score of the session so far, used where there is no
    ///         ``score_range``; ``None`` is 0.
    ///     lowest: the lowest, used by "noise-aware" where there is no ``score_range``.
    ///     now: seconds since the epoch; the ``creation_time`` of a record that has none (0.0).
    ///
    /// Raises:
    ///     ValueError: a score, a span, a lowest score or a number of ``data`` out of its range.
    #[expect(clippy::too_many_arguments, reason = "one keyword a parameter")]
    #[pyo3(
        signature = (data, score, env_steps = Steps(0), *, span = None, lowest = 0.0, now = None),
        text_signature = "($self, data, score, env_steps=0, *, span=None, lowest=0.0, now=None)"
    )]
    fn advance(
        &self,
        py: Python<'_>,
        data: PyRef<'_, TaskData>,
        score: Score,
        env_steps: Steps,
        span: Option<f64>,
        lowest: f64,
        now: Option<f64>,
    ) -> PyResult<TaskData> {
        let span = span.unwrap_or(0.0);
        if !(span.is_finite() && span >= 0.0) {
            return Err(PyValueError::new_err(format!(
                "span = {span:?} is out of range: it is finite and at least 0"
            )));
        }
        record::check_score(lowest).into_python()?;
        self.check_score(score)?;
        let score = score.0;
        let mut record = data.record();
        record::check_record(&record).into_python()?;
        progress::check_baseline(&self.0, record.random_baseline).into_python()?;
        progress::advance(
            &self.0,
            &mut record,
            score,
            env_steps.0,
            Seen { lowest, span },
        );
        if record.creation_time == 0.0 {
            record.creation_time = now.unwrap_or(0.0);
        }
        let label = data.label.as_ref().map(|label| label.clone_ref(py));
        Ok(TaskData::from_record(&record, data.columns.len(), label))
    }

    /// The weight of a record under the proportional law.
    fn weigh(&self, data: PyRef<'_, TaskData>) -> f64 {
        let rules = Core {
            law: Law::Proportional,
            ..self.0.clone()
        };
        progress::weigh(&rules, &data.record())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let arguments = PyTuple::empty(slf.py());
        rebuild(slf.as_any(), arguments, slf.get().as_dict(slf.py())?)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        crate::task_data::show("Rules", &self.as_dict(py)?)
    }
}
