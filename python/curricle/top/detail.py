"""The tasks of a session at one moment: what takes longer the more of them there are."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curricle._core import Session, TaskData
from curricle.alignment import aligned

# Of a record: what tables show. The rest of a million records would be memory for nothing.
_FIELDS = ("task_id", "lp_score", "completion_count", "reward_ema", "last_score", "weight")


@dataclass(frozen=True)
class Tasks:
    """All tasks; arrays of shape (tasks,).

    Attributes:
        at: when they were read, in seconds of the monotonic clock.
        fields: by name: ``task_id``, ``lp_score``, ``completion_count``, ``reward_ema``,
            ``last_score``, ``weight``, and ``probability`` of being drawn (NaN for a task that
            came or went in between).
        label: index into ``labels``, -1 for none.
        labels: texts of the labels.
    """

    at: float
    fields: dict[str, NDArray[Any]]
    label: NDArray[np.int64]
    labels: list[str | None]

    def of(self, label: str | None) -> dict[str, NDArray[Any]]:
        """The fields of the tasks of a label; ``None`` for those without one."""
        if label is None:
            rows = self.label < 0
        else:
            # A label that came since they were read has no tasks yet.
            number = self.labels.index(label) if label in self.labels else len(self.labels)
            rows = self.label == number
        return {name: values[rows] for name, values in self.fields.items()}


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        at: when it was read, in seconds of the monotonic clock.
        data: its record; ``None`` where it is not in the session any more.
        probability: of being drawn.
        columns: names of the columns that an algorithm added to records.
    """

    at: float
    data: TaskData | None
    probability: float
    columns: tuple[str, ...]


def read_tasks(session: Session) -> Tasks:
    """All tasks, without a lock; any thread may."""
    ids, probabilities = session.probabilities()
    table = session.snapshot()
    labels = session.labels()
    fields: dict[str, NDArray[Any]] = {name: table[name].copy() for name in _FIELDS}
    fields["probability"] = aligned(ids, probabilities, table["task_id"])
    return Tasks(time.monotonic(), fields, table["label"].astype(np.int64), labels)


def read_task(session: Session, task_id: int) -> Task:
    """One task, without a lock; any thread may."""
    data = session.read(task_id)
    ids, probabilities = session.probabilities()
    share = float(probabilities[ids == task_id].sum())
    return Task(time.monotonic(), data, share, tuple(session.columns))
