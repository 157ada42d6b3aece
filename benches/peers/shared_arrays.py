"""A plain tracker: NumPy arrays in shared memory behind a `multiprocessing.Lock`."""

from __future__ import annotations

import multiprocessing
from multiprocessing.shared_memory import SharedMemory

import numpy as np
from numpy.typing import NDArray

from benches.peers.plain import PlainPeer, averaged, distribution


class SharedArraysPeer(PlainPeer):
    """Averages and counts as three arrays; each call holds the one lock."""

    name = "NumPy in shared memory, lock"

    def __init__(self, tasks: int) -> None:
        super().__init__(tasks)
        self._memory = SharedMemory(create=True, size=3 * 8 * tasks)
        buffer, column = self._memory.buf, 8 * tasks
        self._fast = np.ndarray(tasks, np.float64, buffer)
        self._slow = np.ndarray(tasks, np.float64, buffer, column)
        self._counts = np.ndarray(tasks, np.int64, buffer, 2 * column)
        self._lock = multiprocessing.get_context("fork").Lock()

    def update(self, task: int, score: float) -> None:
        with self._lock:
            self._fast[task], self._slow[task] = averaged(
                self._fast[task], self._slow[task], self._counts[task], score
            )
            self._counts[task] += 1

    def probabilities(self) -> NDArray[np.float64]:
        with self._lock:
            return distribution(self._fast, self._slow, self._counts)

    def close(self) -> None:
        # Memory cannot be unmapped under arrays.
        del self._fast, self._slow, self._counts
        self._memory.close()
        self._memory.unlink()
