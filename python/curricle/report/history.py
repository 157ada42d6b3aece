"""What happened over a run, at a bounded number of points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curricle.loggers.measures import OTHER
from curricle.report.log_files import LogEntry
from curricle.training.curve import CurvePoint

#: Points that a report draws at most; a longer log is drawn by intervals of several entries.
MAX_POINTS = 80

_Series = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LabelHistory:
    """One label, or several together, over the intervals of a run.

    Attributes:
        draws: in each interval, shape (n,).
        score: mean of the interval's episodes, shape (n,); NaN where none is known.
        lp: mean learning progress at the end of each, shape (n,); NaN where it is not known.
    """

    draws: _Series
    score: _Series
    lp: _Series


@dataclass(frozen=True, slots=True)
class History:
    """A run, cut into n intervals.

    Attributes:
        unit: what steps are.
        steps: at which the intervals end, shape (n,), rising.
        labels: those that the history names, the most drawn first; "other" is all the rest.
        score: mean over the episodes of each interval, shape (n,); NaN where there is none.
        success: mean over labels of the evaluation, shape (n,), NaN where there is none.
        least_success: of a label, in the same way.
        success_by_label: of the last evaluation.
        evictions: in each interval, shape (n,).
        episodes: since the run began.
        draws: since the run began.
    """

    unit: str
    steps: _Series
    labels: Mapping[str, LabelHistory]
    score: _Series
    success: _Series
    least_success: _Series
    success_by_label: Mapping[str, float]
    evictions: _Series
    episodes: int
    draws: int

    def leading(self, count: int) -> dict[str, LabelHistory]:
        """At most ``count`` labels that were drawn most, and the others as one."""
        named = [label for label in self.labels if label != OTHER]
        first = {label: self.labels[label] for label in named[:count]}
        rest = [self.labels[label] for label in named[count:]]
        rest += [self.labels[OTHER]] if OTHER in self.labels else []
        return first | ({OTHER: _together(rest)} if rest else {})


def history_of_curve(points: Sequence[CurvePoint]) -> History:
    """The history of a training run, of at least one point."""
    labels = sorted({point.label for point in points})
    rows = {label: row for row, label in enumerate(labels)}
    steps = sorted({point.env_steps for point in points})
    columns = {step: column for column, step in enumerate(steps)}
    shape = (len(labels), len(steps))
    samples, completions, score_sum = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    lp, success = np.full(shape, np.nan), np.full(shape, np.nan)
    for point in points:
        at = rows[point.label], columns[point.env_steps]
        samples[at], completions[at] = point.samples, point.completions
        score_sum[at], lp[at], success[at] = point.score_sum, point.lp, point.success
    # Counts are totals since the start of the run.
    draws, ended, scores = (
        np.diff(total, axis=1, prepend=0.0) for total in (samples, completions, score_sum)
    )
    return _bounded(
        "environment steps",
        np.array(steps, np.float64),
        labels,
        draws,
        _ratio(scores, ended),
        lp,
        score=_ratio(scores.sum(axis=0), ended.sum(axis=0)),
        success=_over_labels(success, np.nanmean),
        least_success=_over_labels(success, np.nanmin),
        success_by_label={
            label: float(value)
            for label, value in zip(labels, success[:, -1], strict=True)
            if not np.isnan(value)
        },
        evictions=np.zeros(len(steps)),
        episodes=max(point.episodes for point in points),
        draws_in_all=int(samples[:, -1].sum()),
    )


def history_of_log(entries: Sequence[LogEntry]) -> History:
    """The history that a logger wrote; ``entries`` by rising steps, at least one."""
    names = {name for entry in entries for name in entry.metrics}
    groups = ("curriculum_share/", "curriculum_score/", "curriculum_lp/")
    labels = sorted({name.partition("/")[2] for name in names if name.startswith(groups)})

    def series(name: str) -> _Series:
        return np.array([entry.metrics.get(name, np.nan) for entry in entries])

    def table(group: str) -> NDArray[np.float64]:
        rows = [series(group + label) for label in labels]
        return np.array(rows).reshape(len(labels), len(entries))

    drawn = series("curriculum/draws")
    shares = np.nan_to_num(table(groups[0]))
    return _bounded(
        "steps",
        np.array([entry.step for entry in entries], np.float64),
        labels,
        shares * _added(drawn),
        table(groups[1]),
        table(groups[2]),
        score=series("curriculum/score"),
        success=np.full(len(entries), np.nan),
        least_success=np.full(len(entries), np.nan),
        success_by_label={},
        evictions=_added(series("curriculum/evictions")),
        episodes=int(_latest(series("curriculum/episodes"))),
        draws_in_all=int(_latest(drawn)),
    )


def _bounded(
    unit: str,
    steps: _Series,
    labels: Sequence[str],
    draws: _Series,
    scores: _Series,
    lp: _Series,
    *,
    score: _Series,
    success: _Series,
    least_success: _Series,
    success_by_label: Mapping[str, float],
    evictions: _Series,
    episodes: int,
    draws_in_all: int,
) -> History:
    """Joins entries so that there are at most ``MAX_POINTS`` intervals; orders the labels."""
    starts = np.arange(len(steps))
    if len(steps) > MAX_POINTS:
        starts = np.linspace(0, len(steps), MAX_POINTS, endpoint=False).astype(int)
    ends = np.append(starts[1:], len(steps)) - 1
    scores = _means(scores, _at_least_a_little(draws), starts)
    rows = {
        labels[row]: LabelHistory(np.add.reduceat(draws[row], starts), scores[row], lp[row, ends])
        for row in np.argsort(-draws.sum(axis=1), kind="stable").tolist()
    }
    whole = np.array([score, success, least_success])
    score, success, least_success = _means(whole, np.ones_like(whole), starts)
    return History(
        unit=unit,
        steps=steps[ends],
        labels=rows,
        score=score,
        success=success,
        least_success=least_success,
        success_by_label=success_by_label,
        evictions=np.add.reduceat(evictions, starts),
        episodes=episodes,
        draws=draws_in_all,
    )


def _means(values: _Series, weights: _Series, starts: NDArray[Any]) -> _Series:
    """Weighted means of what is known in each interval, shape (labels, intervals)."""
    known = ~np.isnan(values)
    weight = np.where(known, weights, 0.0)
    total = np.add.reduceat(np.where(known, values, 0.0) * weight, starts, axis=1)
    return _ratio(total, np.add.reduceat(weight, starts, axis=1))


def _together(histories: Sequence[LabelHistory]) -> LabelHistory:
    draws = np.array([history.draws for history in histories])
    scores = np.array([history.score for history in histories])
    lp = np.array([history.lp for history in histories])
    # One interval of all labels, for each interval of the run.
    score = _means(scores.T, _at_least_a_little(draws).T, np.array([0])).ravel()
    return LabelHistory(draws.sum(axis=0), score, _over_labels(lp, np.nanmean))


def _at_least_a_little(draws: _Series) -> _Series:
    """Weights of scores: what nobody drew counts a little, so that a score is not lost."""
    return np.maximum(draws, 1e-9)


def _over_labels(table: _Series, mean: Any) -> _Series:
    """``mean`` of each column's known values; NaN where there is none."""
    known = ~np.isnan(table).all(axis=0)
    result = np.full(table.shape[1], np.nan)
    if known.any():
        result[known] = mean(table[:, known], axis=0)
    return result


def _added(total: _Series) -> _Series:
    """What each entry adds to a total since a session began; one that falls began anew."""
    total = np.nan_to_num(total)
    added = np.diff(total, prepend=0.0)
    return np.where(added < 0.0, total, added)


def _latest(series: _Series) -> float:
    known = series[~np.isnan(series)]
    return float(known[-1]) if len(known) else 0.0


def _ratio(counts: _Series, of: _Series) -> _Series:
    ratio = np.full(np.shape(counts), np.nan)
    np.divide(counts, of, out=ratio, where=of > 0.0)
    return ratio
