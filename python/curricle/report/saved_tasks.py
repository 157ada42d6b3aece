"""Tasks and labels of a session as its latest checkpoint has them."""

import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curricle.compat.conversion import open_checkpoint
from curricle.errors import CheckpointError

_MAGIC = b"CURRICKP"
# Words before the names of the columns: magic, version, size, capacity, number of columns.
_HEAD = struct.Struct("<5Q")
_NAME_BYTES = 32
_MAX_COLUMNS = 8


@dataclass(frozen=True, slots=True)
class SavedSession:
    """What a checkpoint has.

    Attributes:
        tasks: records of the live tasks, shape (n,), as `TaskTracker.snapshot` gives them.
        labels: text of each label by the records' ``label``; ``None`` where there is none.
        label_totals: totals by label, as `TaskTracker.label_totals` gives them.
        totals: totals of the session.
    """

    tasks: NDArray[Any]
    labels: list[str | None]
    label_totals: Mapping[str, Mapping[str, float]]
    totals: Mapping[str, float]


def is_checkpoint(file: Path) -> bool:
    """Whether a file begins as a checkpoint of a session does."""
    try:
        with file.open("rb") as content:
            return content.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def read_tasks(path: Path) -> SavedSession:
    """Reads a checkpoint of a session, or of a training run (``.npz``).

    Raises:
        CheckpointError: the file is damaged, or of another version.
    """
    if path.suffix != ".npz":
        return _read(path)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            session = arrays["session"].tobytes()
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    with TemporaryDirectory(prefix="curricle-report-") as scratch:
        inner = Path(scratch, "session")
        inner.write_bytes(session)
        return _read(inner)


def _read(path: Path) -> SavedSession:
    backend = open_checkpoint(path, _columns(path))
    return SavedSession(
        backend.snapshot(), backend.labels(), backend.label_totals(), backend.totals()
    )


def _columns(path: Path) -> tuple[str, ...]:
    """Columns of an algorithm's own, without which the core does not load the file."""
    with path.open("rb") as file:
        head = file.read(_HEAD.size)
        count = _HEAD.unpack(head)[4] if len(head) == _HEAD.size else 0
        names = [file.read(_NAME_BYTES) for _ in range(min(count, _MAX_COLUMNS))]
    return tuple(name.rstrip(b"\0").decode("utf-8", "replace") for name in names)
