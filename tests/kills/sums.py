"""What processes say they did, and what a session says they did, in the same counts."""

from __future__ import annotations

from collections import Counter

import numpy as np

from curricle import Session
from kills.log import Op, Outcome
from kills.population import (
    CELL_OF,
    CELLS,
    CHURN,
    CHURN_LABELS,
    FIXED_LABELS,
    FOLD,
    HELD_LABELS,
    MOVE_LABELS,
    MOVED,
    NO_LABEL,
    STABLE,
    TASKS,
    first_label,
)
from kills.roles import BATCHES

COUNTS = ("zeros", "ones", "created", "evicted", "removed")
"""What is counted in each cell: scores of 0 and of 1, and tasks."""
DRAW_ROWS = [*FIXED_LABELS, *CHURN_LABELS, "move", "fold", "none"]
"""What draws are counted for beside the records: labels, and groups of labels."""

_ROW_OF_LABEL = {label: i for i, label in enumerate(DRAW_ROWS)}
_ROW_OF_LABEL |= dict.fromkeys(MOVE_LABELS, DRAW_ROWS.index("move"))


class Disagreement(AssertionError):
    """The session is not what the processes made it."""


def _row_of_task(task: int) -> int:
    if CELL_OF[task] in (FOLD, NO_LABEL):
        return DRAW_ROWS.index("fold" if CELL_OF[task] == FOLD else "none")
    label = first_label(task)
    assert label is not None
    return _ROW_OF_LABEL[label]


COMPARABLE_ROWS = [_ROW_OF_LABEL[label] for label in (*FIXED_LABELS, MOVE_LABELS[0])]
"""Rows of draws whose tasks all stay, so that the records say the same."""

DRAW_ROW_OF = np.array(
    [_row_of_task(task) if CELL_OF[task] >= 0 else -1 for task in range(len(CELL_OF))]
)


def _of_batches() -> np.ndarray:
    counts = np.zeros((len(BATCHES), 2, CELLS), int)
    for number, (tasks, scores) in enumerate(BATCHES):
        for score in (0, 1):
            np.add.at(counts[number, score], CELL_OF[tasks[scores == score]], 1)
    return counts


_BATCH_COUNTS = _of_batches()


class Sums:
    """Counts of operations, or of a session."""

    def __init__(self) -> None:
        self.cells = np.zeros((len(COUNTS), CELLS), int)
        self.record_draws = np.zeros(TASKS.stop, int)
        self.label_draws = np.zeros(len(DRAW_ROWS), int)
        self.late = 0
        # How often each task came, and how often it went, where an operation names it.
        self.came = np.zeros(len(CELL_OF), int)
        self.went = np.zeros(len(CELL_OF), int)

    def add_operations(self, entries: np.ndarray) -> None:
        """What they add where they have their effect."""
        op, task, number = (entries[name] for name in ("op", "task", "number"))
        effective = entries["outcome"] != Outcome.WITHOUT_EFFECT
        late = entries["outcome"] == Outcome.LATE
        scored = np.isin(op, (Op.UPDATE, Op.REPORT)) & ~late
        np.add.at(self.cells, (number[scored], CELL_OF[task[scored]]), 1)
        batches = np.bincount(number[op == Op.BATCH], minlength=len(BATCHES))
        self.cells[:2] += np.tensordot(batches, _BATCH_COUNTS, 1)
        self.late += int(late.sum())
        replaced = effective & (op == Op.REPLACE)
        evicted = task[effective & (op == Op.EVICT) | replaced]
        removed = task[effective & (op == Op.REMOVE)]
        created = np.concatenate([task[effective & (op == Op.CREATE)], number[replaced]])
        for name, tasks in (("created", created), ("evicted", evicted), ("removed", removed)):
            np.add.at(self.cells[COUNTS.index(name)], CELL_OF[tasks], 1)
        np.add.at(self.came, created, 1)
        np.add.at(self.went, np.concatenate([evicted, removed]), 1)

    def add_draws(self, tasks: np.ndarray) -> None:
        cells = CELL_OF[tasks]
        np.add.at(self.record_draws, cells[cells < TASKS.stop], 1)
        np.add.at(self.label_draws, DRAW_ROW_OF[tasks], 1)


def observe(session: Session, table: np.ndarray) -> Sums:
    """What a session says while nothing is in flight."""
    seen = Sums()
    stay = np.isin(table["task_id"], [*STABLE, *MOVED])
    records = table[stay]
    cells = CELL_OF[records["task_id"]]
    ones = records["total_score"].astype(int)
    seen.cells[0, cells] = records["completion_count"].astype(int) - ones
    seen.cells[1, cells] = ones
    seen.record_draws[cells] = records["scheduled_count"]

    totals, rows = session.totals(), session.label_totals()
    labels = session.labels()
    of_labels = {label: _row(row) for label, row in rows.items()}
    held = {label: np.zeros(len(COUNTS), int) for label in HELD_LABELS}
    for number in np.unique(records["label"]):
        mine = cells[records["label"] == number]
        held[labels[number]][:2] = seen.cells[:2, mine].sum(axis=1)
    for label in (*FIXED_LABELS, *MOVE_LABELS):
        # One commit changes a record and its label's totals: no operation may come between.
        if not np.array_equal(of_labels[label][:2], held[label][:2]):
            raise Disagreement(f"label {label}: {of_labels[label][:2]}, records {held[label][:2]}")
    for i, label in enumerate(CHURN_LABELS):
        held[label][COUNTS.index("created")] = HELD_TASKS[label]
        seen.cells[:, CHURN.start + i] = of_labels[label] - held[label]
    folded = [row for label, row in of_labels.items() if label not in HELD_LABELS]
    seen.cells[:, FOLD] = sum(folded)
    seen.cells[:, NO_LABEL] = _row(totals) - sum(of_labels.values())

    for label, row in rows.items():
        place = _ROW_OF_LABEL.get(label, DRAW_ROWS.index("fold"))
        seen.label_draws[place] += int(row["scheduled"])
    drawn = int(totals["scheduled"])
    seen.label_draws[DRAW_ROWS.index("none")] = drawn - seen.label_draws.sum()
    seen.late = int(totals["late_reports"])
    return seen


HELD_TASKS = Counter(first_label(task) for task in (*STABLE, *MOVED))
"""How many tasks were made with each label at the start."""


def _row(row: dict[str, float]) -> np.ndarray:
    ones = int(row["score_sum"])
    removed = row.get("removed", row["created"] - row["evicted"] - row["tasks"])
    zeros = int(row["completions"]) - ones
    return np.array([zeros, ones, int(row["created"]), int(row["evicted"]), int(removed)])
