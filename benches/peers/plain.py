"""What the two plain trackers have in common: learning progress over arrays, and a draw by it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from benches.peers.base import Peer

FAST = 0.1
SLOW = 0.02
FLOOR = 0.1
UNTRIED = 0.1


class PlainPeer(Peer):
    """A tracker that scores all tasks anew at each draw."""

    def __init__(self, tasks: int) -> None:
        super().__init__(tasks)
        self._rng = np.random.default_rng()

    def draw(self) -> int:
        # rng.choice would check the probabilities and copy them first.
        sums = np.cumsum(self.probabilities())
        at = np.searchsorted(sums, self._rng.random() * sums[-1], side="right")
        return min(int(at), self.tasks - 1)

    def report(self, drawn: int, score: float) -> None:
        self.update(drawn, score)

    def wrap(self, env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
        # A forked worker would draw what all others draw.
        self._rng = np.random.default_rng()
        return super().wrap(env)


def averaged(fast: float, slow: float, count: int, score: float) -> tuple[float, float]:
    """The fast and the slow average after one more score; the first score begins both."""
    if count == 0:
        return score, score
    return fast + FAST * (score - fast), slow + SLOW * (score - slow)


def distribution(
    fast: NDArray[np.float64], slow: NDArray[np.float64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Chances proportional to learning progress, with a uniform floor.

    Kanitscheider et al. 2021: progress is the distance of a fast from a slow average of scores.

    Args:
        fast: fast averages, shape (n,).
        slow: slow averages, shape (n,).
        counts: scores of each task, shape (n,); a task without any has the weight ``UNTRIED``.

    Returns:
        Shape (n,), sums to 1.
    """
    weights = np.where(counts == 0, UNTRIED, np.abs(fast - slow))
    total = weights.sum()
    if total == 0.0:
        return np.full(len(weights), 1.0 / len(weights))
    return (1.0 - FLOOR) * weights / total + FLOOR / len(weights)
