"""What each trainer is to the bench, and what both of its arms play."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from curricle import Curriculum, NoiseAwareConfig

WORKERS = 4
TASKS = 1_000
LABELS = 32
# Of CartPole itself: a task costs what it costs to set, and changes nothing.
CART_POLE = {"length": 0.5, "polemass_length": 0.05}
# Of a policy that does not learn: episodes are alike in all turns, and as short as those of a
# beginner, with the most draws and reports to a step. The arithmetic is that of any other rate.
LEARNING_RATE = 0.0


class Iteration(NamedTuple):
    """A rollout and its training.

    Attributes:
        steps: environment steps, by the trainer's own count where it has one; of teams those of
            all agents.
        loss: of the last batch, or the mean of all.
    """

    steps: int
    loss: float

    def checked(self) -> Iteration:
        """Itself, if it is that of a trainer that trains.

        Raises:
            ArithmeticError: no steps, or a loss that is not finite.
        """
        if self.steps > 0 and math.isfinite(self.loss):
            return self
        raise ArithmeticError(f"an iteration of {self.steps} steps with a loss of {self.loss}")


class Arm(ABC):
    """A trainer with its own environments in ``WORKERS`` processes.

    Subclasses take the curriculum, or None, and use of Curricle what `docs/integrations.md` shows.
    """

    @abstractmethod
    def train(self) -> Iteration:
        """One iteration of the trainer."""

    @abstractmethod
    def workers(self) -> list[int]:
        """Ids of the processes of the environments."""

    @abstractmethod
    def close(self) -> None:
        """Ends the workers."""


def cart_poles() -> Curriculum:
    """The curriculum of trainers of CartPole."""
    tasks: list[dict[str, Any]] = [
        {"label": f"label {task % LABELS}", **CART_POLE} for task in range(TASKS)
    ]
    return Curriculum(tasks, NoiseAwareConfig(score_range=(0.0, 500.0)), seed=0)
