"""Tables of a session as flat metrics."""

from __future__ import annotations

import functools

from curricle.backends.label_rows import LabelRow
from curricle.tracker import TaskTracker

PREFIX = "env_curriculum/"
LABEL_TABLES = ("lp_scores", "completion_counts", "samples", "rewards", "evictions")


def session_metrics(tracker: TaskTracker) -> dict[str, float]:
    """Counts of the whole session and of each label; every value is a Python float.

    ``num_completed``, ``num_scheduled`` and ``mean_score`` are over the lifetime of the session,
    ``mean_lp`` and ``per_label_lp_scores`` over the live tasks.
    """
    totals = tracker.totals()
    completions = totals["completions"]
    table = {
        "num_tasks": totals["tasks"],
        "num_completed": completions,
        "num_scheduled": totals["scheduled"],
        "num_created": totals["created"],
        "num_evicted": totals["evicted"],
        "mean_score": totals["score_sum"] / completions if completions else 0.0,
        "mean_lp": totals["lp_mean"],
        "late_reports": totals["late_reports"],
    }
    metrics = {PREFIX + name: float(value) for name, value in table.items()}
    for row in tracker.label_changes()[1]:
        put_label(metrics, row)
    return metrics


def put_label(metrics: dict[str, float], row: LabelRow) -> None:
    """Sets the metrics of a label that is there."""
    _, label, lp_mean, completions, samples, mean_score, evictions = row
    if label is not None:
        lp_scores, counts, drawn, rewards, evicted = _label_keys(label)
        metrics[lp_scores] = lp_mean
        metrics[counts] = completions
        metrics[drawn] = samples
        metrics[rewards] = mean_score
        metrics[evicted] = evictions


# Building these strings anew would cost more than all the values.
@functools.lru_cache(maxsize=1024)
def _label_keys(label: str) -> list[str]:
    return [f"{PREFIX}per_label_{table}/{label}" for table in LABEL_TABLES]
