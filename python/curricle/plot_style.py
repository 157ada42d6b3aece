"""How the pictures look."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK = "#30343b"
GREY = "#c9ccd1"
STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "hatch.linewidth": 0.6,
}
# Okabe and Ito's colours, told apart with any colour vision.
COLOURS = ("#56b4e9", "#009e73", "#e69f00", "#d55e00", "#cc79a7", "#0072b2")


def new_figure(
    size: tuple[float, float] = (10, 5.6),
    heights: Sequence[float] = (1.0,),
    columns: int = 1,
    kind: type[Figure] = Figure,
) -> tuple[Figure, list[Axes]]:
    """A figure with rows of axes.

    Args:
        size: width and height in inches.
        heights: relative heights of the rows, from top to bottom.
        columns: axes side by side in each row.
        kind: class of the figure.

    Returns:
        The figure, and the axes row by row.
    """
    # Not pyplot: it would keep the figure and look for a display.
    figure = kind(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
    places = [(row, column) for row in range(len(heights)) for column in range(columns)]
    return figure, [figure.add_subplot(grid[place]) for place in places]
