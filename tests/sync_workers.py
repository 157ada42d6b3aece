"""What processes of a node do while it syncs; imports little, as each of them imports it."""

from __future__ import annotations

import itertools
import os
from typing import Any

import numpy as np

from curricle import TaskTracker


def report_for_ever(tracker: TaskTracker, seed: int, counts: Any, worker: int) -> None:
    """Reports until it is killed; ``counts[worker]`` is never ahead of what was reported."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 40, 1000).tolist()
    scores = (rng.integers(0, 5, 1000) / 4).tolist()
    for task_id, score in itertools.cycle(zip(ids, scores, strict=True)):
        tracker.update(task_id, score, 1)
        counts[worker] += 1


def report_some(tracker: TaskTracker, seed: int, n: int) -> float:
    """Reports ``n`` scores, a part of them in a batch; their sum."""
    rng = np.random.default_rng([seed, os.getppid()])
    ids, scores = rng.integers(0, 40, n), rng.integers(0, 5, n) / 4
    half = n // 2
    for task_id, score in zip(ids[:half].tolist(), scores[:half].tolist(), strict=True):
        tracker.update(task_id, score, 1)
    tracker.update_batch(ids[half:], scores[half:], np.ones(n - half, np.int64))
    return float(scores.sum())
