"""Draws every task alike."""

from __future__ import annotations

from curricle.algorithms.base import CurriculumAlgorithm
from curricle.backends.base import TaskMemoryBackend
from curricle.config import UniformConfig


class UniformAlgorithm(CurriculumAlgorithm):
    """Draws every task alike and evicts none; learning progress is tracked all the same.

    Args:
        num_tasks: number of tasks of the pool, >= 1.
        hypers: the configuration.
        backend: where the records live; ``None`` makes one that ``hypers`` asks for.
    """

    def __init__(
        self,
        num_tasks: int,
        hypers: UniformConfig,
        backend: TaskMemoryBackend | None = None,
    ) -> None:
        super().__init__(num_tasks, hypers, backend)
