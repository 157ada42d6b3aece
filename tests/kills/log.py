"""What a process tells of its work: before each operation that it means to, after it that it did.

Entries are binary and go through a pipe, several in one write below PIPE_BUF, so that a kill
leaves whole entries. What is meant last and not done was in flight at the kill.
"""

from __future__ import annotations

import enum
import os
import select
import struct

import numpy as np


class Op(enum.IntEnum):
    """What an entry is about."""

    UPDATE = enum.auto()
    BATCH = enum.auto()
    DRAW = enum.auto()
    REPORT = enum.auto()
    CREATE = enum.auto()
    EVICT = enum.auto()
    REMOVE = enum.auto()
    REPLACE = enum.auto()
    LABEL = enum.auto()
    READ = enum.auto()
    TORN = enum.auto()
    VISIT = enum.auto()
    FAILED = enum.auto()


class Outcome(enum.IntEnum):
    """How far it came."""

    MEANT = -1
    WITHOUT_EFFECT = 0
    DONE = 1
    LATE = 2


ENTRY = np.dtype([("op", "i1"), ("outcome", "i1"), ("number", "<u2"), ("task", "<i4")])
"""``number``: a score, a batch, a label, a count, or the task that REPLACE makes."""
_PACK = struct.Struct("<bbHi")
assert _PACK.size == ENTRY.itemsize


def entry(op: Op, outcome: Outcome, task: int = 0, number: int = 0) -> bytes:
    return _PACK.pack(op, outcome, number, task)


class Log:
    """The writing end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._done = b""

    def write(self, entries: bytes) -> None:
        """Says what is meant next, and with it what was done since."""
        message = self._done + entries
        assert len(message) <= select.PIPE_BUF
        os.write(self._descriptor, message)
        self._done = b""

    def done(self, entries: bytes) -> None:
        """Keeps what was done for the next write."""
        self._done += entries


def read_all(descriptor: int) -> np.ndarray:
    """All entries of a process that has ended."""
    parts: list[bytes] = []
    while part := os.read(descriptor, 1 << 20):
        parts.append(part)
    return np.frombuffer(b"".join(parts), ENTRY)


def split(entries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The operations that were finished, and those in flight."""
    meant = entries["outcome"] == Outcome.MEANT
    finished = np.flatnonzero(~meant)
    last = finished[-1] + 1 if finished.size else 0
    return entries[finished], entries[last:]
