"""Records as a structured array, and the distribution of draws that follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curricle._core import Rules, TaskData

RECORD = np.dtype(
    [
        ("task_id", np.int64),
        ("generation", np.uint32),
        ("creation_time", np.float64),
        ("last_scheduled", np.uint64),
        ("last_completed", np.uint64),
        ("completion_count", np.uint64),
        ("scheduled_count", np.uint64),
        ("env_steps", np.uint64),
        ("reward_ema", np.float64),
        ("ema_squared", np.float64),
        ("success_rate_ema", np.float64),
        ("total_score", np.float64),
        ("last_score", np.float64),
        ("p_fast", np.float64),
        ("p_slow", np.float64),
        ("p_true", np.float64),
        ("random_baseline", np.float64),
        ("lp_score", np.float64),
        ("weight", np.float64),
        ("success_threshold", np.float64),
        ("seed", np.uint64),
        ("generator_type", np.float64),
        ("evidence", np.float64),
        ("label", np.int32),
    ]
)


def to_array(records: Sequence[TaskData], labels: Sequence[str | None]) -> NDArray[Any]:
    """The records, shape (n,), with labels as positions in ``labels`` (-1 for none)."""
    positions = {label: at for at, label in enumerate(labels)} | {None: -1}
    rows = [
        tuple(
            positions[data.label] if name == "label" else getattr(data, name)
            for name in RECORD.names or ()
        )
        for data in records
    ]
    return np.array(rows, dtype=RECORD)


def distribution(
    rules: Rules, table: NDArray[Any], *, uniform: bool = False
) -> NDArray[np.float64]:
    """Probability of each task, shape (n,): (1 - floor) w / sum(w) + floor / n.

    ``w`` is the record's weight, or the sigmoid of the z-scored learning progress, or 1;
    ``uniform``: 1, whatever the rules say.
    """
    parameters = rules.as_dict()
    n = len(table)
    weights = np.ones(n)
    if uniform:
        pass
    elif parameters["law"] == "proportional":
        weights = table["weight"].astype(np.float64)
    elif parameters["law"] == "sigmoid":
        progress = table["lp_score"]
        spread = progress.std() if n else 0.0
        if spread > 0.0:
            # sigmoid(x) = (1 + tanh(x / 2)) / 2 does not overflow.
            scaled = parameters["amplification"] * (progress - progress.mean()) / spread
            weights = 0.5 * (1.0 + np.tanh(0.5 * scaled))
    total = weights.sum()
    shares = weights / total if total > 0.0 else np.full(n, 1.0 / max(n, 1))
    floor: float = parameters["floor"]
    return (1.0 - floor) * shares + floor / max(n, 1)


def eviction_choice(
    table: NDArray[Any],
    min_presentations: int,
    percentile: float,
    kept: NDArray[np.bool_] | None = None,
) -> int | None:
    """The task of least learning progress that was presented often enough, if any.

    It is chosen only if fewer than the share ``percentile`` of all tasks have a lower one, and not
    among those that are ``kept``, shape (n,).
    """
    often = table["completion_count"] >= min_presentations
    eligible = table[often if kept is None else often & ~kept]
    if len(eligible) == 0:
        return None
    worst = eligible[np.argmin(eligible["lp_score"])]
    lower = np.count_nonzero(table["lp_score"] < worst["lp_score"])
    if percentile < 1.0 and lower >= percentile * len(table):
        return None
    return int(worst["task_id"])
