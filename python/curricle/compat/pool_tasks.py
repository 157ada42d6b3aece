"""The tasks of a drop-in curriculum, held against what must be the same in all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curricle.compat.curriculum_base import CurriculumTask
from curricle.generators.base import TaskGenerator

# Of the environment's configuration itself, or of its part "game"; resources have two names.
INVARIANTS = ("num_agents", "actions", "resources", "resource_names")


class PoolTasks(TaskGenerator):
    """Makes the tasks of a generator, and refuses one that its environment could not play.

    An environment is built once, so that the number of agents, the actions and the resources of
    all tasks must agree; they are looked for in the configuration and in its ``game``.

    Args:
        generator: makes the tasks.
    """

    def __init__(self, generator: TaskGenerator) -> None:
        super().__init__()
        self._generator = generator
        self._first: tuple[int, dict[str, Any]] | None = None

    def get_task(self, task_id: int) -> Any:
        """The configuration of a task."""
        return self.task(task_id).env_cfg

    def task(self, task_id: int) -> CurriculumTask:
        """The task.

        Raises:
            ValueError: it has another number of agents, other actions or other resources than
                the first one.
        """
        made = self._generator.task(task_id)
        self._compare(task_id, invariants_of(made.env_cfg))
        return CurriculumTask(task_id, made.env_cfg, made.slice_values, label=made.get_label())

    def _compare(self, task_id: int, found: dict[str, Any]) -> None:
        if self._first is None:
            self._first = (task_id, found)
        first_id, first = self._first
        for name in sorted(first.keys() | found.keys()):
            if first.get(name) != found.get(name):
                raise ValueError(
                    f"task {task_id} has {name}={found.get(name)!r}, but task {first_id} has "
                    f"{name}={first.get(name)!r}: all tasks of a curriculum must share it, because "
                    "the environment is built once"
                )


def invariants_of(env_cfg: Any) -> dict[str, Any]:
    """What a configuration says of agents, actions and resources, by path."""
    found: dict[str, Any] = {}
    for prefix, part in (("", env_cfg), ("game.", _entry(env_cfg, "game"))):
        for name in INVARIANTS:
            value = _entry(part, name)
            # A method of that name is no value of the configuration.
            if value is not None and not callable(value):
                found[prefix + name] = value
    return found


def _entry(node: Any, name: str) -> Any:
    if isinstance(node, Mapping):
        return node.get(name)
    return getattr(node, name, None)
