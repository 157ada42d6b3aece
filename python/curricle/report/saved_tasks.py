"""Tasks and labels of a session as its latest checkpoint has them."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curricle._core import checkpoint_columns
from curricle.compat.conversion import open_checkpoint
from curricle.errors import CheckpointError


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
    """Whether a file is a checkpoint of a session, or may be one and cannot be read."""
    try:
        return checkpoint_columns(file) is not None
    except CheckpointError:
        return True


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
    backend = open_checkpoint(path)
    return SavedSession(
        backend.snapshot(), backend.labels(), backend.label_totals(), backend.totals()
    )
