"""Which labels have tasks, which had some, and what was counted for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from curricle.tracker import TaskTracker

COUNTS = ("completions", "scheduled", "evicted", "score_sum")


class LabelBook:
    """The labels of a session: all that have tasks, and the last few that have none any more.

    Counts are the session's own, so that all processes read the same, and what it did not see: a
    loaded state's, and draws that somebody else made. Where too many labels have no task, those
    are forgotten that have had none for longest.

    Args:
        tracker: whose labels these are.
        max_inactive: labels without a task that are kept, >= 0.
    """

    def __init__(self, tracker: TaskTracker, max_inactive: int) -> None:
        self._tracker = tracker
        self._max_inactive = max_inactive
        self._inactive: list[str] = []
        self._forgotten: set[str] = set()
        self._unseen: dict[str, dict[str, float]] = {}

    def sampled(self, label: str | None) -> None:
        """Counts a draw that somebody else than the session made."""
        if label is not None:
            self._unseen.setdefault(label, dict.fromkeys(COUNTS, 0.0))["scheduled"] += 1

    def refresh(self) -> dict[str, dict[str, float]]:
        """Counts by label, of the labels that are kept: tasks, lp_mean, and `COUNTS`."""
        totals = self._tracker.label_totals()
        for label, unseen in self._unseen.items():
            row = totals.setdefault(label, dict.fromkeys((*COUNTS, "tasks", "lp_mean"), 0.0))
            for name in COUNTS:
                row[name] += unseen[name]
        active = {label for label, counts in totals.items() if counts["tasks"]}
        known = [label for label in self._inactive if label in totals and label not in active]
        self._forgotten = {label for label in self._forgotten if label in totals} - active
        seen = active.union(known, self._forgotten)
        inactive = known + [label for label in totals if label not in seen]
        surplus = max(len(inactive) - self._max_inactive, 0)
        self._forgotten.update(inactive[:surplus])
        self._inactive = inactive[surplus:]
        for label in self._forgotten:
            self._unseen.pop(label, None)
        return {label: row for label, row in totals.items() if label not in self._forgotten}

    @property
    def active(self) -> set[str]:
        """Labels that have a task."""
        return {label for label, counts in self.refresh().items() if counts["tasks"]}

    @property
    def inactive(self) -> list[str]:
        """Labels that have no task any more, the one that has had none for longest first."""
        self.refresh()
        return list(self._inactive)

    @property
    def sampling_counts(self) -> dict[str, int]:
        """Draws by label."""
        return {label: int(counts["scheduled"]) for label, counts in self.refresh().items()}

    def counts(self) -> dict[str, dict[str, float]]:
        """What `load` goes on from."""
        rows = self.refresh().items()
        return {label: {name: counts[name] for name in COUNTS} for label, counts in rows}

    def load(self, counts: Mapping[str, Mapping[str, float]], inactive: Iterable[str]) -> None:
        """Goes on from the counts and the order of a saved state."""
        self._inactive = list(inactive)
        self._forgotten = set()
        there = self._tracker.label_totals()
        nothing = dict.fromkeys(COUNTS, 0.0)
        self._unseen = {
            label: {name: row.get(name, 0.0) - there.get(label, nothing)[name] for name in COUNTS}
            for label, row in counts.items()
        }
