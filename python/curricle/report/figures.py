"""The figures of a report."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator
from numpy.typing import NDArray

from curricle.literal import literal
from curricle.loggers.measures import OTHER
from curricle.plot_style import GREY, STYLE, new_figure
from curricle.report.history import History
from curricle.report.palette import LIGHT, OTHER_LIGHT
from curricle.report.svg import inline_svg
from curricle.report.text import number, shortened

#: Labels with a line or a band of their own, and rows of the heat map; the rest is one more.
TOP_LABELS, TOP_ROWS = len(LIGHT), 24
# Points beyond which a scatter plot is a picture, which is smaller.
_MANY_POINTS = 400
_HALF, _WIDE = (5.0, 3.1), 10.4
_DASHES = ("", "6 2", "2 2", "8 2 2 2")
_STYLE: dict[Any, Any] = STYLE | {
    "font.family": "sans-serif",
    "font.size": 11,
    "svg.fonttype": "none",
    "svg.hashsalt": "curricle",
    "text.parse_math": False,
    "lines.linewidth": 1.8,
}


@dataclass(frozen=True, slots=True)
class Key:
    """An entry of a legend: a label, its colour and its dashes, as SVG has them."""

    text: str
    colour: str
    dashes: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure of the page.

    Attributes:
        name: part of ids in it.
        title: heads it.
        caption: what is to be seen, and how it was made.
        svg: the figure.
        keys: its legend.
        is_wide: whether it takes the whole width.
    """

    name: str
    title: str
    caption: str
    svg: str
    keys: Sequence[Key] = ()
    is_wide: bool = False


@dataclass(frozen=True, slots=True)
class Points:
    """Reward against LP: a point for each ``of``; arrays of shape (n,)."""

    of: str
    score: NDArray[np.float64]
    lp: NDArray[np.float64]


def draw_pictures(history: History, points: Points | None) -> list[Picture]:
    """All figures for which there is something to show.

    Args:
        history: of the run.
        points: of tasks or labels, ``None`` if nothing is known of any.
    """
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # The browser has the letters that matplotlib's own font has not.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        found = [
            _learning_curve(history),
            _scores_of_labels(history),
            _shares(history),
            _points(points) if points is not None else None,
            _evictions(history),
            _heat_map(history),
        ]
    return [picture for picture in found if picture is not None]


def _learning_curve(history: History) -> Picture | None:
    lines = [
        ("mean score in training", history.score, LIGHT[0], ""),
        ("mean success of labels in evaluation", history.success, LIGHT[1], "6 2"),
        ("success of the least label", history.least_success, LIGHT[2], "2 2"),
    ]
    known = [line for line in lines if not np.isnan(line[1]).all()]
    if not known:
        return None
    figure, axes = _axes(history)
    for _, values, colour, dashes in known:
        _line(axes, history, values, colour, dashes)
    said = "; ".join(f"{text} {_from_to(values)}" for text, values, _, _ in known)
    return Picture(
        "learning",
        "Learning curve",
        f"Over the run: {said}.",
        inline_svg(figure, "learning-", f"Learning curve over {history.unit}: {said}"),
        [Key(text, colour, dashes) for text, _, colour, dashes in known],
    )


def _scores_of_labels(history: History) -> Picture | None:
    leading = {
        label: one
        for label, one in history.leading(TOP_LABELS).items()
        if not np.isnan(one.score).all()
    }
    if not leading:
        return None
    figure, axes = _axes(history)
    keys = _keys(list(leading))
    for key, one in zip(keys, leading.values(), strict=True):
        _line(axes, history, one.score, key.colour, key.dashes)
    return Picture(
        "scores",
        "Score by label",
        f"Mean score of the episodes of each interval, for {_which(history, TOP_LABELS)}.",
        inline_svg(
            figure,
            "scores-",
            "Mean score by label: "
            + "; ".join(f"{_name(name)} {_from_to(one.score)}" for name, one in leading.items()),
        ),
        keys,
    )


def _shares(history: History) -> Picture | None:
    leading = history.leading(TOP_LABELS)
    total = sum((one.draws for one in leading.values()), np.zeros(len(history.steps)))
    if not total.any():
        return None
    figure, axes = _axes(history)
    edges = _edges(history)
    below = np.zeros(len(edges))
    keys = _keys(list(leading))
    for key, one in zip(keys, leading.values(), strict=True):
        share = one.draws / np.maximum(total, 1e-9)
        # Each share stands for the interval that ends at its point.
        above = below + np.concatenate([share[:1], share])
        axes.fill_between(edges, below, above, step="pre", color=key.colour, linewidth=0)
        below = above
    axes.set_ylim(0, 1)
    axes.set_xlim(edges[0], edges[-1])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ends = {name: one.draws.sum() / total.sum() for name, one in leading.items() if total.sum() > 0}
    return Picture(
        "shares",
        "Share of samples by label",
        f"Share of the draws of each interval, for {_which(history, TOP_LABELS)}; the first of "
        "the legend is the lowest band.",
        inline_svg(
            figure,
            "shares-",
            "Share of samples over the whole run: "
            + "; ".join(f"{_name(name)} {share:.1%}" for name, share in ends.items()),
        ),
        [Key(key.text, key.colour, "") for key in keys],
    )


