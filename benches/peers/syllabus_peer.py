"""The library syllabus-rl: its online learning progress, and its synchronisation of processes.

Its documentation lets a learner keep the curriculum, whose thread answers the environments of the
workers over queues. Between two evaluations there are as many episodes as tasks, so that drawing
mostly uses a distribution that is there.
"""

from __future__ import annotations

import signal
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from benches.peers.base import Peer

# Imported, version 0.7 makes NumPy raise at every underflow, in all of the process: in the other
# peers', and in its own evaluation of tasks that make no more progress.
with np.errstate():
    from syllabus.core import GymnasiumSyncWrapper, make_multiprocessing_curriculum
    from syllabus.core.task_interface import TaskWrapper
    from syllabus.curricula import OnlineLearningProgress
    from syllabus.task_space import DiscreteTaskSpace


class SyllabusPeer(Peer):
    """Episodes count for their tasks, which takes ``change_task_on_completion``."""

    name = "syllabus-rl"
    largest = 10_000
    counts_tasks = True

    def __init__(self, tasks: int) -> None:
        super().__init__(tasks)
        self._space = DiscreteTaskSpace(tasks)
        self._curriculum = _LearningProgress(self._space, update_interval=tasks)
        self._shared: Any = None

    def draw(self) -> int:
        (task,) = self._curriculum.sample(k=1)
        return task

    def report(self, drawn: int, score: float) -> None:
        self.update(drawn, score)

    def update(self, task: int, score: float) -> None:
        # The two calls that its environment wrapper has made at the end of an episode.
        self._curriculum.update_on_episode(score, 1, task, score)
        self._curriculum.update_task_progress(task, score)

    def probabilities(self) -> NDArray[np.float64]:
        self._curriculum.eval_and_update()
        return self._curriculum._sample_distribution()

    def share(self) -> None:
        # It takes Ctrl-C for itself, and would end the benches as if they were done.
        on_interrupt = signal.getsignal(signal.SIGINT)
        self._shared = make_multiprocessing_curriculum(self._curriculum)
        signal.signal(signal.SIGINT, on_interrupt)

    def wrap(self, env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
        return GymnasiumSyncWrapper(
            _Success(env),
            self._space,
            self._shared.components,
            change_task_on_completion=self.counts_tasks,
        )

    def log(self) -> None:
        self._shared.components.get_metrics()

    def close(self) -> None:
        if self._shared is not None:
            self._shared.stop()


class UncountedSyllabusPeer(SyllabusPeer):
    """By its default an episode's end sends one message, not two, and counts for no task."""

    name = "syllabus-rl, tasks not counted"
    counts_tasks = False


class _LearningProgress(OnlineLearningProgress):  # type: ignore[misc]
    """Lets version 0.7 run with NumPy since 1.25, which refuses its ``distribution != []``."""

    def _sample_distribution(self) -> NDArray[np.float64]:
        distribution: NDArray[np.float64] = super()._sample_distribution()
        return distribution.view(_NotEmpty)


class _NotEmpty(np.ndarray[Any, Any]):
    def __ne__(self, other: object) -> Any:
        return True if isinstance(other, list) else super().__ne__(other)


class _Success(TaskWrapper):  # type: ignore[misc]
    """Says at the end of an episode whether the task was solved; a failure is below 0 there."""

    def _task_completion(
        self, obs: Any, rew: Any, term: bool, trunc: bool, info: dict[str, Any]
    ) -> float:
        if not (term or trunc):
            return 0.0
        return 1.0 if info["success"] else -1.0
