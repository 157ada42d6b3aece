"""The state dicts of earlier trackers, of both generations: plain numbers by name."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from curricle import checks
from curricle._core import Rules, Session, TaskData
from curricle.backends.base import TaskMemoryBackend
from curricle.backends.core_backed import CoreBackend
from curricle.backends.share_limits import replace_limits
from curricle.errors import CapacityError, CheckpointError

NUMBERS = (
    "creation_time",
    "reward_ema",
    "lp_score",
    "success_rate_ema",
    "total_score",
    "last_score",
    "success_threshold",
    "generator_type",
    "ema_squared",
    "p_fast",
    "p_slow",
    "p_true",
    "random_baseline",
)
COUNTS = ("completion_count", "seed")
KEYS = (
    "max_memory_tasks",
    "tracker_type",
    "session_id",
    "task_memory",
    "task_creation_order",
    "completion_history",
    "cached_total_completions",
    "cache_valid",
    "global_total_completions",
    "global_sum_scores",
)


@dataclass(frozen=True)
class State:
    """What a state dict says, read and checked.

    Attributes:
        records: the tasks in the order of their creation.
        hashed: tasks of which the state has no label but the hash of one.
        gone_completions: completions of tasks that are gone.
        gone_score_sum: their scores.
    """

    records: list[TaskData]
    hashed: frozenset[int]
    gone_completions: int
    gone_score_sum: float


def read_state(backend: TaskMemoryBackend) -> dict[str, Any]:
    """The state dict of a table."""
    table, labels, totals = backend.snapshot(), backend.labels(), backend.totals()
    columns = {name: table[name].tolist() for name in (*COUNTS, *NUMBERS)}
    columns["label"] = [labels[at] if at >= 0 else None for at in table["label"].tolist()]
    rows = zip(*columns.values(), strict=True)
    memory = {
        task_id: dict(zip(columns, row, strict=True))
        for task_id, row in zip(table["task_id"].tolist(), rows, strict=True)
    }
    return {
        "max_memory_tasks": backend.max_tasks,
        "tracker_type": "local" if backend.name is None else "centralized",
        "session_id": backend.name,
        "task_memory": memory,
        "task_creation_order": sorted(memory, key=lambda i: memory[i]["creation_time"]),
        # There is none: totals are exact without.
        "completion_history": [],
        "cached_total_completions": sum(columns["completion_count"]),
        "cache_valid": True,
        "global_total_completions": int(totals["completions"]),
        "global_sum_scores": totals["score_sum"],
    }


def write_state(backend: TaskMemoryBackend, state: Mapping[str, Any]) -> None:
    """Replaces the tasks of a table by those of a state dict, all or nothing.

    A label that the state has as a hash only stays what the table has for the task. Limits of
    shares, which no state has, stay as they are.

    Raises:
        CheckpointError: an entry that cannot be, by its name and value.
        CapacityError: more tasks or labels than the table has room for.
    """
    content = parse_state(state, backend.rules.as_dict())
    if len(content.records) > backend.max_tasks:
        raise CapacityError(
            f"the state has {len(content.records)} tasks, and there is room for "
            f"{backend.max_tasks}; load it into a tracker with more max_memory_tasks"
        )
    content = _with_labels(backend, content)
    if isinstance(backend, CoreBackend):
        _write_core(backend, content)
    else:
        _write_each(backend, content)


def _with_labels(backend: TaskMemoryBackend, content: State) -> State:
    """The state with the labels of the table where it has only hashes of them."""
    records, lost = [], []
    for record in content.records:
        if record.task_id in content.hashed:
            there = backend.read(record.task_id)
            if there is None or there.label is None:
                lost.append(record.task_id)
            else:
                record = record.replace(label=there.label)
        records.append(record)
    if lost:
        warnings.warn(
            f"the state has the labels of {len(lost)} tasks, task {lost[0]} for one, as hashes "
            "only, from which no label can be told: label them with set_task_label",
            RuntimeWarning,
            stacklevel=4,
        )
    return replace(content, records=records)


def fill(session: Session, content: State) -> None:
    """Writes the tasks of a state, and the counts of those that are gone, into an empty session.

    Raises:
        CheckpointError: a number that a record cannot have.
        CapacityError: more tasks or labels than the session has room for.
    """
    if content.gone_completions:
        # A task that is removed again leaves its counts in the totals.
        _write_record(session, _stand_in(content))
        session.remove(_stand_in(content).task_id)
    for record in content.records:
        _write_record(session, record)


def _stand_in(content: State) -> TaskData:
    return TaskData(
        0, completion_count=content.gone_completions, total_score=content.gone_score_sum
    )


def _write_record(session: Session, record: TaskData) -> None:
    try:
        session.write(record.task_id, record)
    except ValueError as error:
        raise CheckpointError(f"task {record.task_id} of the state: {error}") from error


def _write_core(backend: CoreBackend, content: State) -> None:
    # Into a table beside it first: whatever is refused is refused there, and a checkpoint is
    # loaded in one step, also while other processes work.
    session = backend.session
    beside = Session(
        session.capacity,
        session.rules,
        columns=session.columns,
        max_labels=session.max_labels,
        seed=session.seed,
    )
    fill(beside, content)
    for label, limits in session.share_limits().items():
        beside.limit_share(label, *limits)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "state"))
        beside.save(path)
        backend.load(path)
    beside.close()


def _write_each(backend: TaskMemoryBackend, content: State) -> None:
    # The core says whether the records can be; the user's backend, whether it takes them.
    fill(Session(backend.max_tasks, backend.rules, max_labels=_labels_of(content)), content)
    with tempfile.TemporaryDirectory() as folder:
        before = str(Path(folder, "before"))
        backend.save(before)
        limits = backend.share_limits()
        try:
            backend.clear()
            replace_limits(backend, limits)
            vars(backend._ledger).update(retired={}, evicted=0, removed=0)
            if content.gone_completions:
                backend._ledger.retire(_stand_in(content), evict=False)
            for record in content.records:
                backend.create(record.task_id)
                backend.update(record.task_id, partial(_over, record, backend.rules))
        except BaseException:
            backend.load(before)
            raise


def _labels_of(content: State) -> int:
    return len({record.label for record in content.records}) + 1


def _over(record: TaskData, rules: Rules, made: TaskData) -> TaskData:
    """The record of a state as that of a task that was just made."""
    return record.replace(generation=made.generation, weight=rules.weigh(record))


def parse_state(state: Mapping[str, Any], defaults: Mapping[str, Any]) -> State:
    """Reads a state dict without changing anything.

    Args:
        state: the dict; keys that it lacks take their defaults.
        defaults: ``success_threshold`` and ``generator_type`` of tasks that have none.

    Raises:
        CheckpointError: an entry that cannot be, by its name and value.
    """
    if not isinstance(state, Mapping):
        raise CheckpointError(f"the state is a {type(state).__name__}; it must be a dict")
    if not state.keys() & set(KEYS):
        raise CheckpointError(
            f"the state has none of the keys of a tracker's, but {sorted(map(str, state))[:5]}; "
            "give the dict that get_state of the tracker returned"
        )
    memory = _mapping(state.get("task_memory", {}), "task_memory")
    records, hashed = [], set()
    for key, value in memory.items():
        # What is None was never set.
        given = _mapping(value, f"task {key}").items()
        fields = {name: entry for name, entry in given if entry is not None}
        record = _record(_task_id(key), fields, defaults)
        records.append(record)
        if record.label is None and fields.get("label_hash"):
            hashed.add(record.task_id)
    if len({record.task_id for record in records}) < len(records):
        raise CheckpointError("the state has a task twice, under its number and under its text")
    try:
        order = _order(state.get("task_creation_order") or ())
        completions, score_sum = _gone(state, records)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"the state cannot be loaded: {error}") from error
    # Sorting keeps those that the list does not have as they come.
    records.sort(key=lambda record: order.get(record.task_id, len(order)))
    return State(records, frozenset(hashed), completions, score_sum)


def _record(task_id: int, fields: Mapping[str, Any], defaults: Mapping[str, Any]) -> TaskData:
    try:
        values: dict[str, Any] = {
            "success_threshold": defaults["success_threshold"],
            "generator_type": defaults["generator_type"],
            "label": checks.label(fields.get("label") or None),
        }
        # Whether a record can have the numbers, the core says when it is written.
        values |= {name: fields[name] for name in NUMBERS if name in fields}
        for name in COUNTS:
            if name in fields:
                values[name] = checks.integer(_whole(fields[name]), name, 0, checks.MAX_SEED)
        return TaskData(task_id, **values)
    except (TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"task {task_id} of the state: {error}") from error


def _gone(state: Mapping[str, Any], records: list[TaskData]) -> tuple[int, float]:
    """Completions and score sum of tasks that are gone: totals less those of the tasks."""
    live = sum(record.completion_count for record in records)
    live_sum = sum(record.total_score for record in records)
    total = state.get("global_total_completions")
    if total is None:
        return 0, 0.0
    count = checks.integer(_whole(total), "global_total_completions", 0, checks.MAX_SEED)
    if count <= live:
        # A total below that of the tasks is one that did not count every process.
        return 0, 0.0
    if "global_sum_scores" in state:
        score_sum = checks.real(state["global_sum_scores"], "global_sum_scores")
        return count - live, score_sum - live_sum
    # What they scored is not said: as those that are there.
    return count - live, (count - live) * (live_sum / live if live else 0.0)


def _order(entries: Any) -> dict[int, int]:
    """Position by task id, from ids or from pairs (time, id)."""
    ids = (entry[-1] if isinstance(entry, list | tuple) else entry for entry in entries)
    return {_task_id(task_id): at for at, task_id in enumerate(ids)}


def _mapping(value: Any, name: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise CheckpointError(f"{name} of the state is {value!r:.80}; it must be a dict")
    return value


def _task_id(key: Any) -> int:
    """An id: an integer, or one in digits, as JSON has keys."""
    try:
        number = int(key) if isinstance(key, str) else _whole(key)
        return checks.integer(number, "a task id", checks.MIN_ID, checks.MAX_ID)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{key!r:.80} is no task id: {error}") from error


def _whole(value: Any) -> Any:
    """A float without a fraction as an integer; earlier trackers kept counts as floats."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
