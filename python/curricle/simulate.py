"""A curriculum on a synthetic student: what it draws, and what the student masters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curricle import checks
from curricle.algorithms import WeightAlgorithm
from curricle.config import SessionConfig
from curricle.curriculum import Curriculum
from curricle.students.base import Student


@dataclass(frozen=True)
class Simulation:
    """What came of a student under a curriculum, looked at every so many episodes.

    Attributes:
        episodes: at each look, episodes so far, shape (looks,); the first is 0.
        env_steps: environment steps so far, shape (looks,).
        mastered: share of the student's goals that is mastered, shape (looks,), in [0, 1].
        draws: episodes so far by kind of task, shape (looks, kinds).
        kinds: the kinds, in the order of the student's tasks.
        tasks: number of tasks of each kind, shape (kinds,).
    """

    episodes: NDArray[np.int64]
    env_steps: NDArray[np.int64]
    mastered: NDArray[np.float64]
    draws: NDArray[np.int64]
    kinds: tuple[str, ...]
    tasks: NDArray[np.int64]

    def shares(self) -> dict[str, float]:
        """Share of all draws that went to each kind of task."""
        shares = self.draws[-1] / self.episodes[-1]
        return dict(zip(self.kinds, shares.tolist(), strict=True))

    def uniform_shares(self) -> dict[str, float]:
        """Share of draws that each kind would get if all tasks were drawn alike."""
        shares = self.tasks / self.tasks.sum()
        return dict(zip(self.kinds, shares.tolist(), strict=True))

    def episodes_to(self, share: float) -> int | None:
        """Episodes until that share of the goals was mastered, as of the first look at it.

        ``None`` if it never was.
        """
        look = self._first_look(share)
        return None if look is None else int(self.episodes[look])

    def env_steps_to(self, share: float) -> int | None:
        """Environment steps until that share was mastered, as `episodes_to`."""
        look = self._first_look(share)
        return None if look is None else int(self.env_steps[look])

    def _first_look(self, share: float) -> int | None:
        # Shares are quotients of small whole numbers: closer than this none are.
        reached = np.flatnonzero(self.mastered >= share - 1e-9)
        return int(reached[0]) if len(reached) else None


def simulate(
    student: Student,
    config: SessionConfig | WeightAlgorithm,
    episodes: int,
    *,
    seed: int = 0,
    every: int = 100,
) -> Simulation:
    """Lets a curriculum draw the tasks of a student, one episode after the other.

    Args:
        student: who plays; it learns and cannot be used for another simulation.
        config: what the curriculum takes. A configuration with ``use_shared_memory=False`` needs
            no session. From which score an episode is a success is the student's word, unless the
            configuration has ``task_default_success_threshold`` set.
        episodes: number of episodes, >= 1.
        seed: of the curriculum's draws, >= 0.
        every: episodes between two looks at the student, >= 1.

    Raises:
        ValueError: a number out of its range, or a configuration that names another number of
            tasks than the student has.

    Example:
        >>> from curricle import UniformConfig
        >>> from curricle.students import HypercubeStudent
        >>> student = HypercubeStudent(dimensions=1, cubes=2)
        >>> result = simulate(student, UniformConfig(use_shared_memory=False), 400)
        >>> result.mastered.tolist()
        [0.0, 0.0, 0.5, 0.5, 1.0]
    """
    checks.integer(episodes, "episodes", 1, 2**40)
    checks.integer(every, "every", 1, 2**40)
    threshold = "task_default_success_threshold"
    if isinstance(config, SessionConfig) and threshold not in config.model_fields_set:
        config = config.model_copy(update={threshold: student.success_threshold})
    looks = [*range(0, episodes, every), episodes]
    steps = np.zeros(len(looks), np.int64)
    mastered = np.zeros(len(looks))
    kinds = tuple(dict.fromkeys(student.kinds))
    kind_of = np.array([kinds.index(kind) for kind in student.kinds])
    draws = np.zeros((len(looks), len(kinds)), np.int64)
    mastered[0] = student.mastered() / student.goals
    with Curriculum(student.num_tasks, config, seed=seed) as curriculum:
        for look in range(1, len(looks)):
            drawn, spent = _play(curriculum, student, looks[look] - looks[look - 1])
            draws[look] = np.bincount(kind_of[drawn], minlength=len(kinds))
            steps[look] = spent
            mastered[look] = student.mastered() / student.goals
    return Simulation(
        episodes=np.array(looks, np.int64),
        env_steps=steps.cumsum(),
        mastered=mastered,
        draws=draws.cumsum(axis=0),
        kinds=kinds,
        tasks=np.bincount(kind_of, minlength=len(kinds)),
    )


def _play(curriculum: Curriculum, student: Student, episodes: int) -> tuple[list[int], int]:
    """Plays episodes; returns the tasks that were drawn, and the environment steps."""
    drawn: list[int] = []
    total = 0
    for _ in range(episodes):
        task = curriculum.draw()
        score, steps = student.play(task.task_id)
        assert task.ticket is not None
        curriculum.report(task.ticket, score, steps)
        drawn.append(task.task_id)
        total += steps
    return drawn, total
