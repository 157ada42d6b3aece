"""Numbers and users' texts in a few columns of a terminal."""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rich.cells import cell_len, chop_cells

from curricle.literal import literal

# Not the full block, which would join with that of the line above.
_SIGNS = " ▁▂▃▄▅▆▇"
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
NOTHING = "-"
#: What tasks without a label stand under; no label can be it, as all rows have their own key.
NO_LABEL = "(no label)"


def label_name(label: str | None) -> str:
    """A label as it is shown."""
    return NO_LABEL if label is None else literal(label)


def count(number: float) -> str:
    """A number of things in at most six columns: 9,999, 12.3k, 4.56M."""
    if abs(number) < 10_000:
        return f"{number:,.0f}"
    # What would be rounded to a thousand of a unit is one of the next.
    unit, letter = next(pair for pair in _UNITS if abs(number) >= 0.9995 * pair[0])
    scaled = number / unit
    return f"{scaled:.{2 if scaled < 10 else 1 if scaled < 100 else 0}f}{letter}"


def rate(a_second: float | None) -> str:
    """Things a second, or a dash where that is not known yet."""
    if a_second is None:
        return NOTHING
    return f"{a_second:.1f}" if 0 < a_second < 100 else count(a_second)


def measure(value: float) -> str:
    """A mean or a learning progress in at most eight columns; a dash for NaN."""
    if math.isnan(value):
        return NOTHING
    size = abs(value)
    if size and (size < 1e-3 or size >= 1e4):
        return f"{value:.1e}"
    return f"{value:.{3 if size < 100 else 1}f}"


def percent(share: float) -> str:
    """A share of 1 in at most six columns; a dash for NaN."""
    return NOTHING if math.isnan(share) else f"{100 * share:.1f}%"


def duration(seconds: float) -> str:
    """Days, hours, minutes and seconds."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    clock = f"{hours}:{minutes:02}:{rest:02}" if hours or days else f"{minutes}:{rest:02}"
    return f"{days}d {clock}" if days else clock


def clock(seconds: float) -> str:
    """The time of day of seconds since the epoch."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def fit(text: str, width: int, right: bool = False) -> str:
    """The text in exactly that many columns, without its middle where it is longer."""
    excess = cell_len(text) - width
    if excess > 0:
        head = (width - 1) // 2
        tail = width - 1 - head
        start = chop_cells(text, head)[0] if head > 0 else ""
        # From the end, cut where the rest fits; a sign of two columns may leave one over.
        end = next((text[at:] for at in range(len(text)) if cell_len(text[at:]) <= tail), "")
        text = (f"{start}\N{HORIZONTAL ELLIPSIS}{end}")[:width] if width > 0 else ""
    padding = " " * (width - cell_len(text))
    return padding + text if right else text + padding


def sparkline(values: ArrayLike, from_zero: bool) -> str:
    """A sign for each value, between the least (or 0) and the greatest; a blank for NaN."""
    return sparklines(np.asarray(values, dtype=np.float64)[np.newaxis], from_zero)[0]


def sparklines(rows: NDArray[np.float64], from_zero: bool) -> list[str]:
    """A `sparkline` for each row, shape (rows, values)."""
    known = ~np.isnan(rows)
    least = np.where(known, rows, 0.0 if from_zero else np.inf)
    least = least.min(axis=1, keepdims=True, initial=0.0 if from_zero else np.inf)
    most = np.where(known, rows, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    grows = most > least
    # What does not change is in the middle, and a row of zeros at the bottom.
    levels = np.full(rows.shape, 0.5)
    if from_zero:
        levels[(most == 0.0)[:, 0]] = 0.0
    np.divide(rows - least, most - least, out=levels, where=grows)
    signs = np.where(known, 1.0 + np.minimum(6.0, 7.0 * levels), 0.0).astype(int)
    return ["".join([_SIGNS[sign] for sign in row]) for row in signs.tolist()]


def bar(share: float, width: int) -> str:
    """A bar of ``share`` of the width, in eighths of a column; anything above 0 is seen."""
    eighths = round(share * width * 8)
    if share > 0:
        eighths = max(1, eighths)
    full, part = divmod(eighths, 8)
    return "█" * full + (_EIGHTHS[part] if part else "")
