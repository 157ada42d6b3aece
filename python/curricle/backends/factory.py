"""The backend that a configuration asks for."""

from __future__ import annotations

from curricle.backends.core_backed import CoreBackend
from curricle.backends.local import LocalMemoryBackend
from curricle.backends.shared import SharedMemoryBackend
from curricle.config import SessionConfig


def create_memory_backend(config: SessionConfig) -> CoreBackend:
    """A shared backend if ``config.use_shared_memory``, else a local one."""
    capacity, rules = config.max_memory_tasks, config.rules()
    labels = config.max_inactive_labels_retained
    if config.use_shared_memory:
        return SharedMemoryBackend(
            capacity, config.session_id, rules=rules, max_inactive_labels=labels
        )
    return LocalMemoryBackend(capacity, rules=rules, max_inactive_labels=labels)
