"""Values that were read for some tasks, in the order of other ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def aligned(
    ids: NDArray[np.int64], values: NDArray[np.float64], wanted: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The value of each id that is wanted, NaN for one that is not among the ids.

    Args:
        ids: of the values, each once; shape (n,).
        values: shape (n,).
        wanted: ids; shape (m,), as the result.
    """
    if np.array_equal(ids, wanted):
        return values
    order = np.argsort(ids, kind="stable")
    places = np.searchsorted(ids, wanted, sorter=order)
    found = np.full(len(wanted), np.nan)
    inside = places < len(ids)
    hits = order[places[inside]]
    found[inside] = np.where(ids[hits] == wanted[inside], values[hits], np.nan)
    return found
