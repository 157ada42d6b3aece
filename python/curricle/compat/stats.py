"""Statistics of a drop-in curriculum as flat keys."""

from __future__ import annotations

from collections.abc import Mapping

LABEL_TABLES = {
    "per_label_lp_scores": "lp_mean",
    "per_label_completion_counts": "completions",
    "per_label_samples": "scheduled",
    "per_label_evictions": "evicted",
}


def label_stats(totals: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The counts by label as ``TABLE/LABEL``; rewards are mean scores, 0 without any."""
    stats: dict[str, float] = {}
    for label, counts in totals.items():
        for table, name in LABEL_TABLES.items():
            stats[f"{table}/{label}"] = float(counts[name])
        completions = counts["completions"]
        mean = counts["score_sum"] / completions if completions else 0.0
        stats[f"per_label_rewards/{label}"] = float(mean)
    return stats


class LabelEvents:
    """What has happened by label since it was last taken: completions, draws and evictions.

    Each event is handed out once, so that the sum over all that was handed out is its number.
    """

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, float]] = {}

    def count(self, table: str, label: str | None) -> None:
        """Counts one event; of a task without a label, none."""
        if label is not None:
            counts = self._counts.setdefault(table, {})
            counts[label] = counts.get(label, 0.0) + 1.0

    def take(self) -> dict[str, dict[str, float]]:
        """What has happened: by table, and in it by label."""
        counts, self._counts = self._counts, {}
        return counts
