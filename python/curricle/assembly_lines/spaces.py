"""The bounds of observations."""

import numpy as np
from numpy.typing import NDArray

from curricle.assembly_lines.config import ITEMS, ROOM_WIDTHS
from curricle.assembly_lines.layout import (
    HEADER_SIZE,
    MAX_OBJECTS,
    OBJECT_SIZE,
    OBSERVATION_SIZE,
    SIDES,
    SINK,
)

#: Cells between the first and the last row of the largest room.
FARTHEST = max(ROOM_WIDTHS.values()) - 1


def observation_bounds() -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """The least and the largest value of each entry, shape (OBSERVATION_SIZE,)."""
    low = np.zeros(OBSERVATION_SIZE, np.int8)
    high = np.ones(OBSERVATION_SIZE, np.int8)
    high[0], high[1] = len(ITEMS) - 1, len(SIDES)
    for index in range(MAX_OBJECTS):
        at = HEADER_SIZE + OBJECT_SIZE * index
        low[at : at + OBJECT_SIZE] = (0, -FARTHEST, -FARTHEST, 0, 0)
        high[at : at + OBJECT_SIZE] = (SINK, FARTHEST, FARTHEST, len(ITEMS) - 1, len(ITEMS) - 1)
    return low, high
