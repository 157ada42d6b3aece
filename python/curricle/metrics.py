"""Tables of a session as flat metrics."""

from __future__ import annotations

from curricle.tracker import TaskTracker

PREFIX = "env_curriculum/"


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
    for label, counts in tracker.label_totals().items():
        completions = counts["completions"]
        mean_score = counts["score_sum"] / completions if completions else 0.0
        table[f"per_label_lp_scores/{label}"] = counts["lp_mean"]
        table[f"per_label_completion_counts/{label}"] = completions
        table[f"per_label_samples/{label}"] = counts["scheduled"]
        table[f"per_label_rewards/{label}"] = mean_score
        table[f"per_label_evictions/{label}"] = counts["evicted"]
    return {PREFIX + name: float(value) for name, value in table.items()}
