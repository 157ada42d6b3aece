"""What the drop-in algorithms have in common: bookkeeping of labels, and state dicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curricle._core import Ticket
from curricle.algorithms import CurriculumAlgorithm, UniformAlgorithm
from curricle.backends.base import TaskMemoryBackend
from curricle.compat.label_book import LabelBook
from curricle.compat.task_tracker import TaskTracker
from curricle.config import SessionConfig, UniformConfig
from curricle.tasks import CurriculumTask


class LabelledAlgorithm(CurriculumAlgorithm):
    """An algorithm that keeps a book of labels and goes into a state dict.

    Args:
        num_tasks: number of tasks of the pool, >= 1.
        hypers: the configuration.
        backend: where the records live; ``None`` makes one that ``hypers`` asks for.
    """

    tracker: TaskTracker

    def __init__(
        self, num_tasks: int, hypers: SessionConfig, backend: TaskMemoryBackend | None = None
    ) -> None:
        super().__init__(num_tasks, hypers, backend)
        self.tracker = TaskTracker(backend=self.tracker.backend)
        self.labels = LabelBook(self.tracker, hypers.max_inactive_labels_retained)

    @property
    def task_tracker(self) -> TaskTracker:
        """The statistics of the tasks."""
        return self.tracker

    @property
    def _label_sampling_counts(self) -> dict[str, int]:
        return self.labels.sampling_counts

    @property
    def _active_labels(self) -> set[str]:
        return self.labels.active

    @property
    def _inactive_labels_fifo(self) -> list[str]:
        return self.labels.inactive

    def report(self, ticket: Ticket, score: float) -> bool:
        """The score of a drawn task, once; False if the task was evicted since: it is late."""
        return self.tracker.report_one(ticket, score) is not None

    def on_task_created(self, task: CurriculumTask) -> None:
        """Takes a task into the pool."""
        label = task.get_label()
        self.tracker.track_task_creation(
            id_of(task), label=label if isinstance(label, str) else None
        )

    def on_task_sampled(self, task_id: int) -> None:
        """Counts a draw of the caller's own by label; a curriculum's draws count by themselves."""
        self.labels.sampled(self.tracker.get_task_label(task_id))

    def on_task_evicted(self, task_id: int) -> None:
        """Takes a task out of the pool; its counts stay in the totals."""
        super().on_task_evicted(task_id)
        self.labels.refresh()

    def get_state(self) -> dict[str, Any]:
        """The statistics of all tasks and the book of labels; JSON can hold it."""
        return {
            "task_tracker": self.tracker.get_state(),
            "label_counts": self.labels.counts(),
            "inactive_labels_fifo": self.labels.inactive,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Replaces statistics and labels by those of a state, or of a tracker's state alone.

        Raises:
            ValueError: there is no state of a tracker in it.
        """
        tracker_state = find_tracker_state(state)
        if tracker_state is None:
            raise ValueError(
                f"the state has no task_memory, only {sorted(state)}: give what get_state of an "
                "algorithm or of a tracker returned"
            )
        self.tracker.load_state(tracker_state)
        self.labels.load(state.get("label_counts", {}), state.get("inactive_labels_fifo", ()))


def id_of(task: CurriculumTask) -> int:
    """The id of a task, by the name that earlier trainers' own tasks have too."""
    task_id: int | None = getattr(task, "_task_id", None)
    return task.task_id if task_id is None else task_id


def find_tracker_state(state: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The state of a tracker: this one, or one that lies in it under any name."""
    if "task_memory" in state:
        return state
    for value in state.values():
        if isinstance(value, Mapping):
            found = find_tracker_state(value)
            if found is not None:
                return found
    return None


class RandomAlgorithm(LabelledAlgorithm, UniformAlgorithm):
    """Draws every task alike and evicts none.

    Args:
        num_tasks: number of tasks of the pool, >= 1.
        hypers: the configuration.
        backend: where the records live; ``None`` makes one that ``hypers`` asks for.
    """

    def __init__(
        self, num_tasks: int, hypers: UniformConfig, backend: TaskMemoryBackend | None = None
    ) -> None:
        super().__init__(num_tasks, hypers, backend)
