"""The backends with the calls of earlier trackers: slots as arrays, a lock, cleaning up."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from curricle._core import TaskData
from curricle.backends import local, shared
from curricle.backends.base import TaskMemoryBackend
from curricle.backends.factory import backend_options
from curricle.compat.locks import lock_of
from curricle.compat.slot_views import SLOT_FIELDS, SlotView
from curricle.config import SessionConfig

__all__ = [
    "LocalMemoryBackend",
    "SharedMemoryBackend",
    "TaskData",
    "TaskMemoryBackend",
    "create_memory_backend",
]


class _Slots(TaskMemoryBackend):
    """What earlier backends had besides."""

    @property
    def task_struct_size(self) -> int:
        """Length of a slot's array."""
        return len(SLOT_FIELDS)

    def get_task_data(self, index: int) -> SlotView:
        """A slot as a float64 array, shape (``task_struct_size``,), that reads and writes it.

        Raises:
            IndexError: ``index`` outside [0, ``max_tasks``).
        """
        if not 0 <= index < self.max_tasks:
            raise IndexError(f"index is {index}; it must be within [0, {self.max_tasks - 1}]")
        return SlotView(self, index)

    def acquire_lock(self) -> AbstractContextManager[None]:
        """Keeps others who take it out for a block: threads, and processes of the session.

        It is freed when its holder dies. The tracker's own updates are one step each without it
        and do not wait for it.

        Raises:
            LockTimeoutError: on entering, others kept it for 10 seconds.
        """
        return lock_of(self).hold()

    def cleanup(self) -> None:
        """Leaves the session; the last process to leave removes it."""
        self.close()


class LocalMemoryBackend(_Slots, local.LocalMemoryBackend):
    """A `curricle.LocalMemoryBackend` with the calls of earlier trackers.

    There is no shared memory to clean up: after ``cleanup`` it goes on as before.

    Example:
        >>> backend = LocalMemoryBackend(10)
        >>> backend.create(7)
        True
        >>> slot = backend.get_task_data(0)
        >>> slot[3] = 0.25
        >>> backend.read_task(7).reward_ema
        0.25
    """

    def cleanup(self) -> None:
        """Nothing: the table goes with the backend."""


class SharedMemoryBackend(_Slots, shared.SharedMemoryBackend):
    """A `curricle.SharedMemoryBackend` with the calls of earlier trackers."""


def create_memory_backend(config: Any) -> LocalMemoryBackend | SharedMemoryBackend:
    """A shared backend if ``config.use_shared_memory``, else a local one.

    Args:
        config: a configuration, or anything with its ``use_shared_memory``, ``max_memory_tasks``
            and ``session_id``; the rules are then those of the tracker that uses the backend.
    """
    options = backend_options(config) if isinstance(config, SessionConfig) else {}
    if config.use_shared_memory:
        return SharedMemoryBackend(config.max_memory_tasks, config.session_id, **options)
    return LocalMemoryBackend(config.max_memory_tasks, **options)
