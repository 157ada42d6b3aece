"""A generator that varies a base configuration along named paths."""

from __future__ import annotations

import copy
import dataclasses
import math
import random
from collections.abc import Mapping, MutableMapping, MutableSequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, field_serializer, field_validator

from curricle.generators.base import TaskGenerator, TaskGeneratorConfig
from curricle.tasks import CurriculumTask


@dataclass(frozen=True)
class Span:
    """A range of values: integers from ``low`` to ``high`` inclusive, or floats, uniformly.

    It is a range of integers where both ends are integers.

    Raises:
        TypeError: an end that is no number.
        ValueError: an end or a width that is not finite, or ``low > high``.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        for end in (self.low, self.high):
            if isinstance(end, bool) or not isinstance(end, int | float):
                raise TypeError(f"Span: the ends must be numbers, got {end!r}")
            if isinstance(end, float) and not math.isfinite(end):
                raise ValueError(f"Span: the ends must be finite, got {end!r}")
        if self.low > self.high:
            raise ValueError(f"Span: low {self.low!r} is above high {self.high!r}")
        if not self._is_of_integers() and not _is_finite_width(self.low, self.high):
            raise ValueError(
                f"Span: high - low must be a finite float, got {self.low!r} and {self.high!r}"
            )

    def draw(self, rng: random.Random) -> float:
        """One value: an ``int`` of an integer range, else a ``float``."""
        if self._is_of_integers():
            return rng.randint(self.low, self.high)  # type: ignore[arg-type]
        return rng.uniform(self.low, self.high)

    def _is_of_integers(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)


def _is_finite_width(low: float, high: float) -> bool:
    try:
        return math.isfinite(float(high) - float(low))
    except OverflowError:
        return False


class BucketedTaskGenerator(TaskGenerator):
    """Varies ``base``: for every path one of its values, each with the same probability.

    A path names attributes, mapping keys or sequence positions, separated by dots. The values
    that a task got are its slice values.

    Example:
        >>> config = BucketedTaskGenerator.Config(
        ...     base={"maze": {"size": 0}}, buckets={"maze.size": [3, Span(5, 9)]}
        ... )
        >>> task = config.create().task(1)
        >>> task.env_cfg["maze"]["size"] == task.slice_values["maze.size"]
        True

    Raises:
        ValueError: a path that ``base`` does not have, or one without values.
    """

    class Config(TaskGeneratorConfig):
        """Attributes: ``base``, and ``buckets``: for each path a list of values and `Span`s.

        A `Span` by itself is a list of one. Dumped it is ``{"span": [low, high]}``.
        """

        base: Any
        buckets: dict[str, list[Any]]

        @field_validator("buckets", mode="before")
        @classmethod
        def _lists(cls, buckets: Any) -> Any:
            if not isinstance(buckets, Mapping):
                return buckets
            return {path: _values(given) for path, given in buckets.items()}

        @field_serializer("buckets")
        def _dumped(self, buckets: dict[str, list[Any]]) -> dict[str, list[Any]]:
            return {
                path: [{"span": [v.low, v.high]} if isinstance(v, Span) else v for v in values]
                for path, values in buckets.items()
            }

        @field_validator("buckets")
        @classmethod
        def _some_values(cls, buckets: dict[str, list[Any]]) -> dict[str, list[Any]]:
            for path, values in buckets.items():
                if not values:
                    raise ValueError(f"bucket {path!r} has no values; give at least one")
                if not all(path.split(".")):
                    raise ValueError(f"bucket path {path!r} has an empty part")
            return buckets

        def create(self) -> BucketedTaskGenerator:
            """The generator of this configuration."""
            return BucketedTaskGenerator(self)

    def __init__(self, config: BucketedTaskGenerator.Config) -> None:
        super().__init__(config)
        self._base = config.base
        self._buckets = config.buckets
        # Wrong paths are found here, not in a worker's first episode.
        self.task(0)

    def get_task(self, task_id: int) -> Any:
        """The base configuration with this task's values."""
        return self.task(task_id).env_cfg

    def task(self, task_id: int) -> CurriculumTask:
        """The task, with its values by path as slice values."""
        rng = self.rng(task_id)
        env_cfg = copy.deepcopy(self._base)
        slice_values: dict[str, Any] = {}
        for path, values in self._buckets.items():
            value = values[rng.randrange(len(values))]
            if isinstance(value, Span):
                value = value.draw(rng)
            slice_values[path] = value
            env_cfg = _with_value(env_cfg, path.split("."), copy.deepcopy(value), path)
        return CurriculumTask(task_id, env_cfg, slice_values, label=self.label)


def _values(given: Any) -> Any:
    """The values of a bucket; a dumped `Span` is one again."""
    if isinstance(given, list):
        return [_span_or(value) for value in given]
    value = _span_or(given)
    return [value] if isinstance(value, Span) else given


def _span_or(value: Any) -> Any:
    match value:
        case {"span": [low, high]} if len(value) == 1:
            return Span(low, high)
        case _:
            return value


def _with_value(node: Any, parts: list[str], value: Any, path: str) -> Any:
    """``node`` with ``value`` at ``parts``; changed in place unless it is frozen."""
    name, rest = parts[0], parts[1:]
    if rest:
        value = _with_value(_child(node, name, path), rest, value, path)
    if isinstance(node, MutableMapping):
        node[name] = value
    elif isinstance(node, MutableSequence):
        node[_position(node, name, path)] = value
    elif isinstance(node, BaseModel) and node.model_config.get("frozen"):
        _child(node, name, path)
        return node.model_copy(update={name: value})
    elif dataclasses.is_dataclass(node) and not isinstance(node, type):
        _child(node, name, path)
        return dataclasses.replace(node, **{name: value})
    else:
        _child(node, name, path)
        setattr(node, name, value)
    return node


def _child(node: Any, name: str, path: str) -> Any:
    if isinstance(node, Mapping):
        if name in node:
            return node[name]
        names = ", ".join(map(repr, node)) or "none"
        raise ValueError(f"bucket {path!r}: no key {name!r}; there are {names}")
    if isinstance(node, MutableSequence):
        return node[_position(node, name, path)]
    try:
        return getattr(node, name)
    except AttributeError:
        raise ValueError(f"bucket {path!r}: {type(node).__name__} has no {name!r}") from None


def _position(node: MutableSequence[Any], name: str, path: str) -> int:
    if name.isdecimal() and int(name) < len(node):
        return int(name)
    raise ValueError(f"bucket {path!r}: {name!r} is no position of a sequence of {len(node)}")
