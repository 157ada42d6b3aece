"""A fixed set of tasks, seen as a generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from curricle.errors import UnknownTaskError
from curricle.generators.base import TaskGenerator
from curricle.tasks import CurriculumTask
from curricle.waiting import counted


class FixedTasks(TaskGenerator):
    """The tasks 0 to n-1.

    Args:
        tasks: their number (each id is its own configuration), their configurations, or their
            configurations by label.

    Raises:
        ValueError: no tasks.
        TypeError: anything else.
    """

    def __init__(self, tasks: int | Sequence[Any] | Mapping[str, Any]) -> None:
        super().__init__()
        self._configs: Sequence[Any]
        self._labels: list[str] | None = None
        self._all_labels: list[str | None] | None = None
        if isinstance(tasks, bool | str | bytes):
            raise TypeError(f"tasks={tasks!r} is no number of tasks and no collection of them")
        if isinstance(tasks, int):
            self._configs = range(tasks)
        elif isinstance(tasks, Mapping):
            self._configs = list(tasks.values())
            self._labels = list(tasks)
            if not all(isinstance(label, str) for label in self._labels):
                raise TypeError("tasks by label: every key must be a string")
        elif isinstance(tasks, Sequence):
            self._configs = list(tasks)
        else:
            raise TypeError(
                f"tasks is a {type(tasks).__name__}; give an int, a sequence of configurations, "
                "a dict of them by label, or a TaskGenerator"
            )
        if not self._configs:
            raise ValueError("there are no tasks; give at least one")

    def __len__(self) -> int:
        return len(self._configs)

    @property
    def configs(self) -> Sequence[Any]:
        """The configurations, by task id."""
        return self._configs

    def labels(self) -> list[str | None] | None:
        """Labels by task id, ``None`` where no task can have one."""
        if isinstance(self._configs, range):
            return None
        # Asked for several times while a session is opened.
        if self._all_labels is None:
            ids = counted(range(len(self)), "reading the labels of", len(self))
            self._all_labels = [self.task(task_id).get_label() for task_id in ids]
        return self._all_labels

    def get_task(self, task_id: int) -> Any:
        """The configuration of a task; `UnknownTaskError` for an id beyond the last."""
        if not 0 <= task_id < len(self._configs):
            raise UnknownTaskError(f"unknown task {task_id}; there are 0 to {len(self) - 1}")
        return self._configs[task_id]

    def task(self, task_id: int) -> CurriculumTask:
        """The task, labelled by its key where the tasks came by label."""
        config = self.get_task(task_id)
        label = None if self._labels is None else self._labels[task_id]
        return CurriculumTask(task_id, config, label=label)
