"""The session's per-label table, bounded in number, for the infos of an environment."""

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from curricle.backends.label_rows import LabelRow
from curricle.metrics import put_label

if TYPE_CHECKING:
    from curricle.curriculum import Curriculum


class LabelMetrics:
    """Gives the per-label table at every n-th finished episode, and nothing otherwise.

    Args:
        curriculum: whose metrics these are.
        every: n, at least 1; None for never.
        enabled: False for never, whatever ``every`` says.
        max_labels: the labels with the most samples come first and the rest is left out; >= 1.

    Raises:
        TypeError: no integer.
        ValueError: a number below 1.
    """

    def __init__(
        self, curriculum: "Curriculum", every: int | None, enabled: bool, max_labels: int
    ) -> None:
        for name, number in (("metrics_every", every), ("max_metric_labels", max_labels)):
            if isinstance(number, bool) or not isinstance(number, int | None):
                raise TypeError(f"{name} is {number!r}; it must be an integer")
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
        self._versions: Any = None
        self._rows: dict[Hashable, LabelRow] = {}
        self._table: dict[str, float] = {}

    def after_episode(self) -> Mapping[str, float]:
        """Counts one episode; the bounded table if it is an n-th one, otherwise empty.

        The table is this object's own: the next episode changes it.
        """
        if self._every is None:
            return {}
        self._episodes += 1
        if self._episodes % self._every:
            return {}
        self._refresh()
        return self._table

    def _refresh(self) -> None:
        """Brings the table up to date: mostly a few labels have changed."""
        rows = self._rows
        self._versions, changed = self._curriculum.tracker.label_changes(self._versions)
        whole = len(rows) > self._max_labels
        for row in changed:
            known, label = rows.get(row[0]), row[1]
            if label is None:
                rows.pop(row[0], None)
                whole = True
                continue
            rows[row[0]] = row
            if known is not None and known[1] != label:
                whole = True
            put_label(self._table, row)
        if whole or len(rows) > self._max_labels:
            self._table = {}
            for row in self._chosen():
                put_label(self._table, row)

    def _chosen(self) -> list[LabelRow]:
        """The rows of the table: those with the most samples, where there are too many."""
        rows = list(self._rows.values())
        if len(rows) > self._max_labels:
            rows.sort(key=lambda row: (-row[4], row[1]))
            del rows[self._max_labels :]
        return rows
