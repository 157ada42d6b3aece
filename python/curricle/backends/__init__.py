"""Where task records live: in this process, in shared memory, or in a backend of the user's."""

from curricle.backends.base import TaskMemoryBackend
from curricle.backends.factory import create_memory_backend
from curricle.backends.local import LocalMemoryBackend
from curricle.backends.shared import SharedMemoryBackend

__all__ = [
    "LocalMemoryBackend",
    "SharedMemoryBackend",
    "TaskMemoryBackend",
    "create_memory_backend",
]
