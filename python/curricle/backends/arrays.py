"""Scores and arrays as callers give them, made into what the core takes."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

MAX_SCORE = 1e9

Number = TypeVar("Number", np.int64, np.float64)


def checked_score(score: float) -> float:
    """The score as a float; ValueError unless it is finite and within [-1e9, 1e9]."""
    value = float(score)
    if not abs(value) <= MAX_SCORE:
        raise ValueError(f"score {value} is not within [-1e9, 1e9]")
    return value


def vector(values: ArrayLike, dtype: type[Number], name: str) -> NDArray[Number]:
    """A vector of the dtype, without rounding."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}; it must be a vector (n,)")
    if array.size == 0:
        return np.empty(0, dtype)
    if not np.can_cast(array.dtype, dtype, casting="safe"):
        kind = np.dtype(dtype).name
        raise TypeError(f"{name} has dtype {array.dtype}, which does not fit into {kind}")
    return np.ascontiguousarray(array, dtype=dtype)
