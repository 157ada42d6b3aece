"""A family of frozen lakes, from small and safe to large, full of holes and slippery."""

from __future__ import annotations

import random
from itertools import product

import numpy as np

from benches.students.lakes import (
    LARGEST,
    SIZES,
    Crossings,
    blocked_lake,
    corner_cells,
    make_env,
    make_lakes,
)

HOLES = (0.2, 0.3, 0.4)
CONTROL = (1.0, 0.95, 0.9)
MASTERED = 0.75

_ACTIONS = 4
_STEP_SIZE = 0.05
_DISCOUNT = 0.99
_RANDOM_ACTIONS = 0.1


class FrozenLakeStudent:
    """A tabular Q-learner on lakes of Gymnasium's FrozenLake-v1.

    A task is a lake, its size (4 to 8), and the degree of control (0.9, 0.95, 1: the probability
    that a step goes where it was meant to). There are ``lakes`` with each share of holes (0.2, 0.3,
    0.4). A lake of size s is the s x s corner at the goal of one of size 8, so that whoever crosses
    it knows the end of the way across the larger ones. In as many more the goal is behind holes.

    The learner has a table for each lake and degree of control, by cell of the lake of size 8: in
    it, the sizes share what they have learned. It acts greedily but for a tenth of random actions,
    breaks ties at random, and learns when the episode is over, from its last step to its first
    (Q-learning, Watkins and Dayan 1992; backward replay, Lin 1992). The score is 1 at the goal,
    else 0.

    A task is mastered when the greedy policy gets to the goal within the time limit of 100 steps
    with at least 0.75 of the probability that the best policy does.

    Args:
        seed: of the lakes, of what happens on them, and of the learner's actions; >= 0.
        lakes: number of lakes with each share of holes, >= 1.

    Attributes:
        num_tasks: 60 for each lake.
        kinds: size of each task, as "4x4", or "impossible".
        goals: 45 for each lake, the number of possible tasks; their ids come first.
        success_threshold: 0.5.
        parameters: size, share of holes and lack of control of each task, shape (num_tasks, 3),
            each divided by its largest. Impossible tasks are said to have one of the shares.
    """

    def __init__(self, seed: int, lakes: int = 4) -> None:
        rng = np.random.default_rng(seed)
        possible = [lake for _ in range(lakes) for lake in make_lakes(HOLES, rng)]
        tasks = list(product(possible + [blocked_lake()] * lakes, CONTROL, SIZES))
        self.num_tasks = len(tasks)
        holes = [*HOLES * lakes, *rng.choice(HOLES, lakes)]
        known = [
            (size / LARGEST, share, 1.0 - control)
            for share, control, size in product(holes, CONTROL, SIZES)
        ]
        self.parameters = np.array(known) / np.max(known, axis=0)
        self.goals = len(possible) * len(CONTROL) * len(SIZES)
        self.kinds = tuple(
            f"{size}x{size}" if task < self.goals else "impossible"
            for task, (_, _, size) in enumerate(tasks)
        )
        self.success_threshold = 0.5
        self._envs = [make_env(lake, size, control) for lake, control, size in tasks]
        for task, env in enumerate(self._envs):
            env.reset(seed=seed * self.num_tasks + task)
        tables = [
            [[0.0] * _ACTIONS for _ in range(LARGEST**2)]
            for _ in range(self.num_tasks // len(SIZES))
        ]
        self._tables = [tables[task // len(SIZES)] for task in range(self.num_tasks)]
        self._cells = [corner_cells(size) for _, _, size in tasks]
        self._crossings = Crossings(self._envs[: self.goals])
        self._needed = MASTERED * self._crossings.of_best_policy()
        self._random = random.Random(seed)

    def play(self, task_id: int) -> tuple[float, int]:
        """Plays an episode and learns from it; returns its score and its steps."""
        env, table, cells = self._envs[task_id], self._tables[task_id], self._cells[task_id]
        place, _ = env.reset()
        cell = cells[place]
        way: list[tuple[int, int]] = []
        score, terminated, truncated = 0.0, False, False
        while not (terminated or truncated):
            action = self._act(table[cell])
            way.append((cell, action))
            place, reward, terminated, truncated, _ = env.step(action)
            # Only the last step can have one.
            score, cell = float(reward), cells[place]
        target = score if terminated else _DISCOUNT * max(table[cell])
        for cell, action in reversed(way):
            values = table[cell]
            values[action] += _STEP_SIZE * (target - values[action])
            target = _DISCOUNT * max(values)
        return score, len(way)

    def mastered(self) -> int:
        """Number of tasks that are mastered."""
        actions = np.zeros((self.goals, LARGEST**2), np.int64)
        for task in range(self.goals):
            values = np.array(self._tables[task])[self._cells[task]]
            actions[task, : len(values)] = values.argmax(axis=1)
        return int(np.sum(self._crossings.of_policy(actions) >= self._needed))

    def _act(self, values: list[float]) -> int:
        if self._random.random() < _RANDOM_ACTIONS:
            return self._random.randrange(_ACTIONS)
        best = max(values)
        return self._random.choice([action for action in range(_ACTIONS) if values[action] == best])
