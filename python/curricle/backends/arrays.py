"""Arrays as callers give them, made into what the core takes."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curricle.checks import MAX_ID, MAX_STEPS, MIN_ID, integer, real

Number = TypeVar("Number", np.int64, np.float64)


def vector(values: ArrayLike, dtype: type[Number], name: str) -> NDArray[Number]:
    """A vector of the dtype, without rounding.

    Raises:
        ValueError: another shape, or an element beyond the dtype.
        TypeError: elements of another kind of number, or no numbers; bools are no integers.
    """
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}; it must be a vector (n,)")
    if array.size == 0:
        return np.empty(0, dtype)
    wants_integers = dtype is np.int64
    if isinstance(values, list | tuple) and any(type(value) is bool for value in values):
        # Beside integers, NumPy takes it for one.
        at = next(at for at, value in enumerate(values) if type(value) is bool)
        raise TypeError(f"{name}[{at}] is {values[at]}; it must be a number")
    # Elements of no common dtype, and integers beyond int64, are looked at one by one.
    if array.dtype == object or (wants_integers and array.dtype in (np.bool_, np.uint64)):
        named = [(f"{name}[{at}]", value) for at, value in enumerate(array.tolist())]
        if wants_integers:
            return np.array([integer(value, at, MIN_ID, MAX_ID) for at, value in named], dtype)
        return np.array([real(value, at) for at, value in named], dtype)
    if not np.can_cast(array.dtype, dtype, casting="safe"):
        kind = np.dtype(dtype).name
        raise TypeError(
            f"{name} has dtype {array.dtype} (its first element is {array[0]!r}), which does not "
            f"fit into {kind}"
        )
    return np.ascontiguousarray(array, dtype=dtype)


def step_counts(values: ArrayLike | None) -> NDArray[np.int64] | None:
    """Environment steps of episodes, shape (n,), each within [0, 2**48]."""
    if values is None:
        return None
    steps = vector(values, np.int64, "env_steps")
    wrong = np.flatnonzero((steps < 0) | (steps > MAX_STEPS))
    if wrong.size:
        at = int(wrong[0])
        integer(steps[at], f"env_steps[{at}]", 0, MAX_STEPS)
    return steps
