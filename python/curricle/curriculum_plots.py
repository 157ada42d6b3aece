"""Pictures of a curriculum as it stands: its labels, and the learning progress of its tasks."""

from __future__ import annotations

import io

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from curricle.alignment import aligned
from curricle.plot_style import COLOURS, GREY, INK, STYLE, new_figure
from curricle.tracker import TaskTracker

# Beyond so many tasks, points would lie on top of each other.
_POINTS = 5_000
_LONGEST = 40


class Picture(Figure):
    """A figure that a notebook shows, whether or not pyplot was imported."""

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        self.savefig(content, format="png", dpi=100)
        return content.getvalue()


def labels_picture(tracker: TaskTracker, max_labels: int) -> Figure:
    """What `Curriculum.plot_labels` draws."""
    names, now = _by_label(tracker, max_labels)
    with mpl.rc_context(STYLE):
        height = 1.6 + 0.3 * len(names)
        figure, panels = new_figure((10, height), [height], columns=3, kind=Picture)
        rows = np.arange(len(names))[::-1]
        columns = [
            ("share of draws now ( | if uniform)", now["share"], COLOURS[0]),
            ("mean score", now["score"], COLOURS[1]),
            ("mean learning progress", now["lp"], COLOURS[3]),
        ]
        for axes, (title, values, colour) in zip(panels, columns, strict=True):
            axes.barh(rows, np.nan_to_num(values), color=colour, height=0.7)
            for row, value in zip(rows, values, strict=True):
                if np.isnan(value):
                    axes.text(0, row, " no score yet", va="center", fontsize=8)
            axes.set_title(title, fontsize=11)
            axes.set_yticks(rows, names if axes is panels[0] else [], parse_math=False)
            axes.set_ylim(-0.6, len(names) - 0.4)
            axes.axvline(0, color=INK, linewidth=0.8)
        panels[0].plot(now["uniform"], rows, "|", color=INK, markersize=12, markeredgewidth=1.8)
        panels[0].xaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    return figure


def progress_picture(tracker: TaskTracker) -> Figure:
    """What `Curriculum.plot_progress` draws."""
    table = tracker.snapshot()
    _, shares = tracker.probabilities()
    with mpl.rc_context(STYLE):
        figure, (left, right) = new_figure((10, 4.4), [1.0], columns=2, kind=Picture)
        _draw_progress(left, table[table["completion_count"] > 0])
        unscored = int((table["completion_count"] == 0).sum())
        left.set_title("learning progress against mean reward", fontsize=11)
        left.set_xlabel(f"mean reward (EMA); {unscored:,} of {len(table):,} tasks have no score")
        left.set_ylabel("learning progress")
        drawn = np.concatenate([[0.0], np.cumsum(np.sort(shares)[::-1])])
        right.plot(np.linspace(0, 1, len(drawn)), drawn, color=COLOURS[5], linewidth=2.5)
        right.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="if uniform")
        right.set_title("share of draws of the tasks drawn most", fontsize=11)
        right.set_xlabel("share of the tasks")
        right.set_ylim(0, 1.02)
        right.set_xlim(0, 1)
        for axis in (right.xaxis, right.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0))
        right.legend(loc="lower right", frameon=False, fontsize=9)
    return figure


def _draw_progress(axes: Axes, scored: NDArray[np.void]) -> None:
    rewards, progress = scored["reward_ema"], scored["lp_score"]
    if len(scored) > _POINTS:
        cells = axes.hexbin(rewards, progress, gridsize=40, bins="log", mincnt=1, cmap="viridis_r")
        axes.figure.colorbar(cells, ax=axes, label="tasks")
    else:
        axes.scatter(rewards, progress, s=14, color=COLOURS[3], alpha=0.6, linewidths=0)


def _by_label(
    tracker: TaskTracker, max_labels: int
) -> tuple[list[str], dict[str, NDArray[np.float64]]]:
    """Names of the bars from the top down, and what they show; the least drawn go together."""
    ids, shares = tracker.probabilities()
    table = tracker.snapshot()
    labels = tracker.backend.labels()
    # -1 is no label; it takes the last place.
    places = np.where(table["label"] < 0, len(labels), table["label"])
    probabilities = np.nan_to_num(aligned(ids, shares, table["task_id"]))

    def per_label(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(places, values, len(labels) + 1).astype(np.float64)

    sums = np.array(
        [
            per_label(values)
            for values in (
                probabilities,
                np.ones(len(table)),
                table["completion_count"],
                table["total_score"],
                table["lp_score"],
            )
        ]
    )
    names = [*(_cut(str(label)) for label in labels), "(no label)"]
    order = [at for at in np.argsort(-sums[0], kind="stable") if sums[1, at] > 0]
    shown, rest = order[:max_labels], order[max_labels:]
    chosen = sums[:, shown]
    titles = [names[at] for at in shown]
    if rest:
        chosen = np.column_stack([chosen, sums[:, rest].sum(axis=1)])
        titles.append(f"({len(rest):,} other labels)")
    share, tasks, completions, score, lp = chosen
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_score = np.where(completions > 0, score / completions, np.nan)
        uniform = tasks / tasks.sum()
    return titles, {"share": share, "uniform": uniform, "score": mean_score, "lp": lp / tasks}


def _cut(label: str) -> str:
    return label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"
