"""The session's per-label table, bounded in number, for the infos of an environment."""

import functools
from typing import TYPE_CHECKING

from curricle.metrics import PREFIX

if TYPE_CHECKING:
    from curricle.curriculum import Curriculum

TABLES = ("lp_scores", "completion_counts", "samples", "rewards", "evictions")


class LabelMetrics:
    """Gives the per-label table at every n-th finished episode, and nothing otherwise.

    Args:
        curriculum: whose metrics these are.
        every: n, at least 1; None for never.
        enabled: False for never, whatever ``every`` says.
        max_labels: the labels with the most samples come first and the rest is left out; >= 1.

    Raises:
        ValueError: a number below 1.
    """

    def __init__(
        self, curriculum: "Curriculum", every: int | None, enabled: bool, max_labels: int
    ) -> None:
        if every is not None and every < 1:
            raise ValueError(f"metrics_every={every}: must be at least 1, or None for never")
        if max_labels < 1:
            raise ValueError(
                f"max_metric_labels={max_labels}: must be at least 1; "
                "per_label_metrics=False turns the metrics off"
            )
        self._curriculum = curriculum
        self._every = every if enabled else None
        self._max_labels = max_labels
        self._episodes = 0

    def after_episode(self) -> dict[str, float]:
        """Counts one episode; the bounded table if it is an n-th one, otherwise empty."""
        if self._every is None:
            return {}
        self._episodes += 1
        if self._episodes % self._every:
            return {}
        return self._table()

    def _table(self) -> dict[str, float]:
        totals = self._curriculum.label_totals()
        labels = list(totals)
        if len(labels) > self._max_labels:
            labels.sort(key=lambda label: (-totals[label]["scheduled"], label))
            del labels[self._max_labels :]
        table: dict[str, float] = {}
        for label in labels:
            counts = totals[label]
            completions = counts["completions"]
            lp_scores, completion_counts, samples, rewards, evictions = label_keys(label)
            table[lp_scores] = counts["lp_mean"]
            table[completion_counts] = float(completions)
            table[samples] = float(counts["scheduled"])
            table[rewards] = counts["score_sum"] / completions if completions else 0.0
            table[evictions] = float(counts["evicted"])
        return table


# Building these strings anew would cost more than all the values.
@functools.lru_cache(maxsize=1024)
def label_keys(label: str) -> list[str]:
    """The keys of a label, one for each of ``TABLES``."""
    return [f"{PREFIX}per_label_{table}/{label}" for table in TABLES]
