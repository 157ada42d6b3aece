"""The backend that a configuration asks for."""

from __future__ import annotations

from typing import Any

from curricle.backends.core_backed import CoreBackend
from curricle.backends.local import LocalMemoryBackend
from curricle.backends.shared import SharedMemoryBackend
from curricle.config import SessionConfig


def create_memory_backend(config: SessionConfig) -> CoreBackend:
    """A shared backend if ``config.use_shared_memory``, else a local one."""
    options = backend_options(config)
    if config.use_shared_memory:
        return SharedMemoryBackend(config.max_memory_tasks, config.session_id, **options)
    return LocalMemoryBackend(config.max_memory_tasks, **options)


def backend_options(config: SessionConfig) -> dict[str, Any]:
    """What a configuration says to a backend besides its capacity and its session."""
    return {
        "rules": config.rules(),
        "max_labels": config.max_labels,
        "max_inactive_labels": config.max_inactive_labels_retained,
        "sync_episodes": config.sync_episodes,
    }
