"""What stands below the heading: tables of labels and of tasks, one task, acts, help."""

from __future__ import annotations

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
from curricle.top.text import count, fit, measure, percent, sparkline

#: What tasks without a label stand under; no label can be it, as all rows have their own key.
NO_LABEL = "(no label)"
_MOST_SPARK = 24
_SPARK = 6


def label_name(label: str | None) -> str:
    """A label as it is shown."""
    return NO_LABEL if label is None else literal(label)


def label_columns(history: History) -> list[Column]:
    """The columns of the table of labels; rows are those of the history."""
    names = [label_name(label) for label in history.labels]
    tasks, episodes, evicted = history.tasks(), history.episodes(), history.evictions()
    shares, scores, progress = history.shares(), history.mean_scores(), history.progress()

    def trend(trail: Callable[[int, int], NDArray[np.float64]], from_zero: bool) -> Column:
        def write(row: int, width: int) -> str:
            return sparkline(trail(row, width), from_zero).rjust(width)

        return Column("", _SPARK, write, most=_MOST_SPARK)

    return [
        Column("label", 0, lambda row, _: names[row], names),
        Column("tasks", 6, lambda row, _: count(tasks[row]), tasks, table_width=90),
        Column("episodes", 8, lambda row, _: count(episodes[row]), episodes),
        Column("share", 6, lambda row, _: percent(shares[row]), shares),
        trend(history.share_trail, from_zero=True),
        Column("score", 7, lambda row, _: measure(scores[row]), scores),
        trend(history.score_trail, from_zero=False),
        Column("LP", 7, lambda row, _: measure(progress[row]), progress),
        trend(history.progress_trail, from_zero=True),
        Column("evicted", 7, lambda row, _: count(evicted[row]), evicted, table_width=100),
    ]


def task_columns(fields: dict[str, NDArray[Any]]) -> list[Column]:
    """The columns of the table of the tasks of one label."""

    def column(title: str, width: int, name: str, form: str) -> Column:
        values = fields[name]
        writers = {"count": count, "measure": measure}
        write = writers[form]
        return Column(title, width, lambda row, _: write(float(values[row])), values)

    ids, shares = fields["task_id"], fields["probability"]
    return [
        Column("task", 0, lambda row, _: str(ids[row]), ids),
        Column("probability", 12, lambda row, _: probability(float(shares[row])), shares),
        column("LP", 8, "lp_score", "measure"),
        column("episodes", 8, "completion_count", "count"),
        column("score", 8, "reward_ema", "measure"),
        column("last", 8, "last_score", "measure"),
        column("weight", 8, "weight", "measure"),
    ]


def probability(share: float) -> str:
    """A probability of one among many tasks."""
    return "-" if np.isnan(share) else f"{share:.3g}"


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
    for row in order.tolist():
        cells = [
            fit(column.write(row, width), width, right=at > 0)
            for at, (column, width) in enumerate(zip(columns, widths, strict=True))
        ]
        lines.append(" ".join(cells))
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
