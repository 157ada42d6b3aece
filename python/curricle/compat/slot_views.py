"""A slot of the table as the array of numbers that earlier trackers kept there."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from curricle import checks
from curricle._core import TaskData
from curricle.backends.base import TaskMemoryBackend
from curricle.compat.locks import lock_of

SLOT_FIELDS = (
    "task_id",
    "creation_time",
    "completion_count",
    "reward_ema",
    "lp_score",
    "success_rate_ema",
    "total_score",
    "last_score",
    "success_threshold",
    "seed",
    "generator_type",
    "ema_squared",
    "is_active",
    "p_fast",
    "p_slow",
    "p_true",
    "random_baseline",
    "label_hash",
)
"""What the positions of a slot's array mean."""

_ID, _ACTIVE, _LABEL = (SLOT_FIELDS.index(name) for name in ("task_id", "is_active", "label_hash"))
_COUNTS = ("completion_count", "seed")
_PLAIN = [name for name in SLOT_FIELDS if name not in ("task_id", "is_active", "label_hash")]


class SlotView(np.ndarray[tuple[int], np.dtype[np.float64]]):
    """A float64 array, shape (18,), over the slot of a table; `SLOT_FIELDS` names its positions.

    Each look at it reads the slot anew, and each assignment to its elements writes the record:
    read, changed and written, so hold the backend's ``acquire_lock`` where other processes do the
    same. A slot without a task reads as zeros, or as what this process has assigned to it: that is
    kept until ``task_id`` is assigned too. Assigning ``task_id`` creates that task, if the slot is
    the lowest free one, which a new task takes; assigning 0 to ``is_active`` removes the task.
    What `numpy.asarray` makes of it, and a slice, cannot be written.

    Ids, seeds and counts beyond 2**53 are rounded here, as float64 is; the tracker's own calls
    have them exactly. ``label_hash`` is 0 for no label.
    """

    _backend: TaskMemoryBackend | None
    _slot: int
    _task_id: int | None
    _numbers: NDArray[np.float64]

    def __new__(cls, backend: TaskMemoryBackend, slot: int) -> SlotView:
        numbers = np.zeros(len(SLOT_FIELDS))
        view = numbers.view(cls)
        # Whatever does not go through `__setitem__` would not reach the table: let it fail.
        view.flags.writeable = False
        view._backend, view._slot, view._task_id, view._numbers = backend, slot, None, numbers
        view._look()
        return view

    def __array_finalize__(self, source: Any) -> None:
        # Copies and results are arrays of their own.
        self._backend = None

    def _look(self) -> TaskData | None:
        """The record of the slot, and its numbers into the array."""
        if self._backend is None:
            return None
        record = self._record(self._backend)
        if record is None:
            self._numbers[:] = _unnamed(self._backend).get(self._slot, 0.0)
            self._task_id = None
            return None
        self._task_id = record.task_id
        self._numbers[:] = [
            record.task_id if name == "task_id" else _number(record, name) for name in SLOT_FIELDS
        ]
        return record

    def _record(self, backend: TaskMemoryBackend) -> TaskData | None:
        if self._task_id is None or backend.index(self._task_id) != self._slot:
            found = task_at(backend, self._slot)
        else:
            found = self._task_id
        return None if found is None else backend.read(found)

    def _plain(self) -> NDArray[np.float64]:
        self._look()
        return self.view(np.ndarray)

    def __getitem__(self, key: Any) -> Any:
        found = self._plain()[key]
        if isinstance(found, np.ndarray):
            found = found.copy()
            found.flags.writeable = self._backend is None
        return found

    def __setitem__(self, key: Any, value: Any) -> None:
        if self._backend is None:
            super().__setitem__(key, value)
            return
        with lock_of(self._backend).hold():
            record = self._look()
            after = self._numbers.copy()
            after[key] = value
            assigned = np.zeros(len(after), np.bool_)
            assigned[key] = True
            self._write(self._backend, record, after, assigned)

    def _write(
        self,
        backend: TaskMemoryBackend,
        record: TaskData | None,
        after: NDArray[np.float64],
        assigned: NDArray[np.bool_],
    ) -> None:
        if assigned[_ACTIVE] and after[_ACTIVE] == 0.0:
            if record is not None:
                backend.remove(record.task_id)
            _unnamed(backend).pop(self._slot, None)
            return
        if record is None and not assigned[_ID]:
            _unnamed(backend)[self._slot] = after
            return
        before = TaskData(0) if record is None else record
        values = dict(zip(SLOT_FIELDS, after.tolist(), strict=True))
        changes = {
            name: _integer(values[name], name) if name in _COUNTS else values[name]
            for name in _PLAIN
            # What was not assigned keeps all its digits.
            if assigned[SLOT_FIELDS.index(name)] or record is None
        }
        if assigned[_LABEL] and values["label_hash"] != label_number(before.label):
            if values["label_hash"] != 0.0:
                raise ValueError("a label cannot be written as a number; use set_task_label")
            changes["label"] = None
        new_id = _integer(values["task_id"], "task_id") if assigned[_ID] else before.task_id
        self._put(backend, record, before.replace(task_id=new_id, **changes))
        _unnamed(backend).pop(self._slot, None)

    def _put(self, backend: TaskMemoryBackend, record: TaskData | None, new: TaskData) -> None:
        if record is not None and record.task_id == new.task_id:
            backend.write_task(new.task_id, new)
            return
        at = backend.index(new.task_id)
        if at is not None:
            raise ValueError(f"task {new.task_id} is in slot {at}; slot {self._slot} cannot be it")
        if record is not None:
            if first_free(backend) < self._slot:
                raise ValueError(self._not_lowest(backend, new.task_id))
            backend.remove(record.task_id)
        elif first_free(backend) != self._slot:
            raise ValueError(self._not_lowest(backend, new.task_id))
        backend.write_task(new.task_id, new)

    def _not_lowest(self, backend: TaskMemoryBackend, task_id: int) -> str:
        return (
            f"task {task_id} cannot be made in slot {self._slot}: a new task takes the lowest "
            f"free slot, {first_free(backend)}; use track_task_creation, then get_task_index"
        )

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: Any, *inputs: Any, out: Any = None, **options: Any
    ) -> Any:
        plain = [value._plain() if isinstance(value, SlotView) else value for value in inputs]
        if out is None:
            return getattr(ufunc, method)(*plain, **options)
        targets = [t._plain().copy() if isinstance(t, SlotView) else t for t in out]
        result = getattr(ufunc, method)(*plain, out=tuple(targets), **options)
        for view, target in zip(out, targets, strict=True):
            if isinstance(view, SlotView):
                view._assign_changed(target)
        return out[0] if len(out) == 1 and isinstance(out[0], SlotView) else result

    def _assign_changed(self, target: NDArray[np.float64]) -> None:
        changed = np.flatnonzero(target != self._plain())
        if changed.size:
            self[changed] = target[changed]

    def fill(self, value: Any) -> None:
        """Assigns ``value`` to all elements; 0 removes the task."""
        self[:] = value

    def tolist(self) -> list[float]:
        """The numbers as they are now."""
        numbers: list[float] = self._plain().tolist()
        return numbers

    def copy(self, order: Any = "C") -> Any:
        """The numbers as they are now, as an array of their own."""
        return self._plain().copy(order)

    def __reduce__(self) -> Any:
        return self.copy().__reduce__()


