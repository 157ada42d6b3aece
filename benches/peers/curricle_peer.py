"""Curricle itself: a `Curriculum` whose processes share its session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from benches.peers.base import BATCH, SCORES, Peer
from curricle import Curriculum, CurriculumEnv, CurriculumTask, NoiseAwareConfig


class CurriclePeer(Peer):
    """The default algorithm in a shared session."""

    name = "Curricle"

    def __init__(self, tasks: int) -> None:
        super().__init__(tasks)
        # Without a table for more tasks than there are.
        config = NoiseAwareConfig(score_range=(0.0, 1.0), max_memory_tasks=tasks)
        self._curriculum = Curriculum(tasks, config, seed=0)
        self._update = self._curriculum.tracker.update

    def draw(self) -> CurriculumTask:
        return self._curriculum.draw()

    def report(self, drawn: CurriculumTask, score: float) -> None:
        self._curriculum.report(drawn.ticket, score)

    def update(self, task: int, score: float) -> None:
        self._update(task, score)

    def probabilities(self) -> NDArray[np.float64]:
        return self._curriculum.probabilities()[1]

    def operations(self) -> dict[str, tuple[Callable[[], Any], int]]:
        ids = np.random.default_rng(1).integers(0, self.tasks, BATCH)
        scores = np.resize(SCORES, BATCH)
        tracker = self._curriculum.tracker
        return super().operations() | {
            f"draw {BATCH:,} at once": (lambda: self._curriculum.draw_many(BATCH), BATCH),
            f"update {BATCH:,} at once": (lambda: tracker.update_batch(ids, scores), BATCH),
        }

    def wrap(self, env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
        return CurriculumEnv(env, self._curriculum, score="success")

    def close(self) -> None:
        self._curriculum.close()
