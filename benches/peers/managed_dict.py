"""A plain tracker: a dict of statistics in a `multiprocessing.Manager`, behind its lock."""

from __future__ import annotations

import multiprocessing

import numpy as np
from numpy.typing import NDArray

from benches.interrupts import held_interrupts
from benches.peers.plain import PlainPeer, averaged, distribution


class ManagedDictPeer(PlainPeer):
    """Task id -> (fast average, slow average, count) in the manager's process.

    A report reads one entry and writes it; a draw copies them all and scores them with NumPy.
    """

    name = "dict in a Manager, lock"
    largest = 10_000

    def __init__(self, tasks: int) -> None:
        super().__init__(tasks)
        with held_interrupts():
            self._manager = multiprocessing.get_context("fork").Manager()
        self._stats = self._manager.dict(dict.fromkeys(range(tasks), (0.0, 0.0, 0)))
        self._lock = self._manager.Lock()

    def update(self, task: int, score: float) -> None:
        with self._lock:
            fast, slow, count = self._stats[task]
            self._stats[task] = (*averaged(fast, slow, count, score), count + 1)

    def probabilities(self) -> NDArray[np.float64]:
        with self._lock:
            stats = self._stats.copy()
        table = np.array([stats[task] for task in range(self.tasks)])
        return distribution(table[:, 0], table[:, 1], table[:, 2].astype(np.int64))

    def close(self) -> None:
        self._manager.shutdown()
