"""The hypercube toy: a student that can learn only next to what it has learned."""

from __future__ import annotations

from itertools import product

import numpy as np

from curricle import checks
from curricle.students.base import MOST_TASKS, episode_steps

_COMPETENCE_AT_MOST = 100
_COMPETENCE_THAT_UNLOCKS = 75
# More than 75, as whole numbers go.
_COMPETENCE_OF_MASTERY = 76
_TASKS_A_CUBE_AT_MOST = 10
_DIMENSIONS_AT_MOST = 20


class HypercubeStudent:
    """The toy environment of Portelas et al. 2019, as tasks with ids.

    The space of parameters, [0, 1]^n, is cut into k cubes a dimension. A cube's competence starts
    at 0; an episode in a cube that is unlocked adds 1, up to 100. The score is competence / 100,
    after the episode. The cube at the origin is unlocked; another one is unlocked once the
    competence of a predecessor is 75 or more (each index i or max(0, i - 1), diagonals included).
    A cube is mastered when its competence is above 75, so that all of them take at least
    76 k^n episodes.

    A task is a cube, its id the cube's indices as digits to base k. A useless dimension cuts each
    cube into k tasks that are all alike. Of more than ten, which is what several such dimensions
    would make, a cube has ten, as a task set does that is sampled. The ids of a cube follow each
    other.

    Source: R. Portelas, C. Colas, K. Hofmann, P.-Y. Oudeyer, "Teacher algorithms for curriculum
    learning of Deep RL in continuously parameterized environments", CoRL 2019, section 4.1 and
    the code published with it (flowersteam/teachDeepRL, toy_env.py).

    Args:
        dimensions: n, in [1, 20].
        cubes: k, cubes a dimension, >= 1.
        useless_dimensions: further dimensions, which make no difference, in [0, 20].
        seed: of where the tasks are in the useless dimensions, >= 0.

    Attributes:
        num_tasks: number of tasks.
        kinds: "cube" for each task.
        goals: number of cubes.
        success_threshold: 0.75, the competence that unlocks.
        parameters: centre of each task's cube, and its place in the useless dimensions, shape
            (num_tasks, dimensions + useless_dimensions).

    Raises:
        ValueError: a number out of its range, or more than a million tasks.

    Example:
        >>> student = HypercubeStudent(dimensions=2, cubes=10)
        >>> student.play(0), student.play(11)
        ((0.01, 100), (0.0, 100))
    """

    def __init__(
        self,
        dimensions: int = 2,
        cubes: int = 10,
        *,
        useless_dimensions: int = 0,
        seed: int = 0,
    ) -> None:
        checks.integer(dimensions, "dimensions", 1, _DIMENSIONS_AT_MOST)
        checks.integer(cubes, "cubes", 1, MOST_TASKS)
        checks.integer(useless_dimensions, "useless_dimensions", 0, _DIMENSIONS_AT_MOST)
        checks.integer(seed, "seed", 0, checks.MAX_SEED)
        self._tasks_a_cube = min(cubes**useless_dimensions, _TASKS_A_CUBE_AT_MOST)
        self.goals = cubes**dimensions
        self.num_tasks = self.goals * self._tasks_a_cube
        if self.num_tasks > MOST_TASKS:
            raise ValueError(
                f"dimensions={dimensions} of {cubes} cubes make {self.num_tasks} tasks, more than "
                f"{MOST_TASKS}; take fewer cubes, or fewer dimensions"
            )
        self.kinds = ("cube",) * self.num_tasks
        self.success_threshold = _COMPETENCE_THAT_UNLOCKS / _COMPETENCE_AT_MOST
        self._cubes = cubes
        # What the index of a cube grows by with its index in each dimension.
        self._strides = [cubes**dimension for dimension in reversed(range(dimensions))]
        indices = np.indices((cubes,) * dimensions).reshape(dimensions, -1).T
        centres = np.repeat((indices + 0.5) / cubes, self._tasks_a_cube, axis=0)
        places = np.random.default_rng(seed).random((self.num_tasks, useless_dimensions))
        self.parameters = np.hstack([centres, places])
        self._competence = [0] * self.goals
        self._unlocked = bytearray(self.goals)
        self._unlocked[0] = True
        self._mastered = 0

    def play(self, task_id: int) -> tuple[float, int]:
        """Plays an episode in the task's cube; returns its score, in [0, 1], and its steps."""
        cube = task_id // self._tasks_a_cube
        competence = self._competence[cube]
        if self._unlocked[cube] and competence < _COMPETENCE_AT_MOST:
            competence += 1
            self._competence[cube] = competence
            if competence == _COMPETENCE_THAT_UNLOCKS:
                self._unlock_successors(cube)
            elif competence == _COMPETENCE_OF_MASTERY:
                self._mastered += 1
        score = competence / _COMPETENCE_AT_MOST
        return score, episode_steps(score)

    def mastered(self) -> int:
        """Number of cubes with a competence above 75."""
        return self._mastered

    def _unlock_successors(self, cube: int) -> None:
        last = self._cubes - 1
        steps = [
            (0,) if cube // stride % self._cubes == last else (0, stride)
            for stride in self._strides
        ]
        for step in product(*steps):
            self._unlocked[cube + sum(step)] = True