# What was assigned to slots before they have a task.
_UNNAMED: WeakKeyDictionary[TaskMemoryBackend, dict[int, NDArray[np.float64]]]
_UNNAMED = WeakKeyDictionary()


def _unnamed(backend: TaskMemoryBackend) -> dict[int, NDArray[np.float64]]:
    return _UNNAMED.setdefault(backend, {})


def task_at(backend: TaskMemoryBackend, slot: int) -> int | None:
    """The task of a slot, ``None`` if the slot is free."""
    ids = backend.task_ids().tolist()
    # Ids come in the order of their slots.
    at = bisect_left(ids, slot, key=lambda task_id: _slot(backend, task_id))
    return ids[at] if at < len(ids) and _slot(backend, ids[at]) == slot else None


def first_free(backend: TaskMemoryBackend) -> int:
    """The lowest free slot, which the next new task takes; ``max_tasks`` of a full table."""
    ids = backend.task_ids().tolist()
    # As long as no slot is free, position and slot are the same.
    return bisect_left(range(len(ids)), True, key=lambda at: _slot(backend, ids[at]) > at)


def label_number(label: str | None) -> float:
    """A number of a label that float64 holds exactly; 0 for none."""
    if label is None:
        return 0.0
    digest = hashlib.blake2b(label.encode(), digest_size=8).digest()
    return float((int.from_bytes(digest, "little") >> 11) or 1)


def _slot(backend: TaskMemoryBackend, task_id: int) -> int:
    slot = backend.index(task_id)
    # A task that another process has removed meanwhile.
    return backend.max_tasks if slot is None else slot


def _number(record: TaskData, name: str) -> float:
    if name == "is_active":
        return 1.0
    if name == "label_hash":
        return label_number(record.label)
    return float(getattr(record, name))


def _integer(value: float, name: str) -> int:
    if not value.is_integer():
        raise ValueError(f"{name} is {value}; it must be a whole number")
    return checks.integer(int(value), name, checks.MIN_ID, checks.MAX_SEED)
