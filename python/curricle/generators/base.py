"""What every task generator is: a function from task id to environment configuration."""

from __future__ import annotations

import operator
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, SerializeAsAny

from curricle.tasks import CurriculumTask


class TaskGeneratorConfig(BaseModel):
    """Base of the generators' configurations.

    Attributes:
        label: label of all tasks of the generator; ``None`` leaves it to their configurations.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    label: str | None = None

    def create(self) -> TaskGenerator:
        """The generator of this configuration."""
        raise NotImplementedError(f"{type(self).__qualname__} does not say what it creates")


class TaskGenerator(ABC):
    """Makes a task from its id alone, so that every process can rebuild every task.

    A subclass defines `get_task`; where it needs randomness it takes it from `rng`, never from
    global state. Generators are pickled along with a curriculum.

    Example:
        >>> class Sizes(TaskGenerator):
        ...     def get_task(self, task_id):
        ...         return {"size": self.rng(task_id).randint(1, 9)}
        >>> Sizes().get_task(3) == Sizes().get_task(3)
        True
    """

    label: str | None = None

    def __init__(self, config: TaskGeneratorConfig | None = None) -> None:
        self.config = config
        if config is not None:
            self.label = config.label

    @abstractmethod
    def get_task(self, task_id: int) -> Any:
        """The environment configuration of a task; depends on ``task_id`` and nothing else."""

    def task(self, task_id: int) -> CurriculumTask:
        """The task: configuration, slice values and label."""
        return CurriculumTask(task_id, self.get_task(task_id), label=self.label)

    @staticmethod
    def rng(task_id: int, salt: int = 0) -> random.Random:
        """Random numbers of a task; another ``salt`` (>= 0) gives an independent stream."""
        # Two's complement: random.Random takes the absolute value of its seed.
        # NumPy's integers do not take a mask of 64 bits.
        number = operator.index(task_id)
        return random.Random((salt << 64) | (number & 0xFFFF_FFFF_FFFF_FFFF))


def config_of(given: Any) -> Any:
    """A dict of fields, as JSON and YAML have it, as the configuration that has these fields."""
    if not isinstance(given, Mapping):
        return given
    kinds = [kind for kind in _kinds(TaskGeneratorConfig) if _has(kind, given)]
    if len(kinds) != 1:
        raise ValueError(
            f"{len(kinds)} generators have a configuration of the fields "
            f"{sorted(map(str, given))}; give the configuration itself"
        )
    return kinds[0].model_validate(dict(given))


def _kinds(base: type[TaskGeneratorConfig]) -> Iterator[type[TaskGeneratorConfig]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)


def _has(kind: type[TaskGeneratorConfig], given: Mapping[Any, Any]) -> bool:
    required = {name for name, field in kind.model_fields.items() if field.is_required()}
    return required <= given.keys() <= kind.model_fields.keys()


GeneratorOrConfig = Annotated[
    TaskGenerator | SerializeAsAny[TaskGeneratorConfig], BeforeValidator(config_of)
]
"""A field of a configuration: a generator, the configuration of one, or a dict of its fields."""
