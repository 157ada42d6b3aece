"""A picture of the recipe: who gets the draws, and what learning progress they have."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from curricle.plot_style import COLOURS, GREY, STYLE, new_figure
from curricle.recipes.impossible import SHARE, Family, uniform_share
from curricle.recipes.report import Run

_COLOURS: dict[Family, str] = {
    "normal": COLOURS[1],
    "impossible": COLOURS[3],
    "noisy": COLOURS[5],
}
# Parts of a run for each of which a share is drawn: enough draws in each for it to be steady.
_PARTS = 10


def draw_recipe(path: Path, runs: Sequence[Run], families: Sequence[Family]) -> None:
    """Writes a PNG: each family's share of the draws and its learning progress, over all seeds.

    Args:
        path: of the picture.
        runs: of both arms.
        families: on which nothing can be learned.
    """
    with mpl.rc_context(STYLE):
        figure, (shares, progress) = new_figure(columns=2)
        grid = np.linspace(0, runs[0].settings.episodes, _PARTS + 1)
        for arm in dict.fromkeys(run.settings.curriculum for run in runs):
            dashes = "--" if arm == "uniform" else "-"
            ran = [run for run in runs if run.settings.curriculum == arm]
            drawn = _sums(ran, "samples", grid)
            total = np.diff(sum(drawn.values(), np.zeros(len(grid))))
            for family in families:
                share = np.diff(drawn[family]) / np.maximum(total, 1)
                # A share stands in the middle of its part.
                middle = (grid[1:] + grid[:-1]) / 2
                name = f"{family}, {arm}"
                shares.plot(middle, share, dashes, color=_COLOURS[family], marker=".", label=name)
            # The learning progress of uniform draws is another one, not to be compared with.
            for family, row in _sums(ran, "lp", grid).items() if arm != "uniform" else ():
                tasks = sum(x.tasks for run in ran for x in run.labels if x.family == family)
                normal = f"normal, {arm}" if family == "normal" else None
                # What is 0 throughout is seen on the axis.
                progress.plot(
                    grid, row / tasks, color=_COLOURS[family], label=normal, clip_on=False, zorder=3
                )
        for family in families:
            limit = SHARE * float(np.mean([uniform_share(run.labels, family) for run in runs]))
            name = f"half of the uniform share, {family}"
            shares.axhline(limit, color=_COLOURS[family], linestyle=":", label=name)
        shares.set_title("Share of draws", pad=12)
        shares.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        progress.set_title("Mean learning progress", pad=12)
        for axes in (shares, progress):
            _finish(axes)
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
        figure.savefig(path, dpi=150)


def _finish(axes: Axes) -> None:
    axes.set_xlabel("episodes")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(axis="y", color=GREY, linewidth=0.6)


def _sums(
    runs: Sequence[Run], field: str, grid: NDArray[np.float64]
) -> dict[Family, NDArray[np.float64]]:
    """By family the sum of a field of the curves, between their points by interpolation.

    Learning progress, the mean over a label's tasks, is summed over tasks.
    """
    sums: dict[Family, NDArray[np.float64]] = {}
    for run in runs:
        for label in run.labels:
            points = [point for point in run.curve if point.label == label.label]
            episodes = [0, *(point.episodes for point in points)]
            values = [0.0, *(getattr(point, field) for point in points)]
            weight = label.tasks if field == "lp" else 1
            row = sums.setdefault(label.family, np.zeros(len(grid)))
            row += weight * np.interp(grid, episodes, values)
    return sums
