"""Draws the tasks that succeed about as often as they fail."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from curricle.algorithms.custom import CustomConfig
from curricle.config import Share, Step


class LearnabilityConfig(CustomConfig):
    """Sampling for learnability (SFL).

    Source: Rutherford et al. 2024, "No Regrets: Investigating and Improving Regret Approximations
    for Curriculum Discovery", the algorithm "Sampling for Learnability". The learnability of a
    task with success rate p is p (1 - p). A share rho of the episodes comes uniformly from a
    buffer of the K most learnable tasks, the others uniformly from all. Here p is
    ``success_rate_ema``, so that no episodes are spent on estimating it; a task without a score
    counts as p = 1/2.

    Attributes:
        buffer_share: K as a share of the number of tasks, in (0, 1], at least one task; the
            paper has 100 of 5,000. Tasks tied at the last place share it. ``None``: no buffer,
            weights are the learnability itself.
        floor: 1 - rho, in [0, 1]; 0.5 in the paper's code.
        task_tracker_ema_alpha: step of the EMA that p is, in (0, 1].

    Example:
        >>> LearnabilityConfig(buffer_share=None).floor
        0.5
    """

    buffer_share: Step | None = 0.02
    floor: Share = 0.5
    task_tracker_ema_alpha: Step = 0.1

    def weights(self, snapshot: NDArray[Any]) -> NDArray[np.float64]:
        """Weights of draws, shape (n,)."""
        rate = np.where(snapshot["completion_count"] > 0, snapshot["success_rate_ema"], 0.5)
        # Rounding may put the EMA of zeros and ones a little outside [0, 1].
        learnability: NDArray[np.float64] = np.maximum(rate * (1.0 - rate), 0.0)
        if self.buffer_share is None or len(learnability) == 0:
            return learnability
        places = max(1, round(self.buffer_share * len(learnability)))
        last = np.partition(learnability, -places)[-places]
        above, tied = learnability > last, learnability == last
        left = (places - np.count_nonzero(above)) / np.count_nonzero(tied)
        return np.where(above, 1.0, np.where(tied, left, 0.0))
