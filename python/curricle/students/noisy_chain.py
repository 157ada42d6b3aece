"""The noisy chain: skills to be learned one after the other, among tasks that mislead."""

from __future__ import annotations

import random

import numpy as np

from curricle import checks
from curricle.students.base import MOST_TASKS, episode_steps

# Scores stay below the limit of 1e9 with room for any normal number.
MOST_SCALE = 1e6
MOST_NOISE = 10.0

_SAMPLES_OF_FULL_SKILL = 100
# Skills above 0.5 and above 0.9, in hundredths.
_SAMPLES_THAT_UNLOCK = 51
_SAMPLES_OF_MASTERY = 91


class NoisyChainStudent:
    """A chain of skills, and tasks that look as if something could be learned there.

    Ids come in this order:

    - ``chain`` tasks, "chain". Each has a skill that starts at 0, and success is a coin of that
      probability. Each episode then adds 0.01, up to 1, but on a task other than the first only
      once the skill of the task before is above 0.5. A skill is mastered above 0.9, so that all
      take at least 91 episodes a task.
    - ``impossible`` tasks, "impossible", which never succeed.
    - ``coins``, "coin", which succeed with ``coin_probability`` whatever is done.
    - ``solved`` tasks, "solved", which succeed with ``solved_probability``.

    The score is ``offset + scale * (success + noise * z)``, with success 0 or 1 and z standard
    normal.

    Source: our own, after the sinks that learning progress is known to fall into: noise that
    cannot be learned ("noisy TV", Burda et al. 2019, "Large-scale study of curiosity-driven
    learning", section 4) among tasks that build on each other, as in TSCL (Matiisen et al. 2020,
    "Teacher-student curriculum learning").

    Args:
        chain: number of chained tasks, >= 1.
        impossible: number of impossible tasks, >= 0.
        coins: number of coins, >= 0.
        solved: number of solved tasks, >= 0.
        coin_probability: of success of a coin, in [0, 1].
        solved_probability: of success of a solved task, in [0, 1].
        noise: standard deviation of the noise on the outcome, before ``scale``, in [0, 10].
        scale: score of a success above that of a failure, in (0, 1e6].
        offset: score of a failure, in [-1e6, 1e6].
        seed: of the student's coins, and of ``parameters``; >= 0.

    Attributes:
        num_tasks: number of tasks.
        kinds: the kind of each task, by id.
        goals: number of tasks in the chain.
        success_threshold: half way from the score of a failure to that of a success.
        parameters: place of each task in the chain, shape (num_tasks, 1), 0 at its start. Tasks of
            the other kinds have one by chance, so that it does not tell them from the chain.

    Raises:
        ValueError: a number out of its range, or more than a million tasks.

    Example:
        >>> student = NoisyChainStudent(chain=2, impossible=1, coins=0, solved=1)
        >>> student.kinds
        ('chain', 'chain', 'impossible', 'solved')
        >>> student.play(2)
        (0.0, 100)
    """

    def __init__(
        self,
        chain: int = 100,
        impossible: int = 40,
        coins: int = 40,
        solved: int = 20,
        *,
        coin_probability: float = 0.5,
        solved_probability: float = 0.95,
        noise: float = 0.0,
        scale: float = 1.0,
        offset: float = 0.0,
        seed: int = 0,
    ) -> None:
        counts = {"chain": chain, "impossible": impossible, "coin": coins, "solved": solved}
        for kind, count in counts.items():
            checks.integer(count, kind, int(kind == "chain"), MOST_TASKS)
        if sum(counts.values()) > MOST_TASKS:
            raise ValueError(f"{sum(counts.values())} tasks are more than {MOST_TASKS}; take fewer")
        _check_range(coin_probability, "coin_probability", 0.0, 1.0)
        _check_range(solved_probability, "solved_probability", 0.0, 1.0)
        _check_range(noise, "noise", 0.0, MOST_NOISE)
        _check_range(scale, "scale", 0.0, MOST_SCALE)
        if scale == 0.0:
            raise ValueError("scale is 0.0; a success must score above a failure")
        _check_range(offset, "offset", -MOST_SCALE, MOST_SCALE)
        checks.integer(seed, "seed", 0, checks.MAX_SEED)
        self.num_tasks = sum(counts.values())
        self.kinds = tuple(kind for kind, count in counts.items() for _ in range(count))
        self.goals = chain
        self.success_threshold = offset + scale / 2.0
        self._probability = (
            [0.0] * (chain + impossible)
            + [float(coin_probability)] * coins
            + [float(solved_probability)] * solved
        )
        places = np.random.default_rng(seed).random(self.num_tasks)
        places[:chain] = np.arange(chain) / chain
        self.parameters = places[:, None]
        self._samples = [0] * chain
        self._mastered = 0
        self._noise, self._scale, self._offset = float(noise), float(scale), float(offset)
        self._random = random.Random(seed)

    def play(self, task_id: int) -> tuple[float, int]:
        """Plays an episode of the task; returns its score and its steps."""
        outcome = float(self._random.random() < self._probability[task_id])
        if task_id < self.goals:
            self._learn(task_id)
        steps = episode_steps(outcome)
        if self._noise:
            outcome += self._noise * self._random.gauss()
        return self._offset + self._scale * outcome, steps

    def mastered(self) -> int:
        """Number of skills above 0.9."""
        return self._mastered

    def _learn(self, task_id: int) -> None:
        samples = self._samples[task_id]
        if task_id > 0 and self._samples[task_id - 1] < _SAMPLES_THAT_UNLOCK:
            return
        samples += 1
        self._samples[task_id] = samples
        self._probability[task_id] = min(1.0, samples / _SAMPLES_OF_FULL_SKILL)
        self._mastered += samples == _SAMPLES_OF_MASTERY


def _check_range(value: float, name: str, low: float, high: float) -> None:
    if not low <= checks.real(value, name) <= high:
        raise ValueError(f"{name} is {value}; it must be within [{low:g}, {high:g}]")
