"""Stable-Baselines3: the session's metrics in the trainer's own logs.

Nothing else is needed: its vector environments reset inside the worker, where `CurriculumEnv` draws
the next task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from curricle.extras import need_extra
from curricle.loggers.base import MAX_LABELS, CurriculumLogger

need_extra("curricle.integrations.sb3", "sb3", "stable_baselines3", "stable-baselines3")

from stable_baselines3.common.callbacks import BaseCallback  # noqa: E402  after the check
from stable_baselines3.common.logger import KVWriter, Logger  # noqa: E402

if TYPE_CHECKING:
    from curricle.curriculum import Curriculum
    from curricle.tracker import TaskTracker


class CurriculumCallback(BaseCallback):  # type: ignore[misc]
    """Adds the metrics of the session to each row that the trainer logs.

    The names are those of `docs/logging.md`. On the terminal only those of the whole session are
    shown; all of them go to the CSV file, the JSON file and TensorBoard.

    Args:
        source: a curriculum, or a tracker, of the session.
        max_labels: labels with metrics of their own, >= 1; the others are "other" together.

    Raises:
        ModuleNotFoundError: on import of the module, if stable-baselines3 is missing.
        TypeError: ``max_labels`` is no integer.
        ValueError: ``max_labels`` below 1.

    Example:
        >>> model.learn(100_000, callback=CurriculumCallback(curriculum))  # doctest: +SKIP
    """

    def __init__(self, source: Curriculum | TaskTracker, *, max_labels: int = MAX_LABELS) -> None:
        super().__init__()
        self._recorder = _Recorder(source, max_labels=max_labels)

    def _on_training_start(self) -> None:
        self._recorder.attach(self.logger)

    def _on_training_end(self) -> None:
        self._recorder.detach()

    def _on_step(self) -> bool:
        return True


class _Recorder(CurriculumLogger, KVWriter):  # type: ignore[misc]
    """Stands before the trainer's writers and completes each row as it is written.

    So the metrics cover what happened since the last row. No event of a callback would do: the
    end of a rollout comes at every step in some algorithms, and a row only after episodes.
    """

    _logger: Logger | None = None

    def attach(self, logger: Logger) -> None:
        """Takes its place in a logger, once, also after training that ended in an error."""
        self.detach()
        self._logger = logger
        logger.output_formats.insert(0, self)

    def detach(self) -> None:
        """Gives its place back."""
        if self._logger is not None and self in self._logger.output_formats:
            self._logger.output_formats.remove(self)
        self._logger = None

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0
    ) -> None:
        """Adds to the row that the logger is about to write."""
        self.log(step)

    def _write(self, step: int, metrics: Mapping[str, float]) -> None:
        assert self._logger is not None
        for name, value in metrics.items():
            # A terminal shows 36 characters of a name, and two that are cut alike are an error.
            of_label = not name.startswith("curriculum/")
            exclude = ("stdout", "log") if of_label else None
            self._logger.record(name, value, exclude=exclude)
