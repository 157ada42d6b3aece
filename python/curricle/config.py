"""Configurations of the two curricula: by learning progress, and uniform."""

from __future__ import annotations

import difflib
import os
import secrets
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from curricle._core import Rules
from curricle.checks import MAX_LABELS

SESSION_VARIABLE = "CURRICLE_SESSION"


class _OwnSize(int):
    """A preset's own size of the pool, by which it knows that the caller gave none."""


_PRESET_TASKS = _OwnSize(256)

Step = Annotated[float, Field(gt=0.0, le=1.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Positive = Annotated[float, Field(gt=0.0)]
# The core's weights are below 4096.
Exploration = Annotated[float, Field(ge=0.0, lt=4096.0)]
Count = Annotated[int, Field(ge=1)]
CountOrNone = Annotated[int, Field(ge=0)]
SyncEpisodes = Annotated[int, Field(ge=0, le=2**32)]
Labels = Annotated[int, Field(ge=1, le=MAX_LABELS)]


def session_name() -> str:
    """The session that the environment names (CURRICLE_SESSION), else a new unique name."""
    return os.environ.get(SESSION_VARIABLE) or f"curricle-{os.getpid()}-{secrets.token_hex(8)}"


class SessionConfig(BaseModel, ABC):
    """What both curricula share: the size of the table, its statistics and its session.

    Attributes:
        ema_timescale: step of the fast EMA of the score, in (0, 1].
        slow_timescale_factor: the slow EMA's step is ``ema_timescale`` times this, in (0, 1].
        score_range: ``(lo, hi)`` that maps scores to [0, 1]. ``None``: scores of any range, and
            learning progress is divided by the range that the session has seen. Rounding, 1e-9
            of the range, is allowed for.
        noise_deviations: standard deviations of pure noise taken off the learning progress, of
            which 1/256 stays in any case; >= 0.
        num_active_tasks: size of the pool of tasks that draws choose from, >= 1.
        max_memory_tasks: capacity of the table, at least ``num_active_tasks``; follows it where
            only ``num_active_tasks`` is given.
        max_labels: labels that the table has room for, in [1, 65536]; each takes about 5 kB.
            ``None``: one for each task and each inactive label, at least 256 and at most 4096,
            or more where a fixed set of tasks has more.
        max_inactive_labels_retained: labels without tasks that keep an entry of their own, >= 0.
        task_tracker_ema_alpha: step of ``reward_ema`` and ``success_rate_ema``, in (0, 1].
        task_default_success_threshold: score from which an episode is a success: where it is not
            given, the middle of ``score_range``, or 0.5 without one. Name it where scores are of
            another size: `NoiseAwareConfig` tries again what does not succeed.
        task_default_generator_type: ``generator_type`` of tasks that name none.
        sync_episodes: episodes that may lie between two syncs with other machines, in
            [0, 2**32]; each takes 32 bytes of the session, as does each task. 0: none, this
            machine trains alone. See `Curriculum.sync`.
        use_shared_memory: whether other processes share the table.
        session_id: name of the shared session. ``None`` becomes a name when the config is made
            (CURRICLE_SESSION, else a new one), so that copies of the config share a session.

    Raises:
        pydantic.ValidationError: (a ``ValueError``) an unknown field, a wrong type, a number out
            of its range, or fields that contradict each other.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True
    )

    ema_timescale: Step = 0.1
    slow_timescale_factor: Step = 0.2
    score_range: tuple[float, float] | None = None
    noise_deviations: NonNegative = 1.5
    num_active_tasks: Count = 1000
    max_memory_tasks: Count = 1000
    max_labels: Labels | None = None
    max_inactive_labels_retained: CountOrNone = 100
    task_tracker_ema_alpha: Step = 0.02
    task_default_success_threshold: float = 0.5
    task_default_generator_type: float = 0.0
    sync_episodes: SyncEpisodes = 0
    use_shared_memory: bool = True
    session_id: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, fields: Any) -> Any:
        if isinstance(fields, Mapping):
            for name in fields:
                if name not in cls.model_fields:
                    close = difflib.get_close_matches(str(name), cls.model_fields, n=1)
                    hint = f"; did you mean {close[0]!r}?" if close else ""
                    raise ValueError(f"{cls.__name__} has no field {name!r}{hint}")
        return fields

    @field_validator("score_range", mode="before")
    @classmethod
    def _range_from_list(cls, bounds: Any) -> Any:
        # YAML and JSON have no tuples.
        return tuple(bounds) if isinstance(bounds, list) else bounds

    @field_validator("score_range")
    @classmethod
    def _range_ascends(cls, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        if bounds is not None and not -1e9 <= bounds[0] < bounds[1] <= 1e9:
            raise ValueError(f"{bounds} is no range (lo, hi) with -1e9 <= lo < hi <= 1e9")
        return bounds

    @abstractmethod
    def rules(self) -> Rules:
        """The rules that a session of this config follows."""

    def statistics_rules(self) -> dict[str, Any]:
        """What of the rules makes a task's statistics, for each algorithm alike."""
        return {
            "ema_alpha": self.task_tracker_ema_alpha,
            "ema_timescale": self.ema_timescale,
            "slow_timescale_factor": self.slow_timescale_factor,
            "score_range": self.score_range,
            "success_threshold": self.task_default_success_threshold,
            "generator_type": self.task_default_generator_type,
        }

    @model_validator(mode="after")
    def _threshold_within_range(self) -> Self:
        if self.score_range is None:
            return self
        low, high = self.score_range
        if "task_default_success_threshold" not in self.model_fields_set:
            object.__setattr__(self, "task_default_success_threshold", low + (high - low) / 2.0)
        elif not low <= self.task_default_success_threshold <= high:
            raise ValueError(
                f"task_default_success_threshold={self.task_default_success_threshold} lies "
                f"outside score_range=({low}, {high}), so that all episodes would be alike; leave "
                "it out for the middle, or take a score between"
            )
        return self

    @model_validator(mode="after")
    def _pool_fits(self) -> Self:
        if self.num_active_tasks > self.max_memory_tasks:
            given = self.model_fields_set
            if "num_active_tasks" not in given:
                object.__setattr__(self, "num_active_tasks", self.max_memory_tasks)
            elif "max_memory_tasks" not in given:
                object.__setattr__(self, "max_memory_tasks", self.num_active_tasks)
            else:
                raise ValueError(
                    f"max_memory_tasks={self.max_memory_tasks} is below "
                    f"num_active_tasks={self.num_active_tasks}: the table must hold the pool"
                )
        return self

    @model_validator(mode="after")
    def _session_named(self) -> Self:
        if self.session_id == "":
            raise ValueError('session_id="" names no session; give a name, or leave it out')
        if "session_id" not in self.model_fields_set and not self.use_shared_memory:
            # A name that was made, not given, goes with the session.
            object.__setattr__(self, "session_id", None)
        if self.session_id is not None and not self.use_shared_memory:
            raise ValueError(
                f"session_id={self.session_id!r} contradicts use_shared_memory=False, which has "
                "no session to name; leave one out"
            )
        if self.session_id is None and self.use_shared_memory:
            object.__setattr__(self, "session_id", session_name())
        return self


class LearningProgressConfig(SessionConfig):
    """A curriculum that draws tasks by learning progress.

    Learning progress is |R(p_fast) - R(p_slow)|, the distance of a fast from a slow EMA of the
    score (Kanitscheider et al. 2021; OMNI, Zhang et al. 2023), less what noise alone would give.

    Attributes:
        sampling: "proportional" to the learning progress, or "sigmoid" of its z-score.
        use_bidirectional: ``False`` takes the variance of the score as learning progress.
        use_baseline_normalization: count a score by how far it is above the mean of the task's
            first ``baseline_samples`` scores. Acts where ``score_range`` is given.
        baseline_samples: number of first scores that make the baseline, >= 1.
        exploration_bonus: weight of a task without a score, on the scale of learning progress, in
            [0, 4096).
        exploration_blend_factor: share of the learning progress in the weight of a task with
            fewer than ``min_samples_for_lp`` scores, in [0, 1].
        min_samples_for_lp: scores from which a task's weight is its learning progress alone.
        progress_smoothing: least learning progress, >= 0.
        performance_bonus_weight: multiple of ``p_true`` added to the learning progress, >= 0.
        z_score_amplification: slope of the sigmoid, > 0; acts with ``sampling="sigmoid"``.
        early_progress_amplification: ``t`` of R(p) = p(1-t) / (p + t(1-2p)), in (0, 1); 0.5 is
            the identity, anything else needs ``score_range``.
        rand_task_rate: share of draws that is uniform over the pool, in [0, 1].
        eviction_threshold_percentile: a task is evicted only while its learning progress is
            within this lowest share of the pool, in [0, 1].

    Fields of earlier trackers that no longer mean anything are accepted with a
    ``DeprecationWarning``; `_MEANINGLESS` says why for each.

    Example:
        >>> config = LearningProgressConfig(score_range=(0.0, 1.0), num_active_tasks=64)
        >>> config.rules().as_dict()["baseline"]
        'mean'
    """

    sampling: Literal["proportional", "sigmoid"] = "proportional"
    use_bidirectional: bool = True
    use_baseline_normalization: bool = True
    baseline_samples: Count = 5
    exploration_bonus: Exploration = 0.1
    exploration_blend_factor: Share = 0.5
    min_samples_for_lp: CountOrNone = 10
    progress_smoothing: NonNegative = 0.0
    performance_bonus_weight: NonNegative = 0.0
    z_score_amplification: Positive = 10.0
    early_progress_amplification: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    rand_task_rate: Share = 0.01
    eviction_threshold_percentile: Share = 0.4

    lp_score_temperature: float = 0.0
    sample_threshold: int = 10
    memory: int = 25
    basic_ema_initial_alpha: float = 0.3
    basic_ema_alpha_decay: float = 0.2
    max_slice_axes: int = 3
    enable_detailed_slice_logging: bool = False
    task_struct_size: int | None = None
    completion_history_size: int = 1000
    performance_mode: bool = False
    show_curriculum_troubleshooting_logging: bool = False
    perf_invalidation_batch_size: int = 100
    perf_cache_task_list: bool = True
    perf_log_metrics: bool = False
    initial_weights: Any = None

    _MEANINGLESS: ClassVar[dict[str, str]] = {
        "lp_score_temperature": "z_score_amplification sets how sharp the sigmoid is",
        "sample_threshold": "min_samples_for_lp says from when learning progress counts",
        "memory": "a task's history is its EMAs",
        "basic_ema_initial_alpha": "the variance comes from EMAs of task_tracker_ema_alpha",
        "basic_ema_alpha_decay": "the variance comes from EMAs of task_tracker_ema_alpha",
        "max_slice_axes": "statistics are kept by task and by label",
        "enable_detailed_slice_logging": "statistics are kept by task and by label",
        "task_struct_size": "the compiled core owns the layout of a record",
        "completion_history_size": "totals are exact and need no history",
        "performance_mode": "there is no slower mode",
        "show_curriculum_troubleshooting_logging": "use Curriculum.metrics() and explain()",
        "perf_invalidation_batch_size": "there is no cache to invalidate",
        "perf_cache_task_list": "the list of tasks is not cached",
        "perf_log_metrics": "use Curriculum.metrics()",
        "initial_weights": "a task without a score has the weight exploration_bonus",
    }

    @model_validator(mode="after")
    def _bounded_where_needed(self) -> Self:
        if self.score_range is not None:
            return self
        if "use_baseline_normalization" in self.model_fields_set and (
            self.use_baseline_normalization and self.use_bidirectional
        ):
            raise ValueError(
                "use_baseline_normalization=True needs scores with known bounds: give "
                "score_range=(lo, hi), or leave use_baseline_normalization out"
            )
        if self.early_progress_amplification != 0.5:
            raise ValueError(
                f"early_progress_amplification={self.early_progress_amplification} needs scores "
                "with known bounds: give score_range=(lo, hi), or leave it at 0.5"
            )
        return self

    @model_validator(mode="after")
    def _warn_of_meaningless(self) -> Self:
        for name in sorted(self.model_fields_set & self._MEANINGLESS.keys()):
            warnings.warn(
                f"LearningProgressConfig.{name} no longer means anything: "
                f"{self._MEANINGLESS[name]}",
                DeprecationWarning,
                stacklevel=3,
            )
        return self

    @property
    def samples_before_eviction(self) -> int:
        """Scores below which no task is evicted: before, there is no learning progress."""
        return self.min_samples_for_lp

    def rules(self) -> Rules:
        """The rules that a session of this config follows."""
        normalises = (
            self.use_baseline_normalization
            and self.use_bidirectional
            and self.score_range is not None
        )
        return Rules(
            **self.statistics_rules(),
            baseline="mean" if normalises else None,
            baseline_samples=self.baseline_samples,
            reweighting=self.early_progress_amplification,
            noise_deviations=self.noise_deviations,
            progress="bidirectional" if self.use_bidirectional else "variance",
            law=self.sampling,
            amplification=self.z_score_amplification,
            floor=self.rand_task_rate,
            exploration=self.exploration_bonus,
            exploration_blend=self.exploration_blend_factor,
            min_samples=self.min_samples_for_lp,
            progress_floor=self.progress_smoothing,
            performance_bonus=self.performance_bonus_weight,
        )

    @classmethod
    def default(cls, num_active_tasks: int = _PRESET_TASKS, **overrides: Any) -> Self:
        """The defaults, with a pool of 256 tasks."""
        return cls._preset(num_active_tasks, {}, overrides)

    @classmethod
    def stable(cls, num_active_tasks: int = _PRESET_TASKS, **overrides: Any) -> Self:
        """Slower EMAs, more scores before learning progress counts, and more uniform draws."""
        fields = {"ema_timescale": 0.03, "min_samples_for_lp": 20, "rand_task_rate": 0.05}
        return cls._preset(num_active_tasks, fields, overrides)

    @classmethod
    def fast_learning(cls, num_active_tasks: int = _PRESET_TASKS, **overrides: Any) -> Self:
        """Faster EMAs and fewer scores before learning progress counts."""
        fields = {"ema_timescale": 0.2, "min_samples_for_lp": 5}
        return cls._preset(num_active_tasks, fields, overrides)

    @classmethod
    def arena_legacy(cls, num_active_tasks: int = _PRESET_TASKS, **overrides: Any) -> Self:
        """The constants of the first tracker, with draws by the sigmoid of the z-score."""
        fields = {
            "sampling": "sigmoid",
            "ema_timescale": 0.001,
            "progress_smoothing": 0.05,
            "rand_task_rate": 0.25,
            "task_tracker_ema_alpha": 0.1,
        }
        return cls._preset(num_active_tasks, fields, overrides)

    @classmethod
    def _preset(
        cls, num_active_tasks: int, fields: dict[str, Any], overrides: dict[str, Any]
    ) -> Self:
        config = cls(**({"num_active_tasks": num_active_tasks} | fields | overrides))
        if num_active_tasks is _PRESET_TASKS:
            # A preset's own size of the pool is not the caller's word against another one.
            config.model_fields_set.discard("num_active_tasks")
        return config


class NoiseAwareConfig(SessionConfig):
    """A curriculum that draws tasks by the evidence that their scores rise.

    What noise explains is no learning progress: coin flips, impossible and mastered tasks have
    none, and a first success of a task that always failed is much of it (derivation, sources and
    constants: `docs/learning-progress.md`). Scores between 0 and 1 (``score_range``,
    else the range that the session has seen) count like so many successes; learning progress is in
    [0, 1]. A task that does not succeed is tried again now and then, one that does less often.
    The EMAs of score, squared score and success are means until they have 1/step scores.

    Attributes:
        noise_deviations: standard deviations of noise that the difference of the two EMAs has to
            exceed, where scores vary less than coin flips; >= 0.
        exploration_bonus: weight of a task without a score, on the scale of learning progress, in
            [0, 4096).
        min_samples_for_lp: scores from which a task's weight is its learning progress alone.
        min_samples_for_eviction: scores below which no task is evicted, >= 0.
        rand_task_rate: share of draws that is uniform over the pool, in [0, 1].
        eviction_threshold_percentile: a task is evicted only while its learning progress is
            within this lowest share of the pool, in [0, 1].

    Example:
        >>> NoiseAwareConfig(score_range=(0.0, 1.0)).rules().as_dict()["progress"]
        'noise-aware'
    """

    ema_timescale: Step = 0.3
    task_tracker_ema_alpha: Step = 0.05
    noise_deviations: NonNegative = 1.25
    exploration_bonus: Exploration = 0.1
    min_samples_for_lp: CountOrNone = 3
    min_samples_for_eviction: CountOrNone = 20
    rand_task_rate: Share = 0.05
    eviction_threshold_percentile: Share = 0.4

    @property
    def samples_before_eviction(self) -> int:
        """Scores below which no task is evicted."""
        return self.min_samples_for_eviction

    def rules(self) -> Rules:
        """The rules that a session of this config follows."""
        return Rules(
            **self.statistics_rules(),
            noise_deviations=self.noise_deviations,
            progress="noise-aware",
            floor=self.rand_task_rate,
            exploration=self.exploration_bonus,
            exploration_blend=1.0,
            min_samples=self.min_samples_for_lp,
        )


class UniformConfig(SessionConfig):
    """A curriculum that draws every task of its pool alike.

    Learning progress is still tracked and reported, so that runs can be compared.
    """

    def rules(self) -> Rules:
        """The rules that a session of this config follows."""
        return Rules(
            **self.statistics_rules(),
            noise_deviations=self.noise_deviations,
            law="uniform",
        )
