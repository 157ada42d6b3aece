"""Metrics for TensorBoard."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from curricle.extras import need_extra
from curricle.loggers.base import MAX_LABELS, CurriculumLogger

if TYPE_CHECKING:
    from curricle.curriculum import Curriculum
    from curricle.tracker import TaskTracker


class ScalarWriter(Protocol):
    """A ``SummaryWriter`` as PyTorch and tensorboardX have it."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> Any:
        """Writes one number."""


class TensorBoardLogger(CurriculumLogger):
    """Writes scalars for TensorBoard at every `log`.

    Args:
        source: a curriculum, or a tracker, of the session.
        writer: the trainer's own ``SummaryWriter``, which stays open, or a folder for event files.
        max_labels: labels with metrics of their own, >= 1.

    Raises:
        ModuleNotFoundError: a folder, and the extra ``tensorboard`` is missing.

    Example:
        >>> from torch.utils.tensorboard import SummaryWriter  # doctest: +SKIP
        >>> logger = TensorBoardLogger(curriculum, SummaryWriter("runs/7"))  # doctest: +SKIP
    """

    def __init__(
        self,
        source: Curriculum | TaskTracker,
        writer: ScalarWriter | str | os.PathLike[str],
        *,
        max_labels: int = MAX_LABELS,
    ) -> None:
        super().__init__(source, max_labels=max_labels)
        self._own = None
        if isinstance(writer, str | os.PathLike):
            self._own = writer = _EventFile(writer)
        self._writer: ScalarWriter = writer

    def _write(self, step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        if self._own is not None:
            self._own.flush()

    def close(self) -> None:
        """Closes the event file, if it is the logger's own."""
        if self._own is not None:
            self._own.close()


class _EventFile:
    def __init__(self, folder: str | os.PathLike[str]) -> None:
        need_extra("TensorBoardLogger with a folder", "tensorboard", "tensorboard")
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._event, self._summary = Event, Summary
        self._file = EventFileWriter(os.fspath(folder))

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        value = self._summary.Value(tag=tag, simple_value=scalar_value)
        summary = self._summary(value=[value])
        self._file.add_event(self._event(wall_time=time.time(), step=global_step, summary=summary))

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()