def _points(points: Points) -> Picture | None:
    known = ~(np.isnan(points.score) | np.isnan(points.lp))
    score, lp = points.score[known], points.lp[known]
    if not len(score):
        return None
    figure, (axes,) = new_figure(_HALF)
    axes.scatter(
        score,
        lp,
        s=14 if len(score) <= _MANY_POINTS else 7,
        color=LIGHT[0] if len(score) <= _MANY_POINTS else "#3a8fd0",
        alpha=0.7,
        linewidths=0,
        rasterized=len(score) > _MANY_POINTS,
    )
    _finish(axes, f"recent mean score of the {points.of}")
    axes.set_ylabel("LP")
    said = (
        f"{len(score):,} {points.of}s; scores from {number(float(score.min()))} to "
        f"{number(float(score.max()))}, LP from {number(float(lp.min()))} to "
        f"{number(float(lp.max()))}"
    )
    return Picture(
        "points",
        "Reward against LP",
        f"A point for each {points.of}: {said}.",
        inline_svg(figure, "points-", f"Reward against learning progress: {said}"),
    )


def _evictions(history: History) -> Picture | None:
    if not history.evictions.any():
        return None
    figure, axes = _axes(history)
    edges = _edges(history)
    counts = np.cumsum(np.concatenate([[0.0], history.evictions]))
    axes.plot(edges, counts, color=LIGHT[1])
    axes.set_ylim(bottom=0)
    said = f"{number(float(counts[-1]))} tasks evicted in the run"
    return Picture(
        "evictions",
        "Evictions",
        f"Tasks evicted since the run began, {said}.",
        inline_svg(figure, "evictions-", said),
    )


def _heat_map(history: History) -> Picture | None:
    rows = {
        label: one for label, one in history.leading(TOP_ROWS).items() if not np.isnan(one.lp).all()
    }
    if not rows:
        return None
    figure, (axes,) = new_figure((_WIDE, 1.1 + 0.21 * len(rows)))
    table = np.array([one.lp for one in rows.values()])
    mesh = axes.pcolormesh(
        _edges(history),
        np.arange(len(rows) + 1),
        np.ma.masked_invalid(table),
        cmap="viridis",
        rasterized=True,
    )
    bar = figure.colorbar(mesh, ax=axes, pad=0.01, aspect=30)
    assert bar.solids is not None
    bar.solids.set_rasterized(True)
    bar.outline.set_visible(False)
    bar.set_label("LP")
    axes.invert_yaxis()
    names = [shortened(_name(label), 30) for label in rows]
    axes.set_yticks(np.arange(len(rows)) + 0.5, names)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(history.unit)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    highest = max(rows, key=lambda label: float(np.nanmax(rows[label].lp)))
    said = (
        f"from {number(float(np.nanmin(table)))} to {number(float(np.nanmax(table)))}, the highest "
        f"that of {_name(highest)}"
    )
    return Picture(
        "progress",
        "LP of labels over time",
        f"Mean learning progress of each label's tasks, for {_which(history, TOP_ROWS)}: {said}.",
        inline_svg(figure, "progress-", f"Heat map of learning progress by label, {said}"),
        is_wide=True,
    )


def _axes(history: History) -> tuple[Figure, Axes]:
    figure, (axes,) = new_figure(_HALF)
    _finish(axes, history.unit)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    return figure, axes


def _finish(axes: Axes, below: str) -> None:
    axes.set_xlabel(below)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="y", color=GREY, linewidth=0.6)
    axes.set_axisbelow(True)


def _line(
    axes: Axes, history: History, values: NDArray[np.float64], colour: str, dashes: str
) -> None:
    known = ~np.isnan(values)
    pattern = tuple(float(part) / 1.8 for part in dashes.split())
    axes.plot(
        history.steps[known],
        values[known],
        color=colour,
        linestyle=(0, pattern) if pattern else "-",
        marker="o" if known.sum() == 1 else None,
    )


def _edges(history: History) -> NDArray[np.float64]:
    """Where the intervals begin and end, shape (n + 1,)."""
    first = min(0.0, history.steps[0]) if history.steps[0] > 0 else history.steps[0] - 1.0
    return np.concatenate([[first], history.steps])


def _keys(labels: Sequence[str]) -> list[Key]:
    return [
        Key(
            _name(label),
            OTHER_LIGHT if label == OTHER else LIGHT[place],
            _DASHES[place % len(_DASHES)],
        )
        for place, label in enumerate(labels)
    ]


def _name(label: str) -> str:
    return "all others" if label == OTHER else literal(label)


def _which(history: History, count: int) -> str:
    named = sum(label != OTHER for label in history.labels)
    if named > count:
        return f"the {count} labels that were drawn most and all others together"
    if OTHER in history.labels:
        return "the labels that the log names and all others together"
    return "all labels"


def _from_to(values: NDArray[np.float64]) -> str:
    known = values[~np.isnan(values)]
    return f"from {number(float(known[0]))} to {number(float(known[-1]))}"
