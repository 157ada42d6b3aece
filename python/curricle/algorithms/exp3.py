"""A bandit against an adversary: weights that grow and shrink with the rewards of the draws."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from curricle.algorithms.custom import CustomConfig
from curricle.config import Count, NonNegative, Positive, Share

_COUNTED = "exp3_counted"
# Quantiles of the learning progress that are mapped to the rewards -1 and 1.
_LOW, _HIGH = 0.2, 0.8


class Exp3Config(CustomConfig):
    """Exp3.S, the bandit of automated curriculum learning.

    Source: Graves et al. 2017, "Automated Curriculum Learning for Neural Networks", its bandit,
    after Auer et al. 2002, "The nonstochastic multiarmed bandit problem". With N tasks, before
    the t-th draw, where the one before was of task a by its probability pi(a),

        r'_i = (r [i = a] + beta) / pi(i)
        w_i <- log((1 - 1/t) exp(w_i + eta r'_i) + 1/t / (N - 1) sum_{j != i} exp(w_j + eta r'_j))
        pi(i) = (1 - epsilon) exp(w_i) / sum_j exp(w_j) + epsilon / N

    The reward r is the task's learning progress |p_fast - p_slow| after the completion, mapped to
    [-1, 1] so that its 0.2 quantile becomes -1 and its 0.8 quantile 1, and cut there; where the two
    are equal, what is above them becomes 1, what is below -1. The paper takes the quantiles over
    the rewards so far; here they are those of the present learning progress of the tasks that have
    a score.

    exp(w) is the weight that the task's record has, and so all processes share it. A column of the
    record says how many of its completions are in it. Several completions since the last call are
    taken in at once, by the same pi, with K / t in place of 1 / t for K of them.

    Attributes:
        learning_rate: eta, > 0.
        bias: beta, >= 0.
        floor: epsilon, in [0, 1].
    """

    columns = (_COUNTED,)

    learning_rate: Positive = 0.001
    bias: NonNegative = 0.0
    floor: Share = 0.05
    update_every: Count | None = None

    def weights(self, snapshot: NDArray[Any]) -> NDArray[np.float64]:
        """Weights of draws, shape (n,); takes the completions since the last call in."""
        weights: NDArray[np.float64] = snapshot["weight"].copy()
        completions = snapshot["completion_count"].astype(np.float64)
        fresh = np.maximum(completions - snapshot[_COUNTED], 0.0)
        steps = float(fresh.sum())
        tasks = len(snapshot)
        if steps == 0.0 or tasks < 2:
            return weights
        total = weights.sum()
        shares = weights / total if total > 0.0 else np.full(tasks, 1.0 / tasks)
        drawn = (1.0 - self.floor) * shares + self.floor / tasks
        gains = fresh * self._rewards(snapshot) + self.bias * steps
        with np.errstate(divide="ignore", invalid="ignore"):
            # A task of probability 0 that was reported without a draw gains nothing by it.
            logs = np.log(shares) + np.where(drawn > 0.0, self.learning_rate * gains / drawn, 0.0)
        grown = np.exp(logs - logs.max())
        sharing = steps / (completions.sum() + 1.0)
        weights = (1.0 - sharing) * grown + sharing * (grown.sum() - grown) / (tasks - 1)
        snapshot[_COUNTED] = completions
        return np.maximum(weights, 0.0)

    def _rewards(self, snapshot: NDArray[Any]) -> NDArray[np.float64]:
        """Reward r of each task, in [-1, 1], shape (n,)."""
        progress = np.abs(snapshot["p_fast"] - snapshot["p_slow"])
        low, high = np.quantile(progress[snapshot["completion_count"] > 0], [_LOW, _HIGH])
        rewards: NDArray[np.float64] = np.sign(progress - low)
        if high > low:
            rewards = np.clip(2.0 * (progress - low) / (high - low) - 1.0, -1.0, 1.0)
        return rewards
