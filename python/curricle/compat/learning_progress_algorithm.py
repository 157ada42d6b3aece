"""Draws by the sigmoid of the z-scored learning progress."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from curricle import algorithms
from curricle import config as clean
from curricle._core import Rules, TaskData, Ticket
from curricle.backends.base import TaskMemoryBackend
from curricle.compat.config import LearningProgressConfig, drop_in
from curricle.compat.labelled_algorithm import LabelledAlgorithm, id_of
from curricle.errors import UnknownTaskError
from curricle.tasks import CurriculumTask

__all__ = ["LearningProgressAlgorithm", "LearningProgressConfig"]


class LearningProgressAlgorithm(LabelledAlgorithm, algorithms.LearningProgressAlgorithm):
    """The drop-in algorithm: p = (1 - floor) w / sum(w) + floor / n, w = sigmoid(A (LP - mu) / s).

    mu and s are mean and standard deviation of LP over the tasks (at s = 0 all tasks are alike),
    A is ``z_score_amplification`` and the floor is ``rand_task_rate``. LP is in units of the
    score, or of ``score_range`` where that is given. A task without a score counts as one whose
    LP is ``exploration_bonus``, so that its share of the draws does not depend on the number of
    tasks; up to ``min_samples_for_lp`` scores its own LP takes over.

    Args:
        num_tasks: number of tasks of the pool, >= 1.
        hypers: the configuration.
        backend: where the records live; ``None`` makes one that ``hypers`` asks for.

    Example:
        >>> hypers = LearningProgressConfig(use_shared_memory=False)
        >>> algorithm = LearningProgressAlgorithm(2, hypers)
        >>> algorithm.get_learning_progress_score(3)
        0.1
        >>> algorithm.score_tasks([3, 4])
        {3: 0.5, 4: 0.5}
    """

    hypers: clean.LearningProgressConfig

    def __init__(
        self,
        num_tasks: int,
        hypers: clean.LearningProgressConfig,
        backend: TaskMemoryBackend | None = None,
    ) -> None:
        config = drop_in(hypers)
        super().__init__(num_tasks, config, backend)
        self._gives_progress = config.score_range is None
        self._law = LearningProgressConfig.rules(config)
        # What makes the blend of exploration and LP; a session weighs by it under this law only.
        self._blend = Rules(
            law="proportional",
            exploration=config.exploration_bonus,
            exploration_blend=config.exploration_blend_factor,
            min_samples=config.min_samples_for_lp,
        )
        self.hypers = hypers

    def score_tasks(self, ids: Iterable[int]) -> dict[int, float]:
        """The share that each task has of the draws, by id.

        A task that the tracker does not know counts as if it were in the pool without a score.
        """
        wanted = list(ids)
        if not wanted:
            return {}
        table = self.tracker.snapshot()
        progress = dict(zip(table["task_id"].tolist(), table["lp_score"].tolist(), strict=True))
        for task_id in wanted:
            progress.setdefault(task_id, self.hypers.exploration_bonus)
        shares = dict(zip(progress, self._shares(np.array([*progress.values()])), strict=True))
        return {task_id: float(shares[task_id]) for task_id in wanted}

    def _shares(self, progress: NDArray[np.float64]) -> NDArray[np.float64]:
        deviation = progress.std()
        if deviation < 1e-12:
            return np.full(len(progress), 1.0 / max(len(progress), 1))
        z = (progress - progress.mean()) / deviation
        # The logistic function, which overflows nowhere in this form.
        weights = 0.5 * (1.0 + np.tanh(0.5 * self.hypers.z_score_amplification * z))
        floor = self.hypers.rand_task_rate
        shares: NDArray[np.float64] = weights / weights.sum()
        return (1.0 - floor) * shares + floor / len(progress)

    def get_learning_progress_score(self, task_id: int) -> float:
        """Learning progress of a task; ``exploration_bonus`` if it is unknown."""
        stats = self.tracker.get_task_stats(task_id)
        return self.hypers.exploration_bonus if stats is None else stats["lp_score"]

    def update_task_performance(self, task_id: int, score: float) -> None:
        """One score; creates the task if it is unknown.

        Raises:
            ValueError: a score that is not finite, beyond 1e9 or outside of ``score_range``;
                nothing is written.
            CapacityError: an unknown task and a full table.
        """
        after = self._advance(task_id, score)
        self.tracker.update(task_id, score)
        self._settle(task_id, after)

    def report(self, ticket: Ticket, score: float) -> bool:
        """The score of a drawn task, once; False if the task was evicted since: it is late."""
        after = self._advance(ticket.task_id, score)
        in_time = super().report(ticket, score)
        if in_time:
            self._settle(ticket.task_id, after)
        return in_time

    def _advance(self, task_id: int, score: float) -> TaskData | None:
        """The record after the score, for its LP; ``None`` where the core makes that."""
        if not self._gives_progress:
            return None
        before = self.tracker.backend.read(task_id) or TaskData(task_id)
        return self._law.advance(before, score, span=1.0)

    def _settle(self, task_id: int, after: TaskData | None) -> None:
        if after is None:
            self.explore(task_id)
        else:
            self._publish(after)

    def on_task_created(self, task: CurriculumTask) -> None:
        """Takes a task into the pool."""
        super().on_task_created(task)
        self.explore(id_of(task))

    def explore(self, task_id: int) -> None:
        """Sets the LP of a task with few scores to its blend with the exploration bonus."""
        data = self.tracker.backend.read(task_id)
        if data is not None and self._has_few_scores(data):
            self._publish(data)

    def _has_few_scores(self, data: TaskData) -> bool:
        return data.completion_count < self.hypers.min_samples_for_lp

    def _publish(self, data: TaskData) -> None:
        few = self._has_few_scores(data)
        lp_score = self._blend.weigh(data) if few else data.lp_score
        # Evicted by another process since, there is nothing to publish for.
        with suppress(UnknownTaskError):
            self.tracker.backend.set_lp(data.task_id, lp_score)
