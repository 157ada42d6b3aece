"""What a table says of one label at a time."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

LabelRow = tuple[Hashable, str | None, float, float, float, float, float]
"""What the backend knows the label by, and its text (``None`` for a label that is gone); the mean
LP of its live tasks; completions, draws, the mean score and evictions of its whole life."""


def label_row(label: str, counts: Mapping[str, float]) -> LabelRow:
    """The row of a label from its totals; a mean over nothing is 0."""
    completions = counts["completions"]
    mean_score = counts["score_sum"] / completions if completions else 0.0
    return (
        label,
        label,
        float(counts["lp_mean"]),
        float(completions),
        float(counts["scheduled"]),
        float(mean_score),
        float(counts["evicted"]),
    )


def gone_row(label: str) -> LabelRow:
    """The row of a label that is gone."""
    return (label, None, 0.0, 0.0, 0.0, 0.0, 0.0)
