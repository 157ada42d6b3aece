"""What each of the libraries and plain trackers is asked to do."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, SupportsFloat

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

SCORES = (1.0, 1.0, 0.0)
BATCH = 1024


class Peer(ABC):
    """Draws one of ``tasks`` tasks by the scores of earlier episodes.

    Args:
        tasks: number of tasks; ids are 0 to ``tasks`` - 1.

    Attributes:
        name: what the tables call it.
        largest: number of tasks beyond which it is not measured, because a call takes too long.
        shared: whether worker processes can draw and report.
    """

    name: ClassVar[str]
    largest: ClassVar[int] = 1_000_000
    shared: ClassVar[bool] = True

    def __init__(self, tasks: int) -> None:
        self.tasks = tasks

    @abstractmethod
    def draw(self) -> Any:
        """Draws a task; what `report` takes."""

    @abstractmethod
    def report(self, drawn: Any, score: float) -> None:
        """Reports the score of an episode, 0 to 1, on what was drawn."""

    @abstractmethod
    def update(self, task: int, score: float) -> None:
        """Takes a score of a task that was not drawn."""

    def probabilities(self) -> NDArray[np.float64]:
        """The chance of each task to be drawn, shape (tasks,), from the scores so far."""
        raise NotImplementedError

    def close(self) -> None:  # noqa: B027 - most have nothing to do
        """Ends what it started."""

    # In one process.

    def warm_up(self) -> None:
        """Three scores for each task."""
        for score in (0.0, 1.0, 0.0):
            for task in range(self.tasks):
                self.update(task, score)

    def operations(self) -> dict[str, tuple[Callable[[], Any], int]]:
        """By name a call and the number of tasks that it handles."""
        ids = np.random.default_rng(0).integers(0, self.tasks, 4095).tolist()
        next_update = itertools.cycle(zip(ids, itertools.cycle(SCORES), strict=False)).__next__
        next_score = itertools.cycle(SCORES).__next__
        draw, report, update = self.draw, self.report, self.update
        return {
            "draw": (draw, 1),
            "update": (lambda: update(*next_update()), 1),
            "draw and report": (lambda: report(draw(), next_score()), 1),
            "score all tasks": (self.probabilities, 1),
        }

    # In worker processes.

    def share(self) -> None:  # noqa: B027 - most have nothing to do
        """Starts what has to be there before the workers."""

    def wrap(self, env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
        """The environment, which draws at its resets and reports at the ends of its episodes."""
        return DrawAndReport(env, self)

    def log(self) -> None:  # noqa: B027 - most have nothing to do
        """What a learner calls now and then for its charts, where workers need it to be called."""


class DrawAndReport(gym.Wrapper[Any, Any, Any, Any]):
    """Draws at a reset, and reports the success of the episode at its end."""

    def __init__(self, env: gym.Env[Any, Any], peer: Peer) -> None:
        super().__init__(env)
        self._peer = peer
        self._drawn: Any = None

    def reset(self, **arguments: Any) -> tuple[Any, dict[str, Any]]:
        """Draws a task and resets."""
        self._drawn = self._peer.draw()
        self.env.unwrapped.set_task(self._drawn)  # type: ignore[attr-defined]
        return self.env.reset(**arguments)

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Steps, and reports at the end."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if terminated or truncated:
            self._peer.report(self._drawn, info["success"])
        return observation, reward, terminated, truncated, info
