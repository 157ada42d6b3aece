"""Holds a session against what processes published, to the unit; what was in flight may count."""

from __future__ import annotations

import numpy as np

from curricle import Session
from kills.log import Op, split
from kills.population import (
    CHURNED,
    FOLDED,
    MOVE_LABELS,
    MOVED,
    NO_LABEL,
    STABLE,
    first_label,
)
from kills.sums import COMPARABLE_ROWS, COUNTS, DRAW_ROW_OF, DRAW_ROWS, Disagreement, Sums, observe

NAMED = [*CHURNED, *FOLDED]
"""Tasks that come and go only where an operation names them."""


def _within(what: str, seen: np.ndarray, published: np.ndarray, in_flight: np.ndarray) -> None:
    wrong = (seen < published) | (seen > published + in_flight)
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0].tolist())
        raise Disagreement(
            f"{what} {place}: {seen[place]}, published {published[place]}, "
            f"in flight {in_flight[place]}"
        )


class Ledger:
    """The running account of a session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._published = observe(session, session.snapshot())
        self._there = self._presence(session.snapshot())
        self._label_of = {task: first_label(task) for task in MOVED}
        self.operations = dict.fromkeys(Op, 0)
        self.in_flight = 0
        self.in_flight_counted = 0
        self.half_draws = 0

    @staticmethod
    def _presence(table: np.ndarray) -> np.ndarray:
        return np.isin(NAMED, table["task_id"]).astype(int)

    def settle(self, logs: list[np.ndarray]) -> None:
        """Accounts for processes that have all ended.

        Which of their operations in flight had an effect is read from the session, and counts as
        published from then on.
        """
        parts = [split(entries) for entries in logs]
        finished = np.concatenate([part[0] for part in parts])
        cut_off = np.concatenate([part[1] for part in parts])
        for op in Op:
            mine = finished[finished["op"] == op]
            self.operations[op] += int(mine["number"].sum() if op in COUNTED else len(mine))
        if self.operations[Op.FAILED]:
            raise Disagreement("a process failed by itself")
        if self.operations[Op.TORN]:
            raise Disagreement(f"{self.operations[Op.TORN]} torn reads")

        table = self._session.snapshot()
        seen, may = observe(self._session, table), Sums()
        published = self._published
        published.add_operations(finished)
        published.add_draws(finished["task"][finished["op"] == Op.DRAW])
        may.add_operations(cut_off)
        reports = int((cut_off["op"] == Op.REPORT).sum())
        draws = int((cut_off["op"] == Op.DRAW).sum())

        # An update may create a task, and does not say whether it did.
        created = COUNTS.index("created"), NO_LABEL
        published.cells[created] = seen.cells[created]
        _within("count, cell", seen.cells, published.cells, may.cells)
        _within("late reports", np.array(seen.late), np.array(published.late), np.array(reports))
        for what in ("record_draws", "label_draws"):
            was, now = getattr(published, what), getattr(seen, what)
            _within(what, now, was, np.full_like(was, draws))
            _within(f"all {what}", (now - was).sum(), np.array(0), np.array(draws))
        self._count_half_draws(seen, published)
        self._check_presence(table, published, may)
        self._check_labels(table, parts)
        totals = self._session.totals()
        if totals["created"] - totals["evicted"] - totals["removed"] != len(table):
            raise Disagreement(f"{len(table)} tasks, but {totals}")

        self.in_flight += len(cut_off)
        self.in_flight_counted += int((seen.cells - published.cells).sum())
        self.in_flight_counted += int((seen.label_draws - published.label_draws).sum())
        seen.came[:], seen.went[:] = 0, 0
        self._published = seen

    def _count_half_draws(self, seen: Sums, published: Sums) -> None:
        """Draws that were cut off between the record's count and the label's."""
        rows = np.zeros(len(DRAW_ROWS), int)
        np.add.at(rows, DRAW_ROW_OF[[*STABLE, *MOVED]], seen.record_draws - published.record_draws)
        by_label = seen.label_draws - published.label_draws
        self.half_draws += int(abs(rows - by_label)[COMPARABLE_ROWS].sum())

    def _check_presence(self, table: np.ndarray, published: Sums, may: Sums) -> None:
        """The tasks that are there are those that came and did not go."""
        there = self._presence(table)
        balance = self._there + published.came[NAMED] - published.went[NAMED]
        low, slack = balance - may.went[NAMED], may.came[NAMED] + may.went[NAMED]
        _within("presence of task number", there, low, slack)
        self._there = there

    def _check_labels(self, table: np.ndarray, parts: list[tuple[np.ndarray, np.ndarray]]) -> None:
        """A moved task has the label that its mover gave it last."""
        labels = self._session.labels()
        now = {int(row["task_id"]): labels[row["label"]] for row in table[["task_id", "label"]]}
        allowed = {task: {label} for task, label in self._label_of.items()}
        for finished, cut_off in parts:
            for entry in finished[finished["op"] == Op.LABEL]:
                allowed[int(entry["task"])] = {MOVE_LABELS[entry["number"]]}
            for entry in cut_off[cut_off["op"] == Op.LABEL]:
                allowed[int(entry["task"])].add(MOVE_LABELS[entry["number"]])
        for task, candidates in allowed.items():
            if now.get(task) not in candidates:
                raise Disagreement(
                    f"task {task} has label {now.get(task)}, given was one of {candidates}"
                )
            self._label_of[task] = now[task]


COUNTED = (Op.READ, Op.TORN)
"""Entries that stand for as many reads as they say."""
