"""A task of the drop-in curriculum."""

from __future__ import annotations

from typing import Any

from curricle import tasks
from curricle._core import TaskData, Ticket
from curricle.algorithms.base import CurriculumAlgorithm
from curricle.tracker import TaskTracker

__all__ = ["CurriculumAlgorithm", "CurriculumTask"]

# Environments of one process that may play a task at the same time.
_MOST_AT_ONCE = 256


class CurriculumTask(tasks.CurriculumTask):
    """One task, with the names that trainers of the earlier curriculum read.

    The counts of a task of a curriculum are those of all processes of its session together. A
    score counts once, whether it came by `complete`, by the curriculum's
    ``update_task_performance``, or by both: what the other of the two says next is the same
    episode, and the curriculum's score counts.

    Args:
        task_id: any 64-bit signed integer.
        env_cfg: what the environment is configured by.
        slice_values: the values by which a generator varied the configuration, by path.
        label: a label that goes before one that the configuration carries.

    Example:
        >>> task = CurriculumTask(7, {"label": "maze"})
        >>> task.complete(0.5)
        >>> task._num_completions, task._mean_score, task._label
        (1, 0.5, 'maze')
    """

    def __init__(
        self,
        task_id: int,
        env_cfg: Any,
        slice_values: dict[str, Any] | None = None,
        *,
        label: str | None = None,
    ) -> None:
        super().__init__(task_id, env_cfg, slice_values, label=label)
        self._label = self.get_label()
        self._tracker: TaskTracker | None = None
        # What the session said last; all there is once the task was evicted.
        self._record = TaskData(task_id)
        self._unreported = 0
        self._unreported_score = 0.0
        # Scores that the curriculum took and `complete` has not heard of.
        self._ahead = 0
        self._tickets: list[Ticket] = []

    def complete(self, score: float) -> None:
        """Counts one episode, unless the curriculum has its score already."""
        if self._ahead:
            self._ahead -= 1
            return
        self._unreported += 1
        self._unreported_score += float(score)

    def belong_to(self, tracker: TaskTracker) -> None:
        """Takes the counts from a tracker from now on."""
        self._tracker = tracker

    def drawn(self, ticket: Ticket) -> None:
        """Keeps the ticket for the report of the episode, in place of abandoned ones."""
        self._tickets = [*self._tickets[-_MOST_AT_ONCE + 1 :], ticket]

    def take_ticket(self) -> Ticket | None:
        """The latest ticket that was not reported, ``None`` if there is none."""
        return self._tickets.pop() if self._tickets else None

    def reported_late(self, score: float) -> None:
        """The session has counted an episode, but its score not for this task any more."""
        self._take_back(score)

    def is_played(self) -> bool:
        """Whether it was drawn for an episode that was not reported."""
        return bool(self._tickets)

    def reported(self, score: float) -> None:
        """The tracker has one more score of this task."""
        if not self._take_back(score):
            self._ahead += 1
        # Read now: the task may be evicted before anybody asks.
        self._current()

    def _take_back(self, score: float) -> bool:
        """Whether `complete` had been told of an episode that the session has counted now."""
        if not self._unreported:
            return False
        self._unreported -= 1
        left = self._unreported_score - score
        self._unreported_score = left if self._unreported else 0.0
        return True

    def _current(self) -> TaskData:
        data = None if self._tracker is None else self._tracker.backend.read(self.task_id)
        if data is not None:
            self._record = data
        return self._record

    @property
    def _task_id(self) -> int:
        return self.task_id

    @property
    def _env_cfg(self) -> Any:
        return self.env_cfg

    @property
    def _slice_values(self) -> dict[str, Any]:
        return self.slice_values

    @property
    def _num_completions(self) -> int:
        return self._current().completion_count + self._unreported

    @property
    def _total_score(self) -> float:
        return self._current().total_score + self._unreported_score

    @property
    def _mean_score(self) -> float:
        completions = self._num_completions
        return self._total_score / completions if completions else 0.0

    @property
    def _num_scheduled(self) -> int:
        return self._current().scheduled_count
