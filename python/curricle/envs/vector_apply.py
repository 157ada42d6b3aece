"""How tasks reach the sub-environments of a natively vectorised environment."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from curricle.envs.apply import find_method

if TYPE_CHECKING:
    from curricle.tasks import CurriculumTask

HandOver: TypeAlias = Callable[[Any, NDArray[np.int64], "Sequence[CurriculumTask]"], Any]
"""``(env, indices, tasks)``: task ``tasks[k]`` is for the next reset of ``indices[k]``."""

VectorApply: TypeAlias = str | HandOver

BATCH_METHOD = "set_tasks"
SINGLE_METHOD = "set_task"

FORMS = (
    "The environment needs a method set_tasks(indices, configurations) or "
    "set_task(index, configuration), for the next reset of these sub-environments, or `apply` "
    "the name of a method like set_task, or a callable (env, indices, tasks). For a vector "
    "environment made of single ones, wrap each of those in CurriculumEnv instead."
)


def resolve_vector_apply(apply: VectorApply, env: Any) -> HandOver:
    """Turns every form of a vector environment's ``apply`` into a callable.

    Raises:
        ValueError: ``"auto"`` finds nothing, or the named method does not exist.
        TypeError: neither a string nor a callable.
    """
    if apply == "auto":
        names = [n for n in (BATCH_METHOD, SINGLE_METHOD) if find_method(env, n) is not None]
        if not names:
            raise ValueError(f"apply='auto': {env} cannot be given tasks. {FORMS}")
        return _call_method(env, names[0])
    if isinstance(apply, str):
        return _call_method(env, apply)
    if callable(apply):
        return apply
    raise TypeError(f"apply={apply!r} is none of its forms. {FORMS}")


def _call_method(env: Any, name: str) -> HandOver:
    method = find_method(env, name)
    if method is None:
        raise ValueError(f"apply={name!r}: {env} has no such method in any layer. {FORMS}")
    if name == BATCH_METHOD:
        return lambda _, indices, tasks: method(indices, [task.env_cfg for task in tasks])

    def each(_: Any, indices: NDArray[np.int64], tasks: "Sequence[CurriculumTask]") -> None:
        for index, task in zip(indices.tolist(), tasks, strict=True):
            method(index, task.env_cfg)

    return each
