"""How a curriculum shows itself at a prompt and in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from curricle.errors import SessionError
from curricle.tracker import TaskTracker

_LABELS = 10
_CELL = "<td style='text-align:{}'>{}</td>"


def curriculum_line(tracker: TaskTracker, algorithm: str) -> str:
    """One line: where its session is, how many tasks it has and how much was played."""
    backend = tracker.backend
    place = f"session {backend.name!r}" if backend.name else f"{type(backend).__name__}"
    try:
        totals = tracker.totals()
    except SessionError:
        return f"Curriculum({place}, closed)"
    return (
        f"Curriculum({place}, {algorithm}, {totals['tasks']:,.0f} tasks, "
        f"{totals['completions']:,.0f} episodes, mean LP {totals['lp_mean']:.3g})"
    )


def curriculum_html(tracker: TaskTracker, algorithm: str) -> str:
    """The line, and a table of the labels that were drawn most."""
    line = f"<code>{escape(curriculum_line(tracker, algorithm))}</code>"
    try:
        labels = tracker.label_totals()
    except SessionError:
        return line
    most = sorted(labels.items(), key=lambda item: -item[1]["scheduled"])
    if not most:
        return line
    rows = [_row(label, counts) for label, counts in most[:_LABELS]]
    table = _table(["label", "tasks", "draws", "episodes", "mean score", "mean LP"], rows)
    rest = len(most) - _LABELS
    return line + table + (f"and {rest:,} more labels" if rest > 0 else "")


def _row(label: str, counts: Mapping[str, float]) -> list[str]:
    episodes = counts["completions"]
    score = f"{counts['score_sum'] / episodes:.3g}" if episodes else ""
    whole = [f"{counts[key]:,.0f}" for key in ("tasks", "scheduled", "completions")]
    return [label, *whole, score, f"{counts['lp_mean']:.3g}"]


def _table(heads: Iterable[str], rows: Iterable[list[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(
        "<tr>"
        + "".join(
            _CELL.format("right" if at else "left", escape(cell)) for at, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
