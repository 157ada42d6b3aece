"""The backends under the module name of earlier trackers; see `curricle.compat.memory_backend`."""

from curricle.compat.memory_backend import (
    LocalMemoryBackend,
    SharedMemoryBackend,
    TaskData,
    TaskMemoryBackend,
    create_memory_backend,
)

__all__ = [
    "LocalMemoryBackend",
    "SharedMemoryBackend",
    "TaskData",
    "TaskMemoryBackend",
    "create_memory_backend",
]
