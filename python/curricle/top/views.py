"""What stands below the heading: tables of labels and of tasks, one task, acts, help."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curricle.literal import literal
from curricle.top.detail import Task
from curricle.top.heading import act_text, steering
from curricle.top.history import MOST_POINTS, WINDOW, History
from curricle.top.look import Look
from curricle.top.table import Column
from curricle.top.text import NOTHING, count, fit, label_name, measure, percent, sparklines

_MOST_SPARK = 24
_SPARK = 6


def label_columns(history: History) -> list[Column]:
    """The columns of the table of labels; rows are those of the history."""
    names = history.names

    def trend(
        trails: Callable[[NDArray[np.intp], int], NDArray[np.float64]], from_zero: bool
    ) -> Column:
        def write(rows: NDArray[np.intp], width: int) -> list[str]:
            return [line.rjust(width) for line in sparklines(trails(rows, width), from_zero)]

        return Column("", _SPARK, write, most=_MOST_SPARK)

    return [
        Column("label", 0, lambda rows, _: [names[row] for row in rows.tolist()], names),
        _figures("tasks", 6, history.tasks(), count, table_width=90),
        _figures("episodes", 8, history.episodes(), count),
        _figures("share", 6, history.shares(), percent),
        trend(history.share_trails, from_zero=True),
        _figures("score", 7, history.mean_scores(), measure),
        trend(history.score_trails, from_zero=False),
        _figures("LP", 7, history.progress(), measure),
        trend(history.progress_trails, from_zero=True),
        _figures("evicted", 7, history.evictions(), count, table_width=100),
    ]


def task_columns(fields: dict[str, NDArray[Any]]) -> list[Column]:
    """The columns of the table of the tasks of one label."""
    return [
        _figures("task", 0, fields["task_id"], str),
        _figures("probability", 12, fields["probability"], probability),
        _figures("LP", 8, fields["lp_score"], measure),
        _figures("episodes", 8, fields["completion_count"], count),
        _figures("score", 8, fields["reward_ema"], measure),
        _figures("last", 8, fields["last_score"], measure),
        _figures("weight", 8, fields["weight"], measure),
    ]


def _figures(
    title: str,
    width: int,
    values: NDArray[Any],
    form: Callable[[Any], str],
    table_width: int = 0,
) -> Column:
    def write(rows: NDArray[np.intp], _: int) -> list[str]:
        return [form(value) for value in values[rows].tolist()]

    return Column(title, width, write, values, table_width=table_width)


def probability(share: float) -> str:
    """A probability of one among many tasks."""
    return NOTHING if math.isnan(share) else f"{share:.3g}"


def task_text(task_id: int, task: Task | None) -> str:
    """The record of a task, two fields a line."""
    if task is None:
        return f"task {task_id}: being read"
    if task.data is None:
        return f"task {task_id} is not in the session any more: evicted or removed"
    record = task.data.as_dict()
    columns = dict(zip(task.columns, record.pop("columns"), strict=True))
    label = record.pop("label")
    record.pop("task_id")
    fields = {"probability": probability(task.probability), "mean_score": task.data.mean_score}
    fields |= record | columns
    cells = [f"{literal(name):<18}{_field(value):<20}" for name, value in fields.items()]
    pairs = [" ".join(cells[at : at + 2]).rstrip() for at in range(0, len(cells), 2)]
    return "\n".join([f"task {task_id}  {label_name(label)}", *pairs])


def _field(value: object) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def acts_text(look: Look) -> str:
    """What steers the session, and the acts that are kept, the last one first."""
    lines = [f"steering: {steering(look)}", ""]
    lines += [act_text(act) for act in reversed(look.acts)] or ["no acts of steering"]
    return "\n".join(lines)


def plain_text(head: str, history: History) -> str:
    """One snapshot without a terminal: heading and the table of all labels."""
    columns = [column for column in label_columns(history) if column.title]
    widths = [max((len(str(n)) for n in columns[0].values or ()), default=0), *[9] * 6]
    widths[0] = max(widths[0], len("label"))
    order = np.argsort(-np.nan_to_num(history.shares()), kind="stable")
    lines = [
        " ".join(
            fit(column.title, width, right=at > 0)
            for at, (column, width) in enumerate(zip(columns, widths, strict=True))
        )
    ]
    cells = [
        [fit(text, width, right=at > 0) for text in column.write(order, width)]
        for at, (column, width) in enumerate(zip(columns, widths, strict=True))
    ]
    lines += [" ".join(row) for row in zip(*cells, strict=True)]
    return "\n".join([head, "", *lines])


HELP = f"""\
up down pgup pgdn end     choose a row; home: the first, whichever it becomes
enter, double click       the tasks of a label; the record of a task
esc                       back; clears the filter
< >, click on a title     sort by another column; r: the other way round
/                         filter: part of a label, or the id of a task
h                         histograms of learning progress and probabilities
a                         acts of steering: what, by which process, when
p                         pause, and go on
+ -                       look more or less often, 0.25 s to 16 s
n                         of an ended session, follow the new one of its name
q                         quit

Rates, shares and scores are of the last {WINDOW:.0f} s, or of the latest time
before it with draws, or with episodes of the label. Curves reach from the
first look to the last, in {MOST_POINTS} points at most. Share and LP start at 0.
LP is the mean learning progress of the tasks."""
