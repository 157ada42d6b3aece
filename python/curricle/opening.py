"""From the arguments of a curriculum to its config, its pool size, its backend, its algorithm."""

from __future__ import annotations

from typing import Any

from curricle.algorithms import (
    CurriculumAlgorithm,
    CustomAlgorithm,
    LearningProgressAlgorithm,
    UniformAlgorithm,
    WeightAlgorithm,
)
from curricle.algorithms.custom import CustomConfig
from curricle.backends import LocalMemoryBackend, SharedMemoryBackend, TaskMemoryBackend
from curricle.config import LearningProgressConfig, SessionConfig, UniformConfig
from curricle.generators.base import TaskGenerator
from curricle.generators.fixed import FixedTasks


def read_config(config: Any) -> tuple[SessionConfig, WeightAlgorithm | None]:
    """The configuration, and the user's own algorithm if that is what was given."""
    if config is None:
        return LearningProgressConfig(), None
    if isinstance(config, SessionConfig):
        return config, None
    if isinstance(config, WeightAlgorithm):
        return CustomConfig(), config
    raise TypeError(
        f"config is a {type(config).__name__}; give a LearningProgressConfig, a UniformConfig, "
        "or an object with weights(snapshot)"
    )


def agree_on_size(
    generator: TaskGenerator, hypers: SessionConfig, pool_size: int | None, max_task_id: int
) -> int:
    """The one size of the pool that all who name it agree on."""
    named: dict[str, int] = {}
    if isinstance(generator, FixedTasks):
        named["the number of tasks"] = len(generator)
    if pool_size is not None:
        named["pool_size"] = pool_size
    if "num_active_tasks" in hypers.model_fields_set:
        named["num_active_tasks"] = hypers.num_active_tasks
    if len(set(named.values())) > 1:
        said = " but ".join(f"{name} is {value}" for name, value in named.items())
        raise ValueError(f"{said}; leave one of them out, or make them agree")
    size = next(iter(named.values()), hypers.num_active_tasks)
    if size < 1:
        raise ValueError(f"pool_size={size} must be at least 1")
    if "max_memory_tasks" in hypers.model_fields_set and size > hypers.max_memory_tasks:
        raise ValueError(
            f"a pool of {size} tasks does not fit into max_memory_tasks={hypers.max_memory_tasks}"
        )
    if not isinstance(generator, FixedTasks) and size > max_task_id:
        raise ValueError(f"a pool of {size} tasks needs max_task_id={max_task_id} to be as large")
    return size


def name_session(
    hypers: SessionConfig, session: str | None, path: str | None
) -> tuple[str | None, str | None]:
    """Name or path of the session, the other ``None``."""
    named = hypers.session_id if "session_id" in hypers.model_fields_set else None
    if not hypers.use_shared_memory and (session or path):
        raise ValueError("use_shared_memory=False contradicts a session or a path; leave one out")
    if session is not None and named is not None and session != named:
        raise ValueError(f"session={session!r} but the config's session_id is {named!r}")
    if path is not None and (session or named):
        raise ValueError(f"path={path!r} contradicts the name {session or named!r}; leave one out")
    return (None, path) if path is not None else (session or hypers.session_id, None)


def open_backend(
    hypers: SessionConfig,
    size: int,
    place: tuple[str | None, str | None],
    seed: int,
    persist: bool,
    generator: TaskGenerator,
) -> TaskMemoryBackend:
    """The backend of a curriculum that was given none."""
    labels = generator.labels() if isinstance(generator, FixedTasks) else None
    options: dict[str, Any] = {
        "rules": hypers.rules(),
        "seed": seed,
        "max_labels": max(256, 2 * len(set(labels or ()))),
        "max_inactive_labels": hypers.max_inactive_labels_retained,
    }
    capacity = max(hypers.max_memory_tasks, size)
    if hypers.use_shared_memory:
        name, path = place
        return SharedMemoryBackend(capacity, name, path=path, persist=persist, **options)
    return LocalMemoryBackend(capacity, **options)


def make_algorithm(
    hypers: SessionConfig,
    weigher: WeightAlgorithm | None,
    size: int,
    backend: TaskMemoryBackend,
) -> CurriculumAlgorithm:
    """The algorithm that belongs to the configuration."""
    if isinstance(hypers, LearningProgressConfig):
        return LearningProgressAlgorithm(size, hypers, backend)
    if isinstance(hypers, UniformConfig):
        return UniformAlgorithm(size, hypers, backend)
    assert isinstance(hypers, CustomConfig)
    assert weigher is not None
    return CustomAlgorithm(size, hypers, weigher, backend)
