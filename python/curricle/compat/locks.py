"""The lock that a trainer takes to change several numbers of a table as one.

The core needs none: its updates are one step each. This one is for code that reads through
`acquire_lock`, computes and writes.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

from curricle._core import list_sessions
from curricle.backends.base import TaskMemoryBackend
from curricle.backends.core_backed import CoreBackend
from curricle.errors import LockTimeoutError

TIMEOUT = 10.0
_PAUSE = 0.0005


class TableLock:
    """A lock of all threads of all processes that have a table, which one thread may nest.

    The kernel holds it and frees it when its holder dies; a forked child does not inherit it.

    Args:
        path: file of the session; ``None`` for a table of this process alone.
    """

    def __init__(self, path: str | None) -> None:
        self.path = path
        self._file: int | None = None
        self._renew()
        _ALL.add(self)

    def _renew(self) -> None:
        self._threads = threading.RLock()
        self._depth = 0

    def forget_parent(self) -> None:
        """Called in a forked child: what the parent holds, the child does not."""
        self._close()
        self._renew()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Holds the lock for the block.

        Raises:
            LockTimeoutError: others kept it for 10 seconds.
        """
        threads = self._threads
        if not threads.acquire(timeout=TIMEOUT):
            raise LockTimeoutError(f"another thread has kept the table's lock for {TIMEOUT:g} s")
        try:
            if self._depth == 0:
                self._take()
            self._depth += 1
            try:
                yield
            finally:
                # In a child that was forked within the block there is nothing to give back.
                if self._threads is threads:
                    self._depth -= 1
                    if self._depth == 0:
                        self._give_back()
        finally:
            threads.release()

    def _take(self) -> None:
        if self.path is None:
            return
        # Known before it is waited for, so that a child that is forked meanwhile closes it.
        self._file = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            _wait_for(self._file, self.path)
        except BaseException:
            self._close()
            raise

    def _give_back(self) -> None:
        if self._file is not None:
            _unlock(self._file)
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def lock_of(backend: TaskMemoryBackend) -> TableLock:
    """The one lock of a table, however often the table is open."""
    lock = _OF_BACKENDS.get(backend)
    if lock is None:
        path = _file_of(backend)
        # Two threads that ask at once must get the same one.
        with _REGISTRY:
            lock = _OF_BACKENDS.get(backend) or (None if path is None else _OF_FILES.get(path))
            if lock is None:
                lock = TableLock(path)
            _OF_BACKENDS[backend] = lock
            if path is not None:
                _OF_FILES[path] = lock
    return lock


def _file_of(backend: TaskMemoryBackend) -> str | None:
    if not isinstance(backend, CoreBackend):
        return None
    session = backend.session
    if session.path is not None:
        return os.path.realpath(session.path)
    if session.name is None:
        return None
    paths: dict[str, str] = {facts["name"]: facts["path"] for facts in list_sessions()}
    return paths[session.name]


def _wait_for(file: int, path: str) -> None:
    # A lock of the open file, not of the process: it keeps a second handle out too, and has
    # nothing to do with the core's flock on the same file.
    import fcntl

    end = time.monotonic() + TIMEOUT
    while True:
        try:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, _request(fcntl.F_WRLCK))
        except (BlockingIOError, PermissionError):
            if time.monotonic() >= end:
                raise LockTimeoutError(
                    f"another process has kept the lock of {path} for {TIMEOUT:g} s; end it, or "
                    "keep the lock for less"
                ) from None
            time.sleep(_PAUSE)
        else:
            return


def _unlock(file: int) -> None:
    import fcntl

    # Said, not left to closing: a child that is being forked has the open file for a moment.
    fcntl.fcntl(file, fcntl.F_OFD_SETLK, _request(fcntl.F_UNLCK))


def _request(kind: int) -> bytes:
    # struct flock: type, whence, start, length, pid; one byte, far beyond the end of any session.
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, 2**62, 1, 0)


_REGISTRY = threading.Lock()
_ALL: WeakSet[TableLock] = WeakSet()
_OF_BACKENDS: WeakKeyDictionary[TaskMemoryBackend, TableLock] = WeakKeyDictionary()
_OF_FILES: WeakValueDictionary[str, TableLock] = WeakValueDictionary()


def _after_fork() -> None:
    global _REGISTRY
    _REGISTRY = threading.Lock()
    for lock in list(_ALL):
        lock.forget_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
