"""Tables of labels and tasks, in columns, so that thousands of rows stay small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from curricle.literal import literal
from curricle.loggers.measures import OTHER
from curricle.report.history import History
from curricle.report.saved_tasks import SavedSession
from curricle.report.text import number, percent
from curricle.training.curve import CurvePoint

#: Rows on a page of a table.
PAGE_ROWS = 50
#: Tasks that a report holds at most: some 2 MB.
MOST_TASKS = 50_000
_NO_LABEL = ""

Cell = float | str | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, what its cells are, and one for each row; ids are integers as text."""

    title: str
    kind: Literal["text", "id", "number", "share"]
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class DataTable:
    """A table that a reader sorts, filters and pages.

    Attributes:
        name: of the element.
        caption: what its rows are.
        columns: of equal lengths.
        order: the column by which the rows fall at first.
    """

    name: str
    caption: str
    columns: Sequence[Column]
    order: int

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.columns[0].cells)

    def content(self) -> dict[str, Any]:
        """What the script of the page works on; texts that repeat stand there once."""
        columns: list[dict[str, Any]] = []
        for column in self.columns:
            if column.kind in ("number", "share"):
                short = [_short(cell) for cell in column.cells]
                columns.append({"kind": column.kind, "cells": short})
            elif column.kind == "id":
                columns.append({"kind": "id", "cells": list(column.cells)})
            else:
                texts = list(dict.fromkeys(column.cells))
                places = {text: place for place, text in enumerate(texts)}
                cells = [places[cell] for cell in column.cells]
                columns.append({"kind": "text", "texts": texts, "cells": cells})
        return {"pageRows": PAGE_ROWS, "columns": columns}

    def first_rows(self) -> list[list[str]]:
        """The first page, as it reads without the script."""
        rows = range(min(self.rows, PAGE_ROWS))
        return [[_text(column, row) for column in self.columns] for row in rows]


def label_table(
    history: History,
    saved: SavedSession | None,
    points: Sequence[CurvePoint],
) -> DataTable | None:
    """All labels of the session, or those that the history names where there is no session.

    Args:
        history: of the run.
        saved: the session, if there is a checkpoint of it.
        points: the last ones of a training run's curve, if it has one.
    """
    if saved is not None:
        rows = _rows_of_totals(saved.label_totals)
    elif points:
        rows = _rows_of_points(points)
    else:
        rows = _rows_of_history(history)
    for label, value in history.success_by_label.items():
        if label in rows:
            rows[label]["success"] = value
    if not rows:
        return None
    drawn = sum(row["draws"] or 0.0 for row in rows.values())
    for row in rows.values():
        row["share"] = (row["draws"] or 0.0) / drawn if drawn else None
    titles = ("tasks", "draws", "share", "episodes", "mean score", "success", "LP", "evicted")
    given = [title for title in titles if any(row.get(title) is not None for row in rows.values())]
    if not any(row.get("evicted") for row in rows.values()) and "evicted" in given:
        given.remove("evicted")
    ranked = sorted(rows, key=lambda label: (-(rows[label]["draws"] or 0.0), label))
    columns = [Column("label", "text", [literal(label) for label in ranked])]
    columns += [
        Column(
            title,
            "share" if title == "share" else "number",
            [rows[label].get(title) for label in ranked],
        )
        for title in given
    ]
    return DataTable("labels", "Labels", columns, 1 + given.index("draws"))


def task_table(saved: SavedSession) -> DataTable | None:
    """Live tasks of a session, at most those of most LP; ``None`` if it has none."""
    tasks = saved.tasks
    if not len(tasks):
        return None
    tasks = tasks[np.lexsort((tasks["task_id"], -tasks["lp_score"]))][:MOST_TASKS]
    caption = "Tasks in the pool"
    if len(tasks) < len(saved.tasks):
        caption += f": the {len(tasks):,} of {len(saved.tasks):,} with the most LP"
    names = [literal(label or _NO_LABEL) for label in saved.labels]
    labels = [names[place] if place >= 0 else _NO_LABEL for place in tasks["label"].tolist()]
    ended = tasks["completion_count"].astype(np.float64)
    known = ended > 0
    mean = np.divide(tasks["total_score"], ended, out=np.full(len(tasks), np.nan), where=known)
    recent = np.where(known, tasks["reward_ema"], np.nan)
    columns = [
        Column("task", "id", [str(task) for task in tasks["task_id"].tolist()]),
        Column("label", "text", labels),
        _numbers("draws", tasks["scheduled_count"]),
        _numbers("episodes", ended),
        _numbers("env steps", tasks["env_steps"]),
        _numbers("mean score", mean),
        _numbers("recent score", recent),
        _numbers("LP", tasks["lp_score"]),
    ]
    return DataTable("tasks", caption, columns, len(columns) - 1)


def _numbers(title: str, values: Any) -> Column:
    return Column(title, "number", np.asarray(values, np.float64).tolist())


def _rows_of_totals(
    totals: Mapping[str, Mapping[str, float]],
) -> dict[str, dict[str, float | None]]:
    return {
        label: {
            "tasks": total["tasks"],
            "draws": total["scheduled"],
            "episodes": total["completions"],
            "mean score": _mean(total["score_sum"], total["completions"]),
            "LP": total["lp_mean"] if total["tasks"] else None,
            "evicted": total["evicted"],
        }
        for label, total in totals.items()
    }


def _rows_of_points(points: Sequence[CurvePoint]) -> dict[str, dict[str, float | None]]:
    return {
        point.label: {
            "draws": float(point.samples),
            "episodes": float(point.completions),
            "mean score": _mean(point.score_sum, point.completions),
            "LP": point.lp,
        }
        for point in points
    }


def _rows_of_history(history: History) -> dict[str, dict[str, float | None]]:
    rows: dict[str, dict[str, float | None]] = {}
    for label, one in history.leading(len(history.labels)).items():
        known = ~np.isnan(one.score) & (one.draws > 0)
        weighed = float((one.score[known] * one.draws[known]).sum())
        progress = one.lp[~np.isnan(one.lp)]
        rows["all others" if label == OTHER else label] = {
            "draws": round(float(one.draws.sum())),
            "mean score": _mean(weighed, float(one.draws[known].sum())),
            "LP": float(progress[-1]) if len(progress) else None,
        }
    return rows


def _mean(total: float, count: float) -> float | None:
    return total / count if count else None


def _text(column: Column, row: int) -> str:
    cell = column.cells[row]
    if isinstance(cell, str):
        return cell
    return percent(cell) if column.kind == "share" else number(cell)


def _short(value: Cell) -> Cell:
    """Five digits, which take less room; ``None`` for what is no number."""
    assert not isinstance(value, str)
    if value is None or not np.isfinite(value):
        return None
    return int(value) if float(value).is_integer() else float(f"{value:.5g}")
