"""What of a session goes into a log: counts of it all, and of a bounded number of labels."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from curricle.tracker import TaskTracker

if TYPE_CHECKING:
    from curricle.curriculum import Curriculum

#: Name under which all labels without a place of their own go, and those that the session folded.
OTHER = "other"

# Metrics of the whole session, and what its totals call them.
_TOTALS = {
    "tasks": "tasks",
    "episodes": "completions",
    "draws": "scheduled",
    "evictions": "evicted",
    "late_reports": "late_reports",
    "lp": "lp_mean",
}
_Counts = Mapping[str, float]
_NOTHING: _Counts = {"completions": 0.0, "scheduled": 0.0, "score_sum": 0.0}


class Measures:
    """Gives the metrics of a session, of what happened since they were last given.

    Names and meanings stand in `docs/logging.md`.

    Args:
        source: a curriculum, or a tracker, of the session; any process may look.
        max_labels: labels with metrics of their own, >= 1. A place is given to the label with the
            most draws, and kept, so that there are never more names than these and "other".

    Raises:
        TypeError: ``max_labels`` is no integer.
        ValueError: ``max_labels`` below 1.
    """

    def __init__(self, source: Curriculum | TaskTracker, max_labels: int) -> None:
        max_labels = operator.index(max_labels)
        if max_labels < 1:
            raise ValueError(f"max_labels={max_labels}: must be at least 1")
        self._tracker = source if isinstance(source, TaskTracker) else source.tracker
        self._max_labels = max_labels
        self._places: dict[str, None] = {}
        self._total_before: _Counts = _NOTHING
        self._before: Mapping[str, _Counts] = {}

    def take(self) -> dict[str, float]:
        """The metrics by name; a mean or a share of nothing is left out."""
        totals = self._tracker.totals()
        labels = self._tracker.label_totals()
        self._give_places(labels)
        if any(totals[key] < self._total_before[key] for key in ("completions", "scheduled")):
            # A checkpoint of less was loaded: all that it has is new.
            self._total_before, self._before = _NOTHING, {}
        metrics = {f"curriculum/{name}": float(totals[key]) for name, key in _TOTALS.items()}
        drawn = _added(totals, self._total_before)
        _put_mean(metrics, "curriculum/score", drawn)
        added = self._added_by_label(labels)
        groups = {label: [label] for label in self._places if label in labels}
        rest = [label for label in labels if label not in self._places]
        if rest:
            groups[OTHER] = rest
        for group, members in groups.items():
            lp_sum = sum(labels[label]["lp_sum"] for label in members)
            tasks = sum(labels[label]["tasks"] for label in members)
            metrics[f"curriculum_lp/{group}"] = lp_sum / tasks if tasks else 0.0
            counts = _summed(added[label] for label in members)
            if drawn["scheduled"]:
                metrics[f"curriculum_share/{group}"] = counts["scheduled"] / drawn["scheduled"]
            _put_mean(metrics, f"curriculum_score/{group}", counts)
        self._total_before = totals
        self._before = labels
        return metrics

    def _give_places(self, labels: Mapping[str, _Counts]) -> None:
        free = self._max_labels - len(self._places)
        waiting = [label for label in labels if label not in self._places and label != OTHER]
        waiting.sort(key=lambda label: (-labels[label]["scheduled"], label))
        self._places |= dict.fromkeys(waiting[:free])

    def _added_by_label(self, labels: Mapping[str, _Counts]) -> dict[str, _Counts]:
        before = dict(self._before)
        # The session has folded them, with all their counts, into "other".
        gone = [before.pop(label) for label in self._before if label not in labels]
        if gone:
            before[OTHER] = _summed([before.get(OTHER, _NOTHING), *gone])
        return {
            label: _added(counts, before.get(label, _NOTHING)) for label, counts in labels.items()
        }


def _added(now: _Counts, before: _Counts) -> _Counts:
    return {key: now[key] - before[key] for key in _NOTHING}


def _summed(rows: Iterable[_Counts]) -> _Counts:
    kept = list(rows)
    return {key: sum(row[key] for row in kept) for key in _NOTHING}


def _put_mean(metrics: dict[str, float], name: str, counts: _Counts) -> None:
    if counts["completions"]:
        metrics[name] = counts["score_sum"] / counts["completions"]
