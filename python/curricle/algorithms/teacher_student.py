"""A bandit that draws the task whose score changes fastest, whichever way."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from curricle.algorithms.custom import CustomConfig
from curricle.algorithms.score_changes import OpenStep, mean_change
from curricle.config import Count, Positive, Share


class TeacherStudentConfig(CustomConfig):
    """Teacher-student curriculum learning (TSCL), the online algorithm.

    Source: Matiisen et al. 2017, "Teacher-Student Curriculum Learning", section 3, the online
    algorithm. Q <- alpha r + (1 - alpha) Q, where r is the change of a task's score since its last
    episode, and the next task is chosen by |Q|: a score that falls is worth practice as well. Q
    comes from the task's record (`mean_change`); it starts at 0 with the first score, where the
    paper takes a score of 0 to have been before that. A task without a score has Q = 0, and
    comes by the floor.

    Attributes:
        policy: "greedy" draws the tasks of the largest |Q| alike, "boltzmann" by
            exp(|Q| / temperature).
        temperature: of the Boltzmann policy, > 0, in units of the score; that of the paper's
            code.
        floor: epsilon of the epsilon-greedy policy, in [0, 1].
        task_tracker_ema_alpha: alpha, in (0, 1).
    """

    policy: Literal["greedy", "boltzmann"] = "greedy"
    temperature: Positive = 0.0004
    floor: Share = 0.1
    task_tracker_ema_alpha: OpenStep = 0.1
    update_every: Count | None = None

    def weights(self, snapshot: NDArray[Any]) -> NDArray[np.float64]:
        """Weights of draws, shape (n,)."""
        change = np.abs(mean_change(snapshot, self.task_tracker_ema_alpha))
        below = change - change.max(initial=0.0)
        if self.policy == "greedy":
            return np.where(below == 0.0, 1.0, 0.0)
        with np.errstate(over="ignore"):
            weights: NDArray[np.float64] = np.exp(below / self.temperature)
        return weights
