"""Metrics as lines of a file: JSON Lines, and CSV."""

from __future__ import annotations

import csv
import json
import os
import time
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TextIO

from curricle.loggers.base import MAX_LABELS, CurriculumLogger

if TYPE_CHECKING:
    from curricle.curriculum import Curriculum
    from curricle.tracker import TaskTracker


_HEAD = ("step", "time", "metric", "value")
# Bytes that are looked through at once for the end of a line.
_PIECE = 1 << 16


class FileLogger(CurriculumLogger):
    """Appends lines to a text file at every `log`.

    They have left the process when `log` returns, so that a crash of it loses none.

    Args:
        source: a curriculum, or a tracker, of the session.
        path: the file; a run that goes on appends to it. A last line that a crash cut off goes.
        max_labels: labels with metrics of their own, >= 1.

    Raises:
        OSError: the file cannot be opened.
    """

    _BEGINS: ClassVar[bytes]

    def __init__(
        self,
        source: Curriculum | TaskTracker,
        path: str | os.PathLike[str],
        *,
        max_labels: int = MAX_LABELS,
    ) -> None:
        super().__init__(source, max_labels=max_labels)
        _drop_unfinished(Path(path), self._BEGINS)
        self._file = Path(path).open("a", encoding="utf-8", newline="")  # noqa: SIM115  for its life

    def _write(self, step: int, metrics: Mapping[str, float]) -> None:
        self._write_lines(self._file, step, time.time(), metrics)
        self._file.flush()

    @abstractmethod
    def _write_lines(
        self, file: TextIO, step: int, now: float, metrics: Mapping[str, float]
    ) -> None:
        """Writes the metrics of one `log`; ``now`` is in seconds since the epoch."""

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _drop_unfinished(path: Path, begins: bytes) -> None:
    """Cuts off what stands after the last end of a line, in a file that begins as a log does."""
    try:
        with path.open("r+b") as file:
            content = file.read(len(begins))
            if not content or content != begins[: len(content)]:
                return
            end = kept = file.seek(0, os.SEEK_END)
            while kept > 0:
                start = max(0, kept - _PIECE)
                file.seek(start)
                at = file.read(kept - start).rfind(b"\n")
                kept = start if at < 0 else start + at + 1
                if at >= 0:
                    break
            if kept < end:
                file.truncate(kept)
    except FileNotFoundError:
        pass


class JsonlLogger(FileLogger):
    """Appends a line of JSON at every `log`: ``step``, ``time`` and the metrics by name.

    ``time`` is in seconds since the epoch. Arguments and errors are those of `FileLogger`.
    """

    _BEGINS = b'{"step": '

    def _write_lines(
        self, file: TextIO, step: int, now: float, metrics: Mapping[str, float]
    ) -> None:
        line = {"step": step, "time": now, **metrics}
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


class CsvLogger(FileLogger):
    """Appends a row for each metric at every `log`: step, time, metric, value.

    The time is in seconds since the epoch. Metrics are rows because labels come and go, and with
    them columns would. Arguments and errors are those of `FileLogger`.
    """

    _BEGINS = ",".join(_HEAD).encode()

    def _write_lines(
        self, file: TextIO, step: int, now: float, metrics: Mapping[str, float]
    ) -> None:
        rows = csv.writer(file, lineterminator="\n")
        if file.tell() == 0:
            rows.writerow(_HEAD)
        rows.writerows((step, now, name, value) for name, value in metrics.items())
