"""The pool of a session: which tasks are in it, and what takes an evicted task's place."""

from __future__ import annotations

import numpy as np

from curricle._core import Stream
from curricle.algorithms.base import CurriculumAlgorithm
from curricle.generators.base import TaskGenerator
from curricle.generators.fixed import FixedTasks

# Any number: sets the streams of ids apart from the streams of draws.
_IDS = 0x9C6E_31B5_0D47_A2F3
_ALL_BITS = 2**64 - 1


class Pool:
    """Fills and renews the pool that all processes of a session share.

    Which ids come is a function of the session's seed and of the tasks that they replace, so
    that several processes fill one pool and a resumed session goes on as it would have.

    Args:
        generator: makes the tasks.
        algorithm: says which task to evict.
        size: number of tasks of the pool.
        max_task_id: ids of a task generator are drawn from 0 to ``max_task_id - 1``.
    """

    def __init__(
        self,
        generator: TaskGenerator,
        algorithm: CurriculumAlgorithm,
        size: int,
        max_task_id: int,
    ) -> None:
        self.generator = generator
        self.algorithm = algorithm
        self.size = size
        self.max_task_id = max_task_id
        self._seed = algorithm.tracker.backend.seed ^ _IDS

    def fill(self) -> None:
        """Creates the tasks of the pool; those that are there, or once were, stay as they are.

        Raises:
            ValueError: the session has tasks beyond a fixed set, so another process has others.
        """
        tracker = self.algorithm.tracker
        if isinstance(self.generator, FixedTasks):
            ids = tracker.get_all_tracked_tasks()
            if ids and not (min(ids) >= 0 and max(ids) < self.size):
                raise ValueError(
                    f"the session has tasks {min(ids)} to {max(ids)}, this curriculum 0 to "
                    f"{self.size - 1}: give all processes the same tasks, or another session"
                )
        # Later, ids that are missing were evicted.
        if tracker.totals()["created"] >= self.size:
            return
        if isinstance(self.generator, FixedTasks):
            tracker.track_many(np.arange(self.size), self.generator.labels())
            return
        for task_id in self._first_ids():
            tracker.track_task_creation(task_id, label=self.generator.task(task_id).get_label())

    def renew(self) -> bool:
        """Evicts the task that the algorithm recommends, if any, and creates a fresh one."""
        tracker = self.algorithm.tracker
        evicted = self.algorithm.recommend_eviction()
        if evicted is None:
            return False
        if len(tracker) > self.size:
            return tracker.remove_task(evicted, evict=True)
        stream = Stream(self._seed, self._tenancy(evicted))
        # Where nearly all ids are in the pool, the task that is there may as well stay.
        for _ in range(64):
            task_id = int(stream.random() * self.max_task_id)
            if task_id not in tracker:
                label = self.generator.task(task_id).get_label()
                return tracker.replace_task(evicted, task_id, label=label)
        return False

    def _tenancy(self, task_id: int) -> int:
        """A number of the task and of its time in the pool."""
        data = self.algorithm.tracker.backend.read(task_id)
        generation = 0 if data is None else data.generation
        return (generation << 32 ^ task_id) & _ALL_BITS

    def _first_ids(self) -> list[int]:
        """``size`` different ids, each set of them equally likely (Floyd's algorithm)."""
        stream = Stream(self._seed, _ALL_BITS)
        ids: dict[int, None] = {}
        for last in range(self.max_task_id - self.size, self.max_task_id):
            task_id = int(stream.random() * (last + 1))
            ids[last if task_id in ids else task_id] = None
        return list(ids)
