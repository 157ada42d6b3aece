"""Draws tasks by learning progress and evicts those that have none."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from curricle.algorithms.base import CurriculumAlgorithm
from curricle.backends.base import TaskMemoryBackend
from curricle.config import LearningProgressConfig, NoiseAwareConfig


class LearningProgressAlgorithm(CurriculumAlgorithm):
    """A curriculum by learning progress (Kanitscheider et al. 2021).

    Args:
        num_tasks: number of tasks of the pool, >= 1.
        hypers: the configuration; its rules say how scores become weights.
        backend: where the records live; ``None`` makes one that ``hypers`` asks for.

    Example:
        >>> hypers = LearningProgressConfig(use_shared_memory=False)
        >>> algorithm = LearningProgressAlgorithm(10, hypers)
        >>> algorithm.update_task_performance(3, 0.5)
        >>> algorithm.get_learning_progress_score(3)
        0.0
    """

    hypers: LearningProgressConfig | NoiseAwareConfig

    def __init__(
        self,
        num_tasks: int,
        hypers: LearningProgressConfig | NoiseAwareConfig,
        backend: TaskMemoryBackend | None = None,
    ) -> None:
        super().__init__(num_tasks, hypers, backend)

    @property
    def eviction_rule(self) -> tuple[int, float] | None:
        """Least completions of a task that is evicted, and the share of tasks it is within."""
        if type(self).recommend_eviction is not LearningProgressAlgorithm.recommend_eviction:
            return None
        return self._rule(5)

    def _rule(self, min_presentations: int) -> tuple[int, float]:
        least = max(min_presentations, self.hypers.samples_before_eviction)
        return least, self.hypers.eviction_threshold_percentile

    def recommend_eviction(
        self, ids: Iterable[int] | None = None, min_presentations: int = 5
    ) -> int | None:
        """The task of least learning progress, among ``ids`` (default: all tasks).

        Only a task with at least ``min_presentations`` completions and enough of them for
        learning progress to count (``samples_before_eviction`` of the configuration), and only
        while its learning progress is within the lowest ``eviction_threshold_percentile`` of all
        tasks. ``None`` if there is no such task.
        """
        least, percentile = self._rule(min_presentations)
        if ids is None:
            return self.tracker.choose_eviction(least, percentile)
        table = self.tracker.snapshot()
        wanted = np.isin(table["task_id"], np.fromiter(ids, np.int64))
        eligible = table[wanted & (table["completion_count"] >= least)]
        if len(eligible) == 0:
            return None
        worst = eligible[np.argmin(eligible["lp_score"])]
        lower = np.count_nonzero(table["lp_score"] < worst["lp_score"])
        # The rule of the tracker's own choice, for some tasks only.
        if percentile < 1.0 and lower >= percentile * len(table):
            return None
        return int(worst["task_id"])
