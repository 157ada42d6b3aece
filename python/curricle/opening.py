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
from curricle.backends.core_backed import LABELS_AT_MOST, CoreBackend
from curricle.checks import MAX_ID, MAX_LABELS, integer
from curricle.config import (
    LearningProgressConfig,
    NoiseAwareConfig,
    SessionConfig,
    UniformConfig,
)
from curricle.content import describe
from curricle.errors import SessionError
from curricle.generators.base import TaskGenerator
from curricle.generators.fixed import FixedTasks


def read_config(config: Any) -> tuple[SessionConfig, WeightAlgorithm | None]:
    """The configuration, and the algorithm that gives the weights where one does."""
    if config is None:
        return NoiseAwareConfig(), None
    if isinstance(config, type):
        name = config.__name__
        raise TypeError(f"config is the class {name}; give an object, {name}()")
    if isinstance(config, WeightAlgorithm):
        return (config if isinstance(config, SessionConfig) else CustomConfig()), config
    if isinstance(config, SessionConfig) and not isinstance(config, CustomConfig):
        return config, None
    raise TypeError(
        f"config is a {type(config).__name__}; give a configuration of an algorithm, as "
        "NoiseAwareConfig, or an object with weights(snapshot)"
    )


def agree_on_size(
    generator: TaskGenerator, hypers: SessionConfig, pool_size: int | None, max_task_id: int
) -> int:
    """The one size of the pool that all who name it agree on."""
    integer(max_task_id, "max_task_id", 1, MAX_ID)
    named: dict[str, int] = {}
    if isinstance(generator, FixedTasks):
        named["the number of tasks"] = len(generator)
    if pool_size is not None:
        named["pool_size"] = integer(pool_size, "pool_size", 1, MAX_ID)
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
    hypers: SessionConfig, session: str | None, path: str | None, persist: bool
) -> tuple[str | None, str | None]:
    """Name or path of the session, the other ``None``."""
    for argument, value in (("session", session), ("path", path)):
        if value == "":
            raise ValueError(f'{argument}="" names no session; give a name, or leave it out')
    named = hypers.session_id if "session_id" in hypers.model_fields_set else None
    if not hypers.use_shared_memory:
        given: dict[str, Any] = {"session": session, "path": path, "persist": persist or None}
        for argument, value in given.items():
            if value is not None:
                raise ValueError(
                    f"{argument}={value!r} contradicts use_shared_memory=False, whose table ends "
                    "with this process; leave one out"
                )
    if session is not None and named is not None and session != named:
        raise ValueError(f"session={session!r} but the config's session_id is {named!r}")
    if path is not None and (session or named):
        raise ValueError(f"path={path!r} contradicts the name {session or named!r}; leave one out")
    return (None, path) if path is not None else (session or hypers.session_id, None)


def open_backend(
    hypers: SessionConfig,
    size: int,
    place: tuple[str | None, str | None],
    seed: int | None,
    persist: bool,
    generator: TaskGenerator,
    max_task_id: int,
    columns: tuple[str, ...] = (),
) -> CoreBackend:
    """The backend of a curriculum that was given none."""
    options: dict[str, Any] = {
        "rules": hypers.rules(),
        "columns": columns,
        "seed": 0 if seed is None else seed,
        "max_labels": _room_for_labels(generator, hypers),
        "max_inactive_labels": hypers.max_inactive_labels_retained,
        "sync_episodes": hypers.sync_episodes,
    }
    capacity = max(hypers.max_memory_tasks, size)
    if hypers.use_shared_memory:
        name, path = place
        content = describe(generator, size, max_task_id)
        return SharedMemoryBackend(
            capacity, name, path=path, persist=persist, content=content, **options
        )
    return LocalMemoryBackend(capacity, **options)


def _room_for_labels(generator: TaskGenerator, hypers: SessionConfig) -> int | None:
    if isinstance(generator, FixedTasks):
        labels = len(set(generator.labels() or ()))
        limit = hypers.max_labels or MAX_LABELS
        if labels > limit:
            raise ValueError(
                f"{labels} different labels; the table has room for {limit}: give the same label "
                "to tasks of a kind, or none"
            )
        if hypers.max_labels is None and labels > LABELS_AT_MOST:
            return labels
    return hypers.max_labels


def agree_on_seed(backend: TaskMemoryBackend, seed: int | None, own: bool) -> None:
    """Refuses a seed other than that of the session, or of the backend that was given."""
    if seed is None or backend.seed == seed:
        return
    if own:
        raise SessionError(
            f"seed={seed}, but the session {backend.name!r} is there with seed={backend.seed}: "
            "leave seed out, or name another session"
        )
    raise ValueError(f"seed={seed}, but the backend has seed={backend.seed}: leave one of them out")


def make_algorithm(
    hypers: SessionConfig,
    weigher: WeightAlgorithm | None,
    size: int,
    backend: TaskMemoryBackend,
) -> CurriculumAlgorithm:
    """The algorithm that belongs to the configuration."""
    if weigher is not None:
        return CustomAlgorithm(size, hypers, weigher, backend)
    if isinstance(hypers, LearningProgressConfig | NoiseAwareConfig):
        return LearningProgressAlgorithm(size, hypers, backend)
    assert isinstance(hypers, UniformConfig)
    return UniformAlgorithm(size, hypers, backend)
