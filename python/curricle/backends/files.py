"""Checkpoints of backends that have no format of their own: JSON, floats to the last bit."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from curricle._core import TaskData
from curricle.errors import CapacityError, CheckpointError

if TYPE_CHECKING:
    from curricle.backends.base import TaskMemoryBackend

VERSION = 3
COUNTERS = (
    "seed",
    "created",
    "evicted",
    "removed",
    "late_reports",
    "score_min",
    "score_max",
    "tick",
)


def write_file(backend: TaskMemoryBackend, path: str) -> int:
    """Writes records, counts, limits and random stream; the file appears complete or not at all."""
    ledger = backend._ledger
    content = {
        "version": VERSION,
        "tasks": [data.as_dict() for data in backend._records()],
        "retired": list(ledger.retired.items()),
        "limits": ledger.limits,
        "counters": {name: getattr(ledger, name) for name in COUNTERS},
        "stream": backend.stream_state,
    }
    # A link stays one.
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise CheckpointError(f"{path}: could not be written: what is there is no plain file")
    unfinished = f"{path}.{os.getpid()}.tmp"
    try:
        with open(unfinished, "w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(path):
            shutil.copymode(path, unfinished)
        os.replace(unfinished, path)
        return os.path.getsize(path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(unfinished)
        raise CheckpointError(f"{path}: could not be written: {error.strerror}") from error


def read_file(backend: TaskMemoryBackend, path: str) -> None:
    """Replaces the content of a backend by that of a file, after reading all of it."""
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        if content["version"] != VERSION:
            raise ValueError(f"version {content['version']} is unknown; {VERSION} can be read")
        records = [TaskData(**fields) for fields in content["tasks"]]
        retired = {label: dict(counts) for label, counts in content["retired"]}
        limits = {label: (least, most) for label, (least, most) in content["limits"].items()}
        counters = {name: content["counters"][name] for name in COUNTERS}
        stream = tuple(content["stream"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: {error}") from error
    if len(records) > backend.max_tasks:
        raise CapacityError(
            f"{path} has {len(records)} tasks; there is room for {backend.max_tasks}"
        )
    backend.stream_state = stream
    backend.clear()
    for data in records:
        backend.create(data.task_id)
        backend.write_task(data.task_id, data)
    vars(backend._ledger).update(counters, retired=retired, limits=limits)
