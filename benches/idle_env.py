"""An environment that costs next to nothing, for what is beside it to be measured."""

from __future__ import annotations

import itertools
from typing import Any

import gymnasium as gym
import numpy as np


class Idle(gym.Env[np.ndarray, int]):
    """Episodes of ``length`` steps, each with a reward of 1; two of three episodes are solved.

    Being told a task, it only keeps it. The return of an episode is ``length``, and the last info
    has its success under ``"success"``.
    """

    observation_space = gym.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, length: int) -> None:
        self.length = length
        self.task: Any = None
        self._observation = np.zeros(1, np.float32)
        self._success = itertools.cycle((1.0, 1.0, 0.0)).__next__

    def set_task(self, config: Any) -> None:
        """Keeps the task."""
        self.task = config

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins an episode."""
        self._left = self.length
        return self._observation, {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Counts a step."""
        self._left -= 1
        if self._left > 0:
            return self._observation, 1.0, False, False, {}
        return self._observation, 1.0, True, False, {"success": self._success()}
