"""What all loggers have in common."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from curricle.loggers.measures import Measures

if TYPE_CHECKING:
    from curricle.curriculum import Curriculum
    from curricle.tracker import TaskTracker

#: Labels that have metrics of their own where nothing else is said.
MAX_LABELS = 20


class CurriculumLogger(ABC):
    """Writes the metrics of a session somewhere, at every `log`.

    One process logs: the metrics are those of the whole session. It is a context manager, which
    closes what it opened itself.

    Args:
        source: a curriculum, or a tracker, of the session; any process may look.
        max_labels: labels with metrics of their own, >= 1; the others are "other" together.

    Raises:
        TypeError: ``max_labels`` is no integer.
        ValueError: ``max_labels`` below 1.
    """

    def __init__(self, source: Curriculum | TaskTracker, *, max_labels: int = MAX_LABELS) -> None:
        self._measures = Measures(source, max_labels)

    def log(self, step: int) -> dict[str, float]:
        """Writes what is there now, and what happened since the last call.

        Args:
            step: where on the time axis, an integer >= 0: environment steps, say. TensorBoard and
                Weights & Biases want one that does not fall.

        Returns:
            What was written: metrics by name, as in `docs/logging.md`.

        Raises:
            TypeError: no integer.
            ValueError: a negative step.
        """
        step = operator.index(step)
        if step < 0:
            raise ValueError(f"step={step}: must be at least 0")
        metrics = self._measures.take()
        self._write(step, metrics)
        return metrics

    @abstractmethod
    def _write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes metrics, all finite, by name."""

    def close(self) -> None:  # noqa: B027  not every logger has something to close
        """Closes what the logger opened itself."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
