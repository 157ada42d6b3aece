"""Sparse features of an assembly-lines observation, shared by all tasks.

Every feature is a pair (held item, what stands where): an assembler is known by the item that it
accepts, so what is learned about it in a chain of two holds in a chain of four. An agent of a
team does not look at the other: two that do what each would do alone meet at the assembler.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from curricle.assembly_lines.config import ITEMS, ROOM_WIDTHS
from curricle.assembly_lines.layout import (
    ABSENT,
    ASSEMBLER,
    HEADER_SIZE,
    MAX_OBJECTS,
    OBJECT_SIZE,
    OBSERVATION_SIZE,
    SINK,
)

# Offsets are seen finely up to this distance in each direction, and by their signs everywhere.
_NEAR = 3
_FINE = 2 * _NEAR + 1
_NUM_OFFSETS = _FINE * _FINE + 9
# What a machine is to the agent: the extractor, an assembler by its accepted item, or a sink.
_NUM_TYPES = len(ITEMS) + 1
_NUM_WALLS = 2**4

_NUM_MACHINE_ROWS = len(ITEMS) * _NUM_TYPES * _NUM_OFFSETS
_NUM_HEADER_ROWS = len(ITEMS) * _NUM_WALLS

#: Number of distinct features. The last one stands for an absent machine and must weigh nothing.
NUM_FEATURES = _NUM_MACHINE_ROWS + _NUM_HEADER_ROWS + 1
#: Features that are active in one observation: two a machine, one for held item and walls.
NUM_ACTIVE = 2 * MAX_OBJECTS + 1
NOTHING_THERE = NUM_FEATURES - 1


def _tabulate_types() -> NDArray[np.intp]:
    """First feature of a machine by kind and accepted item, for empty hands."""
    types = np.zeros((SINK + 1, len(ITEMS)), np.intp)
    types[ASSEMBLER] = np.arange(len(ITEMS))
    types[SINK] = len(ITEMS)
    return types * _NUM_OFFSETS


def _tabulate_offsets() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Fine and coarse bin of an offset by row and column; negative ones index from the end."""
    farthest = max(ROOM_WIDTHS.values()) - 1
    offsets = np.concatenate([np.arange(farthest + 1), np.arange(-farthest, 0)])
    near, sign = np.clip(offsets, -_NEAR, _NEAR) + _NEAR, np.sign(offsets) + 1
    return (
        near[:, None] * _FINE + near,
        _FINE * _FINE + sign[:, None] * 3 + sign,
    )


_TYPES = _tabulate_types()
_FINE_BINS, _COARSE_BINS = _tabulate_offsets()
_WALL_BITS = np.array([1, 2, 4, 8])


def active_features(observations: NDArray[Any]) -> NDArray[np.intp]:
    """Indices of the active features.

    Args:
        observations: integers, shape (..., OBSERVATION_SIZE); entries beyond are not looked at.

    Returns:
        intp, shape (n, NUM_ACTIVE) for n observations, values in [0, NUM_FEATURES).
    """
    rows = observations.reshape(-1, observations.shape[-1])
    seen = rows[:, :OBSERVATION_SIZE].astype(np.intp)
    held = seen[:, :1]
    kind, down, right, accepts = (
        seen[:, HEADER_SIZE + part :: OBJECT_SIZE] for part in range(OBJECT_SIZE - 1)
    )
    machine = _TYPES[kind, accepts] + held * (_NUM_TYPES * _NUM_OFFSETS)
    features = np.empty((len(seen), NUM_ACTIVE), np.intp)
    features[:, :MAX_OBJECTS] = machine + _FINE_BINS[down, right]
    features[:, MAX_OBJECTS:-1] = machine + _COARSE_BINS[down, right]
    is_absent = kind == ABSENT
    features[:, :MAX_OBJECTS][is_absent] = NOTHING_THERE
    features[:, MAX_OBJECTS:-1][is_absent] = NOTHING_THERE
    walls = seen[:, 2:HEADER_SIZE] @ _WALL_BITS
    features[:, -1] = _NUM_MACHINE_ROWS + held[:, 0] * _NUM_WALLS + walls
    return features


def is_present(features: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Whether an agent of a team is there, shape (n,): all of them see the extractor, column 0."""
    present: NDArray[np.bool_] = features[:, 0] != NOTHING_THERE
    return present
