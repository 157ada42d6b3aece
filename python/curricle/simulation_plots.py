"""Pictures of simulations: how fast a student masters its tasks, and what its draws went to."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from curricle.plot_style import COLOURS, GREY, INK, STYLE, new_figure
from curricle.simulation_summary import BASELINE, Arms

_DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)))


def draw_simulations(path: Path, arms: Arms, title: str) -> None:
    """Writes a picture: what was mastered, and below it the draws by kind if there are several.

    Args:
        path: the file; its suffix says the format.
        arms: all with the same student and the same looks at it; at least one.
        title: of the picture.
    """
    several = len(next(iter(arms.values()))[0].kinds) > 1
    with mpl.rc_context(STYLE):
        height = 5.0 + 0.1 * len(arms)
        bars = 1.4 + 0.32 * len(arms) if several else 0.0
        figure, panels = new_figure((10, height + bars), [height, bars] if several else [height])
        draw_mastered(panels[0], arms)
        panels[0].set_title(title, pad=12)
        if several:
            draw_shares(panels[1], arms)
        figure.savefig(path, dpi=150)


def draw_mastered(axes: Axes, arms: Arms) -> None:
    """Share mastered over episodes: the mean of the seeds, and the range from least to most."""
    final = {name: np.mean([one.mastered[-1] for one in runs]) for name, runs in arms.items()}
    # The legend reads from the best down, as the ends of the lines do.
    for name in sorted(arms, key=lambda name: -final[name]):
        runs = arms[name]
        mastered = np.array([one.mastered for one in runs])
        colour, dashes = _line(list(arms), name)
        axes.plot(
            runs[0].episodes,
            mastered.mean(axis=0),
            color=colour,
            linestyle=dashes,
            linewidth=2,
            label=f"{name} ({final[name]:.1%})",
        )
        low, high = mastered.min(axis=0), mastered.max(axis=0)
        axes.fill_between(runs[0].episodes, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_xlabel("episodes")
    axes.set_ylabel("mastered")
    axes.set_xlim(0, runs[0].episodes[-1])
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(axis="y", color=GREY, linewidth=0.6)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def draw_shares(axes: Axes, arms: Arms) -> None:
    """Share of draws by kind of task: a bar for each algorithm, and one for the tasks themselves.

    An algorithm spends more on a kind than its tasks' number is worth where its part of the bar
    is longer than in the bar of the tasks.
    """
    first = next(iter(arms.values()))[0]
    rows = {
        name: {kind: float(np.mean([one.shares()[kind] for one in runs])) for kind in first.kinds}
        for name, runs in arms.items()
    }
    rows["number of tasks"] = first.uniform_shares()
    left = np.zeros(len(rows))
    for index, kind in enumerate(first.kinds):
        width = np.array([shares[kind] for shares in rows.values()])
        colour = COLOURS[index % len(COLOURS)]
        axes.barh(list(rows), width, left=left, color=colour, label=kind, edgecolor="white")
        left += width
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of draws")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.tick_params(axis="y", length=0)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _line(names: list[str], name: str) -> tuple[str, object]:
    """Colour and dashes of an algorithm's line; those of the baseline are its own."""
    if name == BASELINE:
        return INK, _DASHES[2]
    index = [other for other in names if other != BASELINE].index(name)
    return COLOURS[index % len(COLOURS)], _DASHES[index // len(COLOURS) % len(_DASHES)]
