"""The pictures of ``benches/RESULTS.md``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import matplotlib as mpl
from matplotlib.axes import Axes

from benches.peers.calls import CallCost
from benches.peers.throughput import NO_CURRICULUM, Throughput
from benches.training_loop import METRICS, OFF, ON, LoopSpeed
from curricle.plot_style import COLOURS, GREY, INK, STYLE, new_figure

OPERATIONS = ("draw", "update", "score all tasks")
_T = TypeVar("_T")
# Each peer looks the same in all pictures.
_PEERS = (
    "Curricle",
    "NumPy in shared memory, lock",
    "dict in a Manager, lock",
    "TorchRL PrioritizedSampler",
    "syllabus-rl",
    "syllabus-rl, tasks not counted",
)
_MARKERS = "osD^vP"
_ARM_COLOURS = {OFF: GREY, ON: COLOURS[1], METRICS: COLOURS[2]}


def draw_costs(path: Path, costs: Sequence[CallCost]) -> None:
    """Cost against the number of tasks, both logarithmic, a panel an operation."""
    with mpl.rc_context(STYLE):
        figure, panels = new_figure((13, 5.2), columns=len(OPERATIONS))
        peers = _unique(row.peer for row in costs)
        for axes, operation in zip(panels, OPERATIONS, strict=True):
            for peer in peers:
                rows = [row for row in costs if (row.peer, row.operation) == (peer, operation)]
                if rows:
                    axes.plot(
                        [row.tasks for row in rows],
                        [row.seconds.median * 1e6 for row in rows],
                        label=peer,
                        **_line(peer),
                    )
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xlabel("tasks")
            axes.set_title(operation)
            axes.grid(color=GREY, linewidth=0.6)
        panels[0].set_ylabel("microseconds")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
        figure.savefig(path, dpi=130)


def draw_throughput(path: Path, rows: Sequence[Throughput]) -> None:
    """Episodes a second against the number of processes, a panel a number of tasks."""
    sizes = _unique(row.tasks for row in rows if row.peer != NO_CURRICULUM)
    peers = _unique(row.peer for row in rows if row.peer != NO_CURRICULUM)
    with mpl.rc_context(STYLE):
        figure, panels = new_figure((11, 5.6), columns=len(sizes))
        for axes, tasks in zip(panels, sizes, strict=True):
            bare = [row for row in rows if row.peer == NO_CURRICULUM]
            _plot_throughput(axes, bare, color=INK, linestyle=":", label=NO_CURRICULUM)
            for peer in peers:
                found = [row for row in rows if (row.peer, row.tasks) == (peer, tasks)]
                _plot_throughput(axes, found, label=peer, **_line(peer))
            axes.set_yscale("log")
            axes.set_xticks(_unique(row.workers for row in rows))
            axes.set_xlabel("worker processes")
            axes.set_title(f"{tasks:,} tasks")
            axes.grid(axis="y", color=GREY, linewidth=0.6)
        panels[0].set_ylabel("episodes a second, all workers")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
        figure.savefig(path, dpi=130)


def draw_training_loop(path: Path, speeds: Sequence[LoopSpeed]) -> None:
    """Steps a second with the curriculum off, on, and with metrics, a panel a cost of a step."""
    costs = _unique(speed.step_microseconds for speed in speeds)
    with mpl.rc_context(STYLE):
        figure, panels = new_figure((11, 4.6), columns=len(costs))
        for axes, microseconds in zip(panels, costs, strict=True):
            found = [speed for speed in speeds if speed.step_microseconds == microseconds]
            for index, (arm, colour) in enumerate(_ARM_COLOURS.items()):
                figures = [speed.steps[arm] for speed in found]
                medians = [each.median for each in figures]
                lows, highs = zip(*(each.interval for each in figures), strict=True)
                below = [median - low for median, low in zip(medians, lows, strict=True)]
                above = [high - median for median, high in zip(medians, highs, strict=True)]
                axes.bar(
                    [place + 0.28 * (index - 1) for place in range(len(found))],
                    medians,
                    width=0.26,
                    color=colour,
                    yerr=[below, above],
                    error_kw={"ecolor": INK, "linewidth": 0.8},
                    label=arm,
                )
            axes.set_xticks(range(len(found)), [f"{speed.workers} workers" for speed in found])
            axes.set_title(f"{microseconds} µs a step")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        panels[0].set_ylabel("steps a second: median, its 95% interval")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
        figure.savefig(path, dpi=130)


def _plot_throughput(axes: Axes, rows: Sequence[Throughput], **line: Any) -> None:
    workers = [row.workers for row in rows]
    axes.plot(workers, [row.episodes.median for row in rows], **line)


def _line(peer: str) -> dict[str, Any]:
    index = _PEERS.index(peer)
    # The first is Curricle, in the foreground.
    first = index == 0
    return {
        "color": COLOURS[3] if first else (*COLOURS[:3], *COLOURS[4:])[index - 1],
        "linewidth": 3 if first else 1.6,
        "marker": _MARKERS[index],
        "zorder": 3 if first else 2,
    }


def _unique(values: Iterable[_T]) -> list[_T]:
    return list(dict.fromkeys(values))
