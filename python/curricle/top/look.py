"""What a session says of itself at one moment."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curricle._core import Session, list_sessions

#: What is counted for each label; the columns of `Look.counts`.
COUNTS = ("tasks", "scheduled", "completions", "score_sum", "lp_sum", "evicted")
_COUNTERS = ("created", "evicted", "removed")
_TRIES = 3
# Seconds for which a number of processes is good: counting them reads all sessions of the machine.
_COUNT_SECONDS = 5.0


@dataclass(frozen=True)
class Look:
    """A session at one moment.

    Attributes:
        at: when, in seconds of the monotonic clock.
        time: when, in seconds since the epoch.
        live: whether processes worked on it; where none did, everything else is final.
        capacity: most tasks that it has room for.
        totals: of the whole session.
        labels: of the rows of ``counts``; ``None`` stands for the tasks that have no label.
        counts: ``COUNTS`` of each label, shape (labels, len(COUNTS)).
        processes: number of processes that work on it, or ``None`` where that is not known.
        counted_at: when they were counted, in seconds of the monotonic clock.
        frozen: whether learning progress is frozen.
        uniform: whether draws are uniform.
        limits: least and most share of the draws of labels that have limits.
        acts: the last acts of steering, oldest first.
    """

    at: float
    time: float
    live: bool
    capacity: int
    totals: dict[str, float]
    labels: list[str | None]
    counts: NDArray[np.float64]
    processes: int | None = None
    counted_at: float = 0.0
    frozen: bool = False
    uniform: bool = False
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    acts: list[dict[str, Any]] = field(default_factory=list)


def look_at(session: Session, last: Look | None = None) -> Look:
    """Reads a session, without a lock; any thread may.

    Args:
        session: what is looked at.
        last: the look before, whose number of processes is good for some seconds.
    """
    # Before all else: of a session that has ended nothing changes any more.
    live = session.live
    for _ in range(_TRIES):
        before = session.totals()
        by_label = session.label_totals()
        totals = session.totals()
        # Then no task came or went in between, and the difference is the tasks without a label.
        if all(before[name] == totals[name] for name in _COUNTERS):
            break
    labels: list[str | None] = list(by_label)
    rows = map(itemgetter(*COUNTS), by_label.values())
    counts = np.array(list(rows), np.float64).reshape(-1, len(COUNTS))
    whole = {**totals, "lp_sum": totals["lp_mean"] * totals["tasks"]}
    rest = np.array([whole[name] for name in COUNTS]) - counts.sum(axis=0)
    if rest[COUNTS.index("tasks")] > 0:
        labels.append(None)
        # Episodes that came in between are in the labels already.
        for name in ("scheduled", "completions", "evicted"):
            rest[COUNTS.index(name)] = max(0.0, rest[COUNTS.index(name)])
        counts = np.vstack([counts, rest])
    at = time.monotonic()
    processes, counted_at = _processes(session, last, at) if live else (0, at)
    return Look(
        at=at,
        time=time.time(),
        live=live,
        capacity=session.capacity,
        totals=totals,
        labels=labels,
        counts=counts,
        processes=processes,
        counted_at=counted_at,
        frozen=session.frozen,
        uniform=session.uniform,
        limits=session.share_limits(),
        acts=session.acts(),
    )


def _processes(session: Session, last: Look | None, now: float) -> tuple[int | None, float]:
    """Their number, and when they were counted."""
    if last is not None and now < last.counted_at + _COUNT_SECONDS:
        return last.processes, last.counted_at
    for facts in list_sessions():
        # The name may be another session's by now.
        if facts["name"] == session.name and facts["created"] == session.created_at:
            processes = facts["processes"]
            return None if processes is None else len(processes), now
    return None, now
