"""How the counts of a session went, as long as it was looked at."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curricle.loggers.measures import OTHER
from curricle.top.look import COUNTS, Look
from curricle.top.text import label_name

#: Seconds over which rates and shares are taken.
WINDOW = 5.0
#: Points of the trail; where there would be more, every other one goes.
MOST_POINTS = 64

_TASKS, _DRAWS, _EPISODES, _SCORES, _LP, _EVICTED = range(len(COUNTS))
_Array = NDArray[np.float64]


@dataclass
class _Point:
    at: float
    totals: dict[str, float]
    counts: _Array


class History:
    """Looks at one session, in order: a few seconds of them, and a trail back to the first.

    Counts only grow, so whatever is between two points, a pause as well, is their difference.
    Memory is bounded: `MOST_POINTS` times the number of labels.

    Attributes:
        labels: of the rows of all arrays; ``None`` stands for the tasks that have no label.
        names: the labels as they are shown.
    """

    def __init__(self) -> None:
        self.labels: list[str | None] = []
        self.names: list[str] = []
        self._window: deque[_Point] = deque()
        self._trail: list[_Point] = []
        self._step = 0.0

    def add(self, look: Look) -> None:
        """Takes in the next look."""
        point = _Point(look.at, look.totals, look.counts)
        if self._window and _went_back(self._window[-1].totals, look.totals):
            # A checkpoint of less was loaded: what was before is no part of it.
            self._window.clear()
            self._trail.clear()
            self._step = 0.0
        if look.labels != self.labels:
            self._realign(look.labels)
        while len(self._window) > 1 and self._window[1].at <= point.at - WINDOW:
            self._window.popleft()
        # One stretch that is longer than the window, a pause, is over with the next look.
        if len(self._window) > 1 and self._window[0].at < point.at - 2 * WINDOW:
            self._window.popleft()
        self._window.append(point)
        if not self._trail or point.at - self._trail[-1].at >= self._step:
            self._trail.append(point)
        if len(self._trail) > MOST_POINTS:
            del self._trail[1::2]
            span = self._trail[-1].at - self._trail[0].at
            # A little less, as looks are not exactly as far apart as they are meant to be.
            self._step = 0.9 * span / (len(self._trail) - 1)

    def rate(self, name: str) -> float | None:
        """Growth of a total a second, over the window; ``None`` before the second look."""
        first, last = self._window[0], self._window[-1]
        if last.at <= first.at:
            return None
        return (last.totals[name] - first.totals[name]) / (last.at - first.at)

    def rates(self, name: str, width: int) -> _Array:
        """Growth of a total a second along the trail, shape (at most ``width``,)."""
        points = self._along(width + 1)
        values = np.array([point.totals[name] for point in points])
        times = np.array([point.at for point in points])
        grown: _Array = np.diff(values) / np.diff(times)
        return grown

    def tasks(self) -> _Array:
        """Live tasks of each label."""
        return self._window[-1].counts[:, _TASKS]

    def episodes(self) -> _Array:
        """Episodes of each label in its whole life."""
        return self._window[-1].counts[:, _EPISODES]

    def evictions(self) -> _Array:
        """Evictions of each label in its whole life."""
        return self._window[-1].counts[:, _EVICTED]

    def progress(self) -> _Array:
        """Mean learning progress of the live tasks of each label; NaN where there are none."""
        return _progress(self._window[-1].counts)

    def shares(self) -> _Array:
        """Share of the draws of each label, in the latest stretch with draws.

        That is the window, or else the last part of the trail in which there were any, or else
        the time before the first look. Of a session without draws, shares of the episodes.
        """
        for earlier, later in self._stretches():
            drawn: _Array = np.maximum(_grown(earlier, later, np.s_[:, self._drawn]), 0.0)
            whole = float(drawn.sum())
            if whole > 0.0:
                return drawn / whole
        return np.full(len(self.labels), np.nan)

    def mean_scores(self) -> _Array:
        """Mean score of each label, in the latest stretch in which it has episodes.

        Stretches are those of `shares`; NaN for a label without any episode.
        """
        means = np.full(len(self.labels), np.nan)
        for earlier, later in self._stretches():
            missing = np.flatnonzero(np.isnan(means))
            if not len(missing):
                break
            means[missing] = _means(_grown(earlier, later, missing))
        return means

    def share_trails(self, rows: NDArray[np.intp], width: int) -> _Array:
        """Shares of the draws of labels along the trail, shape (rows, at most ``width``)."""
        points = self._along(width + 1)
        own = np.diff([point.counts[rows, self._drawn] for point in points], axis=0)
        name = COUNTS[self._drawn]
        whole = np.diff([point.totals[name] for point in points])
        return _divided(own, whole[:, np.newaxis]).T

    def score_trails(self, rows: NDArray[np.intp], width: int) -> _Array:
        """Mean scores of labels along the trail, shape (rows, at most ``width``)."""
        points = self._along(width + 1)
        return _means(np.diff([point.counts[rows] for point in points], axis=0)).T

    def progress_trails(self, rows: NDArray[np.intp], width: int) -> _Array:
        """Mean learning progress of labels along the trail, shape (rows, at most ``width``)."""
        return _progress(np.array([point.counts[rows] for point in self._along(width)])).T

    @property
    def _drawn(self) -> int:
        return _DRAWS if self._window[-1].totals["scheduled"] else _EPISODES

    def _stretches(self) -> Iterator[tuple[_Point | None, _Point]]:
        """The ends of the stretches, the latest one first; the first of all has no beginning."""
        first, last = self._window[0], self._window[-1]
        yield first, last
        points = {id(point): point for point in (*self._trail, first, last)}.values()
        ordered = sorted(points, key=lambda point: point.at)
        yield from reversed(list(pairwise(ordered)))
        yield None, ordered[0]

    def _along(self, number: int) -> list[_Point]:
        """At most that many points, evenly along the trail, the last look included."""
        points = self._trail
        if points[-1] is not self._window[-1]:
            points = [*points, self._window[-1]]
        steps = min(number, len(points)) - 1
        if steps < 1:
            return points[:1]
        return [points[round(at * (len(points) - 1) / steps)] for at in range(steps + 1)]

    def _realign(self, labels: list[str | None]) -> None:
        """Brings the rows of all points into the order of other labels; a new one had nothing."""
        old = {label: row for row, label in enumerate(self.labels)}
        new = set(labels)
        order = np.array([old.get(label, -1) for label in labels], int)
        folded = [row for label, row in old.items() if label is not None and label not in new]
        for point in {id(point): point for point in (*self._window, *self._trail)}.values():
            counts = np.zeros((len(labels), len(COUNTS)))
            counts[order >= 0] = point.counts[order[order >= 0]]
            if folded and OTHER in new:
                counts[labels.index(OTHER)] += point.counts[folded].sum(axis=0)
            point.counts = counts
        self.labels = labels
        self.names = [label_name(label) for label in labels]


def _went_back(before: dict[str, float], now: dict[str, float]) -> bool:
    return any(now[name] < before[name] for name in ("completions", "scheduled", "created"))


def _grown(earlier: _Point | None, later: _Point, part: Any) -> _Array:
    """How much a part of the counts grew between two points; of no point, from nothing."""
    grown: _Array = later.counts[part]
    return grown if earlier is None else grown - earlier.counts[part]


def _means(counts: _Array) -> _Array:
    return _divided(counts[..., _SCORES], counts[..., _EPISODES])


def _progress(counts: _Array) -> _Array:
    return _divided(counts[..., _LP], counts[..., _TASKS])


def _divided(sums: _Array, numbers: _Array) -> _Array:
    """Means; NaN of nothing."""
    means = np.full(sums.shape, np.nan)
    np.divide(sums, numbers, out=means, where=numbers > 0)
    return means
