"""Numbers and labels as callers give them; an error names the argument, the value and the limit."""

from __future__ import annotations

import operator
import reprlib
from typing import Any

import numpy as np

MIN_ID, MAX_ID = -(2**63), 2**63 - 1
MAX_SEED = 2**64 - 1
MAX_STEPS = 2**48
MAX_SCORE = 1e9
MAX_PROGRESS = 1e6
MAX_LABEL_BYTES = 120
MAX_LABELS = 2**16


def integer(value: Any, name: str, low: int, high: int) -> int:
    """An integer of any kind but bool, as an int.

    Raises:
        TypeError: no integer; a bool, which is a slip more often than a number, is none.
        ValueError: not within ``[low, high]``.
    """
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        kind = type(value).__name__
        raise TypeError(f"{name} is {_short(value)} ({kind}); it must be an integer") from None
    if not low <= number <= high:
        raise ValueError(f"{name} is {_short(number)}; it must be within [{low}, {high}]")
    return number


def real(value: Any, name: str, limit: float = np.inf) -> float:
    """A finite number within ``[-limit, limit]``, as a float.

    Raises:
        TypeError: no number.
        ValueError: not finite, or beyond the limit.
    """
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        number = float(value)
    except OverflowError:
        number = np.inf
    except TypeError:
        kind = type(value).__name__
        raise TypeError(f"{name} is {_short(value)} ({kind}); it must be one number") from None
    if not (np.isfinite(number) and abs(number) <= limit):
        largest = f"{limit:g}".replace("e+0", "e")
        bounds = "a finite number" if limit == np.inf else f"within [-{largest}, {largest}]"
        raise ValueError(f"{name} is {_short(value)}; it must be {bounds}")
    return number


def label(value: str | None) -> str | None:
    """A label of 1 to 120 bytes of UTF-8, or ``None``.

    Raises:
        TypeError: no string.
        ValueError: empty, longer, or with a lone surrogate, which UTF-8 does not have.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"label is {_short(value)}; it must be a string or None")
    limit = f"a label has 1 to {MAX_LABEL_BYTES} bytes of UTF-8"
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise ValueError(f"label {_short(value)} has a lone surrogate; {limit}") from None
    if not 1 <= size <= MAX_LABEL_BYTES:
        raise ValueError(f"label {_short(value)} has {size} bytes; {limit}")
    return value


def share_limits(value: Any, least: Any, most: Any) -> tuple[str, float, float]:
    """A label, and the least and the most share of the draws that it may have.

    Raises:
        TypeError: no string, no numbers; a bool is none.
        ValueError: not 0 <= least <= most <= 1, or no label by `label`.
    """
    name = label(value)
    if name is None:
        raise TypeError("label is None; only the share of a label can be limited: give a string")
    shares = []
    for kind, given in (("least", least), ("most", most)):
        if isinstance(given, bool | np.bool_):
            raise TypeError(f"{kind} is {given} (bool); it must be a number within [0, 1]")
        number = real(given, kind)
        if not 0.0 <= number <= 1.0:
            raise ValueError(f"{kind} is {_short(given)}; it must be within [0, 1]")
        shares.append(number)
    if shares[0] > shares[1]:
        raise ValueError(
            f"least {shares[0]} of label {_short(name)} is above most {shares[1]}; "
            "give least <= most"
        )
    return name, shares[0], shares[1]


def _short(value: Any) -> str:
    return reprlib.repr(value)
