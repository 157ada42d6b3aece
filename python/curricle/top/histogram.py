"""Histograms in the lines of a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from curricle.top.text import bar, count, measure

# From this width on, two histograms stand side by side.
_BESIDE = 76
# Beyond this ratio of the greatest value to the least, equal bins would show one bar.
_LINEAR_TO = 100.0


def histogram(values: NDArray[np.float64], lines: int, width: int) -> list[str]:
    """A line for each bin: its lower end, how many values are in it, and a bar.

    Values at 0 have a bin of their own; those above lie in equal bins, or in bins of equal ratio
    where they span more than two orders of magnitude.

    Args:
        values: shape (n,), >= 0; NaN is left out.
        lines: number of lines, at least 3.
        width: of each line, in columns, at least 20.
    """
    known = values[~np.isnan(values)]
    above = known[known > 0.0]
    rows = [("0", len(known) - len(above))]
    if len(above):
        least, most = float(above.min()), float(above.max())
        if least == most:
            rows.append((measure(least), len(above)))
        else:
            spread = np.linspace if most / least <= _LINEAR_TO else np.geomspace
            edges = spread(least, most, lines)
            # Rounding must not leave out the ends.
            edges[0], edges[-1] = least, most
            numbers, _ = np.histogram(above, edges)
            rows += [(measure(edge), int(n)) for edge, n in zip(edges, numbers, strict=False)]
    greatest = max(1, *(number for _, number in rows))
    room = width - 17
    return [
        f"{edge:>8} {count(number):>6} {bar(number / greatest, room)}".ljust(width)
        for edge, number in rows
    ]


def both(titled: Sequence[tuple[str, NDArray[np.float64]]], width: int, height: int) -> str:
    """Histograms of two sets of values with their titles, beside each other if there is room."""
    beside = width >= _BESIDE
    lines = max(3, (height if beside else height // 2) - 3)
    each = max(20, width // 2 - 1 if beside else width)
    first, second = ([title.ljust(each), *histogram(v, lines, each)] for title, v in titled)
    if not beside:
        return "\n".join([*first, "", *second])
    pairs = zip_longest(first, second, fillvalue=" " * each)
    return "\n".join("  ".join(pair) for pair in pairs)
