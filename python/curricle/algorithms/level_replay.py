"""Draws again the tasks whose last episode has shown that there is something to learn."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from curricle.algorithms.custom import CustomConfig
from curricle.algorithms.score_changes import OpenStep, last_surprise
from curricle.config import Count, Positive, Share


class LevelReplayConfig(CustomConfig):
    """Prioritized level replay (PLR).

    Source: Jiang et al. 2021, "Prioritized Level Replay", section 3. A task that was played comes
    by P = (1 - rho) P_S + rho P_C, where P_S is proportional to h(S)^(1/beta) of its learning
    potential S, with h = 1 / rank or h = S, and the staleness P_C to the time since it was last
    played. Of n tasks, of which k were played, k/n of the draws are such replays, and each task
    that was not has 1/n: the paper's annealing of its replay decision for a finite set of tasks.
    The defaults are those of the paper on Procgen.

    The paper's S is the mean size of the generalised advantage estimates of the task's last
    episode, which only the learner knows. It may report it as the score (``potential="score"``;
    ``score=None`` keeps `CurriculumEnv` from reporting another). By default S is |x - m|, the last
    score less the EMA before it: the error of a critic that knows of a task only its mean return.
    That needs two scores, and a task with one counts as not played.

    Attributes:
        prioritization: h, 1 / "rank" of S or S itself ("proportional", negative values as 0).
            Equal S share the weights of their ranks.
        temperature: beta, > 0.
        staleness: rho, in [0, 1].
        potential: S is the "surprise" |x - m|, or the last "score".
        task_tracker_ema_alpha: step of m, in (0, 1).
    """

    prioritization: Literal["rank", "proportional"] = "rank"
    temperature: Positive = 0.1
    staleness: Share = 0.1
    potential: Literal["surprise", "score"] = "surprise"
    task_tracker_ema_alpha: OpenStep = 0.1
    update_every: Count | None = None

    def weights(self, snapshot: NDArray[Any]) -> NDArray[np.float64]:
        """Weights of draws, shape (n,), of sum 1."""
        weights = np.full(len(snapshot), 1.0 / max(len(snapshot), 1))
        played = snapshot["completion_count"] >= (1 if self.potential == "score" else 2)
        if played.any():
            seen = snapshot[played]
            replay = (1.0 - self.staleness) * self._by_potential(seen)
            replay += self.staleness * _by_staleness(seen)
            weights[played] *= len(seen) * replay
        return weights

    def _by_potential(self, seen: NDArray[Any]) -> NDArray[np.float64]:
        """P_S, shape (k,)."""
        if self.potential == "score":
            potential = seen["last_score"]
        else:
            potential = np.abs(last_surprise(seen, self.task_tracker_ema_alpha))
        # In logarithms and less their largest: h^(1/beta) leaves the range of floats.
        if self.prioritization == "rank":
            _, group, size = np.unique(-potential, return_inverse=True, return_counts=True)
            with np.errstate(over="ignore"):
                powers = np.exp(-np.log(np.arange(1.0, len(seen) + 1.0)) / self.temperature)
            starts = np.cumsum(size) - size
            priority = (np.add.reduceat(powers, starts) / size)[group]
        else:
            largest = potential.max()
            if largest <= 0.0:
                return np.full(len(seen), 1.0 / len(seen))
            with np.errstate(divide="ignore", over="ignore"):
                logs = np.log(np.maximum(potential, 0.0) / largest)
                priority = np.exp(logs / self.temperature)
        shares: NDArray[np.float64] = priority / priority.sum()
        return shares


def _by_staleness(seen: NDArray[Any]) -> NDArray[np.float64]:
    """P_C, proportional to the session ticks since a task was drawn or scored, shape (k,)."""
    last = np.maximum(seen["last_scheduled"], seen["last_completed"]).astype(np.float64)
    age = last.max() - last
    total = age.sum()
    return age / total if total > 0.0 else np.full(len(seen), 1.0 / len(seen))
