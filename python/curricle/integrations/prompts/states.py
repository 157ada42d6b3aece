"""What a state to go on from holds, checked before anything is replaced by it."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from curricle import checks
from curricle.curriculum import Curriculum
from curricle.errors import CapacityError, CheckpointError

_WORD = 2**64 - 1


def entry(state: Mapping[str, Any], name: str) -> Any:
    """An entry of a state; `CheckpointError` where it has none of the name."""
    if name not in state:
        raise CheckpointError(
            f"the state has no {name!r}, only {sorted(state)}; give what state_dict returned"
        )
    return state[name]


def integer(value: Any, name: str, high: int) -> int:
    """An integer of [0, ``high``]; `CheckpointError` where it is none."""
    try:
        return checks.integer(value, f"{name} of the state", 0, high)
    except (TypeError, ValueError) as error:
        raise CheckpointError(str(error)) from None


def integers(state: Mapping[str, Any], name: str, high: int) -> list[int]:
    """An entry that is a list of integers of [0, ``high``]; `CheckpointError` if it is not."""
    values = entry(state, name)
    if not isinstance(values, list | tuple):
        raise CheckpointError(f"{name} of the state is a {type(values).__name__}, and no list")
    return [integer(value, f"{name}[{at}]", high) for at, value in enumerate(values)]


def stream_words(state: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """The state of the draws; `CheckpointError` where no stream can have it."""
    words = integers(state, "stream", _WORD)
    if len(words) != 4 or not any(words):
        raise CheckpointError(f"stream of the state is {words}; it must be 4 words, not all 0")
    return words[0], words[1], words[2], words[3]


def table_bytes(state: Mapping[str, Any]) -> bytes:
    """The checkpoint of the curriculum, not yet read; `CheckpointError` where it is no bytes."""
    table = entry(state, "curriculum")
    if not isinstance(table, bytes):
        raise CheckpointError(f"curriculum of the state is a {type(table).__name__}, and no bytes")
    return table


def save_table(curriculum: Curriculum) -> bytes:
    """A checkpoint of a curriculum."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "curriculum.ckpt")
        curriculum.save(str(path))
        return path.read_bytes()


def load_table(curriculum: Curriculum, table: bytes) -> list[warnings.WarningMessage]:
    """Loads a checkpoint, all or nothing; errors and warnings name no file that nobody knows.

    Returns:
        What the load warned of.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "curriculum.ckpt")
        path.write_bytes(table)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                curriculum.load(str(path))
            except (CheckpointError, CapacityError) as error:
                raise type(error)(_unnamed(error, path)) from None
    for warning in said:
        warning.message = warning.category(_unnamed(warning.message, path))
    return said


def _unnamed(message: object, path: Path) -> str:
    return str(message).replace(str(path), "the state's curriculum")
