"""What a session is for, in a few words that tell one set of tasks from another."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from curricle.generators.base import TaskGenerator
from curricle.generators.fixed import FixedTasks


def describe(generator: TaskGenerator, size: int, max_task_id: int) -> str:
    """At most 120 bytes, the same in all processes: number of tasks, labels, and a hash.

    The hash is over labels and configurations of a fixed set, and over class, configuration, pool
    size and ``max_task_id`` of a generator. Of an object that is no plain data, and of a generator
    without a configuration, only the class counts.
    """
    if isinstance(generator, FixedTasks):
        labels = generator.labels() or []
        said = f"{size} tasks, {len(set(labels) - {None})} labels"
        return f"{said}, {_hash((size, labels, generator.configs))}"
    kind = type(generator).__qualname__.encode("ascii", "replace").decode()[-48:]
    said = f"{kind}, pool {size} of ids below {max_task_id}"
    parts = (type(generator).__qualname__, generator.label, size, max_task_id, generator.config)
    return f"{said}, {_hash(parts)}"


def _hash(value: Any) -> str:
    text = _text(value).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=4).hexdigest()


def _text(value: Any) -> str:
    """The value in a form that does not depend on the process: no addresses, no order of sets."""
    if isinstance(value, range):
        # A number of tasks: the ids are the configurations.
        return f"range({len(value)})"
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return repr(value)
    kind = type(value).__qualname__
    if isinstance(value, BaseModel):
        return kind + _text(dict(value))
    if isinstance(value, TaskGenerator):
        return kind + _text((value.label, value.config))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return kind + _text({field.name: getattr(value, field.name) for field in fields})
    if isinstance(value, Mapping):
        # In the order given: it is the order in which a generator draws values.
        return "{" + ",".join(f"{_text(k)}:{_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, set | frozenset):
        return "{" + ",".join(sorted(map(_text, value))) + "}"
    return str(getattr(value, "__qualname__", kind))
