"""What a student is."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

MOST_TASKS = 1_000_000
"""Tasks that a student has at most."""

TIME_LIMIT = 100
"""Environment steps of an episode that fails."""


class Student(Protocol):
    """Someone who plays tasks and learns from it, made of a few lines instead of an agent.

    A student repeats exactly under its seed.

    Attributes:
        num_tasks: number of tasks; their ids are 0 to ``num_tasks - 1``.
        kinds: what kind of task each one is, by id.
        goals: number of skills that can be mastered, >= 1.
        success_threshold: score from which an episode counts as a success.
        parameters: what is known of the tasks before anyone has played them, by id: shape
            (num_tasks, d), within [0, 1], larger where a task may be expected to be harder.
    """

    num_tasks: int
    kinds: tuple[str, ...]
    goals: int
    success_threshold: float
    parameters: NDArray[np.float64]

    def play(self, task_id: int) -> tuple[float, int]:
        """Plays an episode of a task and learns from it; returns its score and its steps."""
        ...

    def mastered(self) -> int:
        """Number of skills that are mastered now, at most ``goals``."""
        ...


def episode_steps(success: float) -> int:
    """Environment steps of an episode of a synthetic student.

    A failure lasts until the time limit, a success half as long: what cannot be solved costs more
    than what can. (The students' sources count episodes only.)

    Args:
        success: how well the episode went, in [0, 1].
    """
    return round(TIME_LIMIT * (1.0 - success / 2.0))
