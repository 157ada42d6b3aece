"""The state dict of a drop-in curriculum."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from curricle._core import TaskData
from curricle.compat.labelled_algorithm import LabelledAlgorithm, find_tracker_state
from curricle.errors import CheckpointError

ALGORITHM = "algorithm_state"
TASKS = "tasks"
RANDOM = "seed"


def random_state(rng: random.Random) -> list[Any]:
    """State of the generator in a form that JSON keeps."""
    version, words, gauss = rng.getstate()
    return [version, list(words), gauss]


def read_random_state(state: Mapping[str, Any]) -> random.Random | None:
    """A generator in the saved state, a tuple or as JSON returns it; of a number, which is a seed.

    Raises:
        CheckpointError: it is no state.
    """
    saved = state.get(RANDOM)
    rng = random.Random()
    if saved is None:
        return None
    if isinstance(saved, int):
        rng.seed(saved)
        return rng
    try:
        version, words, gauss = saved
        rng.setstate((version, tuple(words), gauss))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{RANDOM} of the state is no state of random: {error}") from error
    return rng


def read_count(state: Mapping[str, Any], name: str) -> int:
    """A count of the state, 0 where there is none.

    Raises:
        CheckpointError: it is no count.
    """
    count = state.get(name, 0)
    if isinstance(count, float) and count.is_integer():
        count = int(count)
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise CheckpointError(f"{name} of the state is {count!r}; it must be a count")
    return count


def load_records(algorithm: LabelledAlgorithm, state: Mapping[str, Any]) -> int:
    """Replaces the tasks of the algorithm's tracker by those of a curriculum's state.

    Where the state has no tracker, its tasks' numbers of completions and scores are all there is.
    Where it has both, tasks that only its tracker knows count in the totals and leave the pool.

    Returns:
        How often the tasks of the state were drawn.

    Raises:
        CheckpointError: there are neither tracker nor tasks in it, or entries that cannot be;
            nothing is changed.
    """
    entries = _entries(state)
    scheduled = {task_id: read_count(entry, "num_scheduled") for task_id, entry in entries.items()}
    inner = state.get(ALGORITHM)
    if isinstance(inner, Mapping) and find_tracker_state(inner) is not None:
        algorithm.load_state(inner)
    elif find_tracker_state(state) is not None:
        algorithm.load_state(state)
    elif entries:
        memory = {task_id: _as_memory(entry) for task_id, entry in entries.items()}
        algorithm.load_state({"task_memory": memory})
    else:
        raise CheckpointError(
            f"the state has no tasks, only {sorted(map(str, state))}: give what get_state of a "
            "curriculum returned"
        )
    backend = algorithm.tracker.backend
    if entries:
        for task_id in set(backend.get_all_task_ids()) - entries.keys():
            backend.remove(task_id)
    for task_id, count in scheduled.items():
        data = backend.read(task_id)
        if data is not None:
            backend.write_task(task_id, data.replace(scheduled_count=count))
    return sum(scheduled.values())


def task_entry(data: TaskData, slice_values: dict[str, Any]) -> dict[str, Any]:
    """What a curriculum's state says of a task."""
    return {
        "num_completions": data.completion_count,
        "total_score": data.total_score,
        "mean_score": data.mean_score,
        "num_scheduled": data.scheduled_count,
        "slice_values": slice_values,
    }


def _entries(state: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    tasks = state.get(TASKS, {})
    try:
        return {int(task_id): dict(entry) for task_id, entry in tasks.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise CheckpointError(f"{TASKS} of the state is no dict of tasks by id: {error}") from error


def _as_memory(entry: Mapping[str, Any]) -> dict[str, Any]:
    completions = read_count(entry, "num_completions")
    total = entry.get("total_score", 0.0)
    mean = total / completions if completions else 0.0
    names = ("reward_ema", "last_score", "p_fast", "p_slow", "p_true")
    memory = {"completion_count": completions, "total_score": total, "ema_squared": mean * mean}
    return memory | dict.fromkeys(names, mean)
