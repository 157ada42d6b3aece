"""Steps a second of a training loop with the curriculum on, off, and with metrics of labels.

``python -m benches.training_loop``. The loop is `gymnasium.vector.AsyncVectorEnv` with actions
that are there already: what is beside the environments is the vector environment's own work. In
each round the three arms take turns, in an order drawn anew, and what is said of them is the ratio
within a round: by the wall clock, and by the processor time of all processes, which other work on
the machine hardly changes. The arms' processes are bound to the same cores: left to itself, a
scheduler keeps one arm in a better place than another for minutes. They are made anew now and then,
as one set of processes may lie better in memory than another.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from benches.cores import bind_workers
from benches.interrupts import held_interrupts
from benches.processor_time import processor_seconds
from benches.progress import progress
from benches.timing import Figures
from curricle import Curriculum, CurriculumEnv, NoiseAwareConfig

WORKERS = (2, 4, 8)
# By the microseconds of a step: at 10 the budget is one hundredth.
ROUNDS = {1: 21, 10: 301, 100: 21}
# Many short turns: what else the machine does falls on all arms alike. In the same time, turns of
# 0.15 s left intervals 1.3 times as wide by the wall clock and 1.8 times by processor time.
SEGMENT_SECONDS = 0.05
# Rounds with the same processes.
ROUNDS_A_SET = 43
EPISODE_STEPS = 100
TASKS = 1_000
LABELS = 32
METRICS_EVERY = 10

OFF = "off"
ON = "on"
METRICS = "on, metrics of labels"


class Busy(gym.Env[np.ndarray, int]):
    """Each step takes a number of microseconds of the process, however busy the machine is."""

    observation_space = gym.spaces.Box(0.0, 1.0, (8,), np.float32)
    action_space = gym.spaces.Discrete(4)

    def __init__(self, step_microseconds: int) -> None:
        self._nanoseconds = 1_000 * step_microseconds
        self._observation = np.zeros(8, np.float32)

    def set_task(self, config: Any) -> None:
        """Takes a task; all are played alike, so that the arms do the same work."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins an episode of ``EPISODE_STEPS`` steps."""
        self._left = EPISODE_STEPS
        return self._observation, {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Spins."""
        end = time.process_time_ns() + self._nanoseconds
        self._left -= 1
        while time.process_time_ns() < end:
            pass
        return self._observation, 1.0, self._left == 0, False, {}


@dataclass(frozen=True)
class LoopSpeed:
    """Of one number of workers and one cost of a step.

    Attributes:
        steps: steps a second of all environments together, a figure a round, by arm.
        processor_steps: steps a second of processor time, of workers and learner together.
    """

    workers: int
    step_microseconds: int
    steps: dict[str, Figures]
    processor_steps: dict[str, Figures]

    def ratio(self, arm: str) -> Figures:
        """Steps a second of an arm over those with the curriculum off, round by round."""
        return self.steps[arm].over(self.steps[OFF])

    def processor_ratio(self, arm: str) -> Figures:
        """The same of steps a second of processor time."""
        return self.processor_steps[arm].over(self.processor_steps[OFF])


def measure(
    workers: Sequence[int] = WORKERS,
    rounds: Mapping[int, int] = ROUNDS,
    segment_seconds: float = SEGMENT_SECONDS,
) -> list[LoopSpeed]:
    """All numbers of workers with all costs of a step; about eight minutes by default.

    Args:
        workers: numbers of worker processes.
        rounds: by the microseconds that a step takes.
        segment_seconds: how long an arm plays in its turn, at least; it ends its episodes.
    """
    return [
        _measure(count, microseconds, number, segment_seconds)
        for count in workers
        for microseconds, number in rounds.items()
    ]


def _measure(workers: int, microseconds: int, rounds: int, seconds: float) -> LoopSpeed:
    found: dict[str, list[tuple[float, float]]] = {arm: [] for arm in (OFF, ON, METRICS)}
    order = random.Random(0)
    what = f"{workers} workers, {microseconds} us a step"
    for first in progress(range(0, rounds, ROUNDS_A_SET), what):
        with _arms(workers, microseconds) as arms:
            for _ in range(min(ROUNDS_A_SET, rounds - first)):
                # No arm has a place of its own in the round, or two turns in a row more often.
                for arm in order.sample(list(arms), len(arms)):
                    found[arm].append(_play(arms[arm], seconds))
    return LoopSpeed(
        workers,
        microseconds,
        {arm: Figures([by_clock for by_clock, _ in each]) for arm, each in found.items()},
        {arm: Figures([by_processor for _, by_processor in each]) for arm, each in found.items()},
    )


@contextmanager
def _arms(workers: int, microseconds: int) -> Iterator[dict[str, gym.vector.AsyncVectorEnv]]:
    """The arms, played once, on a session of their own."""
    tasks = [{"label": f"label {task % LABELS}"} for task in range(TASKS)]
    arms: dict[str, gym.vector.AsyncVectorEnv] = {}
    cores = sorted(os.sched_getaffinity(0))
    with Curriculum(tasks, NoiseAwareConfig(score_range=(0.0, EPISODE_STEPS))) as curriculum:
        try:
            # All are open at once: workers of the arms whose turn it is not wait at their pipes.
            with held_interrupts():
                for arm, make in _makers(microseconds, curriculum).items():
                    arms[arm] = gym.vector.AsyncVectorEnv([make] * workers, context="fork")
            for envs in arms.values():
                _bind(envs, cores)
                envs.reset(seed=0)
                _play(envs, 0.0)
            yield arms
        finally:
            os.sched_setaffinity(0, cores)
            for envs in arms.values():
                envs.close()


def _bind(envs: gym.vector.AsyncVectorEnv, cores: Sequence[int]) -> None:
    """The learner to one core, the workers to all in turn."""
    os.sched_setaffinity(0, cores[:1])
    bind_workers((process.pid for process in envs.processes), cores)


def _makers(
    microseconds: int, curriculum: Curriculum
) -> dict[str, Callable[[], gym.Env[Any, Any]]]:
    return {
        OFF: lambda: Busy(microseconds),
        ON: lambda: CurriculumEnv(Busy(microseconds), curriculum),
        METRICS: lambda: CurriculumEnv(
            Busy(microseconds), curriculum, metrics_every=METRICS_EVERY, max_metric_labels=LABELS
        ),
    }


def _play(envs: gym.vector.AsyncVectorEnv, seconds: float) -> tuple[float, float]:
    """Steps a second, by the wall clock and by the processor time of all processes."""
    pids = [os.getpid(), *(process.pid for process in envs.processes)]
    # The turn of another arm has left the caches to that: no trainer has such a neighbour.
    _play_episodes(envs)
    steps = 0
    used, began = processor_seconds(pids), time.perf_counter()
    while steps == 0 or time.perf_counter() < began + seconds:
        steps += _play_episodes(envs)
    now = time.perf_counter()
    total = steps * envs.num_envs
    return total / (now - began), total / (processor_seconds(pids) - used)


def _play_episodes(envs: gym.vector.AsyncVectorEnv) -> int:
    """One whole episode of each environment, and the reset after it; the number of steps."""
    actions = np.zeros(envs.num_envs, np.int64)
    for _ in range(EPISODE_STEPS + 1):
        envs.step(actions)
    return EPISODE_STEPS + 1


if __name__ == "__main__":
    for speed in measure():
        for arm in (ON, METRICS):
            ratio, processor = speed.ratio(arm), speed.processor_ratio(arm)
            print(
                f"{speed.workers} workers, {speed.step_microseconds:3} us a step, {arm}: "
                f"{ratio.median:.3f} (95% {ratio.interval[0]:.3f} to {ratio.interval[1]:.3f}) of "
                f"{speed.steps[OFF].median:,.0f} steps a second; by processor time "
                f"{processor.median:.3f}",
                flush=True,
            )
