"""Between the state dicts of earlier trackers and binary checkpoints, without a session."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from curricle._core import Session, checkpoint_columns
from curricle.backends.local import LocalMemoryBackend
from curricle.checks import MAX_LABELS
from curricle.compat.state_dicts import State, fill, parse_state, read_state
from curricle.config import LearningProgressConfig
from curricle.errors import CheckpointError

# No checkpoint has a task, or a label, in fewer bytes.
_LEAST_BYTES = 128


def convert(source: Path, target: Path) -> int:
    """Writes a JSON file of a state dict as a checkpoint, or a checkpoint as JSON.

    The state dict is the tracker's, or the only one of a tracker somewhere within the file's.

    Returns:
        The number of tasks.

    Raises:
        CheckpointError: the source is neither, or has entries that cannot be; or the target
            exists.
    """
    if target.exists():
        raise CheckpointError(f"{target} exists; remove it, or give another name")
    state = _read_json(source)
    if state is None:
        return _to_json(source, target)
    return _to_checkpoint(source, state, target)


def _read_json(source: Path) -> Any:
    """What a JSON file says; ``None`` for a file that is none."""
    try:
        content = source.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{source} cannot be read: {error.strerror}") from error
    if content.lstrip()[:1] != b"{":
        return None
    try:
        return json.loads(content)
    except ValueError as error:
        raise CheckpointError(f"{source} is no JSON: {error}") from error


def _to_checkpoint(source: Path, content: Any, target: Path) -> int:
    states = list(_trackers_in(content))
    if len(states) != 1:
        raise CheckpointError(
            f"{source} has {len(states)} state dicts of a tracker (by the key task_memory); "
            "give a file with one"
        )
    rules = LearningProgressConfig(use_shared_memory=False).rules()
    state = parse_state(states[0], rules.as_dict())
    labels = {record.label for record in state.records}
    session = Session(
        max(len(state.records), 1), rules, max_labels=min(len(labels) + 1, MAX_LABELS)
    )
    fill(session, state)
    session.save(str(target))
    _warn_of_hashes(state)
    return len(session)


def _trackers_in(content: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(content, Mapping):
        if "task_memory" in content:
            yield content
        else:
            for value in content.values():
                yield from _trackers_in(value)


def _warn_of_hashes(state: State) -> None:
    if state.hashed:
        warnings.warn(
            f"{len(state.hashed)} tasks have their labels as hashes only and are without one now; "
            "a curriculum labels its tasks anew when it loads the checkpoint",
            RuntimeWarning,
            stacklevel=3,
        )


def _to_json(source: Path, target: Path) -> int:
    backend = open_checkpoint(source)
    state = read_state(backend)
    state["max_memory_tasks"] = max(len(state["task_memory"]), 1)
    unfinished = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        with open(unfinished, "x", encoding="utf-8") as file:
            json.dump(state, file)
        os.replace(unfinished, target)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise CheckpointError(f"{target} cannot be written: {error.strerror}") from error
    return len(state["task_memory"])


def open_checkpoint(source: Path) -> LocalMemoryBackend:
    """A table with the tasks of a checkpoint, which does not say how large it has to be.

    Raises:
        CheckpointError: the file is damaged, of another version or no checkpoint.
    """
    room = source.stat().st_size // _LEAST_BYTES + 1
    columns = checkpoint_columns(source)
    if columns is None:
        raise CheckpointError(f"{source}: this is no checkpoint of a curriculum session")
    backend = LocalMemoryBackend(room, columns=columns, max_labels=min(room, MAX_LABELS))
    with warnings.catch_warnings():
        # Numbers are read here, whatever rules they follow.
        warnings.simplefilter("ignore", RuntimeWarning)
        backend.load(str(source))
    return backend
