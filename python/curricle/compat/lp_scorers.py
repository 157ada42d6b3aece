"""Scores of tasks by learning progress, as objects beside a tracker."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from curricle import checks
from curricle._core import Rules, TaskData
from curricle.config import LearningProgressConfig
from curricle.errors import CheckpointError

if TYPE_CHECKING:
    from curricle.tracker import TaskTracker

__all__ = ["BasicLPScorer", "BidirectionalLPScorer", "LPScorer"]

EmaLaw = tuple[Any, ...]


def ema_law(rules: Rules) -> EmaLaw:
    """All on which p_fast, p_slow, p_true and random_baseline depend besides the scores."""
    names = (
        "ema_timescale",
        "slow_timescale_factor",
        "score_range",
        "baseline",
        "baseline_samples",
    )
    values = rules.as_dict()
    return tuple(values[name] for name in names)


class LPScorer(ABC):
    """Scores tasks by learning progress.

    The records are those of a tracker, which has the scores of all processes. What only
    `update_with_score` was told counts where the tracker has not had more scores of the task: so
    a trainer may tell one of the two, or both, and no score counts twice.

    Args:
        config: steps of the EMAs, exploration bonus and blend.
        tracker: whose tasks are scored; ``None``: those that `update_with_score` names.

    Attributes:
        config: the configuration.
        rules: the configuration's rules.
        ema_law: on what of the rules the EMAs depend.
    """

    def __init__(self, config: LearningProgressConfig, tracker: TaskTracker | None = None) -> None:
        self.config = config
        self.tracker = tracker
        self.rules = config.rules()
        self.ema_law = ema_law(self.rules)
        self._reweighting: float = self.rules.as_dict()["reweighting"]
        # The one law of the core that blends exploration with learning progress.
        self._blend = Rules(
            exploration=config.exploration_bonus,
            exploration_blend=config.exploration_blend_factor,
            min_samples=config.min_samples_for_lp,
        )
        self._told: dict[int, TaskData] = {}

    @abstractmethod
    def learning_progress(self, data: TaskData) -> float:
        """Learning progress of a record that has scores, >= 0."""

    def score_task(self, task_id: int, tracker: TaskTracker | None = None) -> float:
        """Score of a task, >= 0.

        The exploration bonus without a score; its learning progress from ``min_samples_for_lp``
        scores on; between the two a blend.

        Args:
            task_id: the task; an unknown one is one without a score.
            tracker: goes before the scorer's own.
        """
        data = self._record(task_id, tracker)
        if data is None:
            return self.config.exploration_bonus
        return self._blend.weigh(data.replace(lp_score=self.learning_progress(data)))

    def update_with_score(self, task_id: int, score: float) -> None:
        """Tells the scorer a score; in a tracker it counts nothing.

        Raises:
            ValueError: a score out of its range; nothing is changed.
        """
        score = checks.real(score, "score", checks.MAX_SCORE)
        self._told[task_id] = self.rules.advance(
            self._told.get(task_id) or TaskData(task_id), score
        )

    def remove_task(self, task_id: int) -> None:
        """Forgets what `update_with_score` told of a task."""
        self._told.pop(task_id, None)

    def invalidate_cache(self) -> None:
        """Nothing to do: scores are computed from the records when they are asked for."""
        return None

    def get_stats(self) -> dict[str, float]:
        """Number of tasks with a score, and means over them.

        Returns:
            num_tracked_tasks, mean_task_success_rate, mean_learning_progress.
        """
        records = [data for data in self._records() if data.completion_count]
        n = max(len(records), 1)
        return {
            "num_tracked_tasks": float(len(records)),
            "mean_task_success_rate": sum(data.success_rate_ema for data in records) / n,
            "mean_learning_progress": sum(map(self.learning_progress, records)) / n,
        }

    def get_state(self) -> dict[str, Any]:
        """What `update_with_score` told, as a dict that JSON can hold."""
        return {"tasks": {task_id: data.as_dict() for task_id, data in self._told.items()}}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes back to a state; missing keys take their defaults.

        Raises:
            CheckpointError: an entry that cannot be; nothing is changed.
        """
        try:
            told = {}
            for key, fields in state.get("tasks", {}).items():
                task_id = checks.integer(int(key), "task_id", checks.MIN_ID, checks.MAX_ID)
                told[task_id] = _checked(TaskData(**{**fields, "task_id": task_id}))
        except (AttributeError, TypeError, ValueError) as error:
            raise CheckpointError(f"the scorer's state cannot be loaded: {error}") from error
        self._told = told

    def _record(self, task_id: int, tracker: TaskTracker | None) -> TaskData | None:
        told = self._told.get(task_id)
        tracker = tracker or self.tracker
        data = None if tracker is None else tracker.backend.read(task_id)
        if data is None or (told and told.completion_count >= data.completion_count):
            return told or data
        return data

    def _records(self) -> list[TaskData]:
        ids = dict.fromkeys(self._told)
        if self.tracker is not None:
            ids |= dict.fromkeys(self.tracker.get_all_tracked_tasks())
        found = (self._record(task_id, None) for task_id in ids)
        return [data for data in found if data is not None]


class BidirectionalLPScorer(LPScorer):
    """Learning progress |R(p_fast) - R(p_slow)|, up and down alike (Kanitscheider et al. 2021).

    R(p) = p (1 - t) / (p + t (1 - 2p)) with t = ``early_progress_amplification`` for p in [0, 1],
    the identity at t = 0.5. To it comes ``performance_bonus_weight`` times p_true; the sum is at
    least ``progress_smoothing``.

    Example:
        >>> scorer = BidirectionalLPScorer(LearningProgressConfig(use_shared_memory=False))
        >>> for episode in range(20):
        ...     scorer.update_with_score(1, episode / 20)
        ...     scorer.update_with_score(2, 0.5)
        >>> scorer.score_task(1) > scorer.score_task(2)
        True
    """

    def learning_progress(self, data: TaskData) -> float:
        """|R(p_fast) - R(p_slow)| of a record, with the bonus."""
        config = self.config
        progress = abs(self._reweight(data.p_fast) - self._reweight(data.p_slow))
        bonus = config.performance_bonus_weight * data.p_true
        return max(progress + bonus, config.progress_smoothing, 0.0)

    def _reweight(self, p: float) -> float:
        t = self._reweighting
        if t == 0.5:
            return p
        # Outside [0, 1] there is a pole. Rules have such a t for bounded scores only.
        p = min(max(p, 0.0), 1.0)
        return p * (1.0 - t) / (p + t * (1.0 - 2.0 * p))


class BasicLPScorer(LPScorer):
    """Learning progress as the variance of the score, E[y^2] - E[y]^2 by EMAs of both."""

    def learning_progress(self, data: TaskData) -> float:
        """Variance of a record's score."""
        return max(data.ema_squared - data.reward_ema**2, 0.0)


def _checked(data: TaskData) -> TaskData:
    for name, value in data.as_dict().items():
        if isinstance(value, float):
            checks.real(value, name)
    return data
