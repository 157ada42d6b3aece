"""All tasks of a session as one table in a file: CSV, Parquet, or arrays of NumPy."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from numpy.lib.format import write_array
from numpy.typing import NDArray

from curricle._core import Session
from curricle.overview import read_tasks
from curricle.replacing import replacing

Columns = dict[str, NDArray[Any]]

# Rows that are Python objects at the same time.
_ROWS = 65_536


def table_of(look: Session) -> Columns:
    """A column for each field of the records, in the order of ids.

    Returns:
        ``task_id``, ``label`` (text, ``None`` for none), the other fields, the columns of an
        algorithm's own, and ``probability`` of being drawn (NaN for a task that was evicted while
        it was read). Shape (n,) each.

    Raises:
        ValueError: a column of the algorithm's own is named "probability".
    """
    table, labels, shares = read_tasks(look)
    if "probability" in look.columns:
        raise ValueError("the session has a column of its own that is named 'probability'")
    fields = [name for name in table.dtype.names or () if name not in ("task_id", "label")]
    return {
        "task_id": table["task_id"],
        "label": labels,
        **{name: table[name] for name in fields},
        "probability": shares,
    }


def export(look: Session, path: Path, *, force: bool = False) -> tuple[int, int]:
    """Writes all tasks of a session; the file appears complete or not at all.

    Args:
        look: the session.
        path: the file; its suffix, one of `FORMATS`, says the format.
        force: replace a file that is there.

    Returns:
        The numbers of tasks and of columns.

    Raises:
        ValueError: another suffix.
        FileExistsError: the file is there, and ``force`` is not set.
        ModuleNotFoundError: Parquet, without pyarrow.
        OSError: the file cannot be written.
    """
    write = FORMATS.get(path.suffix)
    if write is None:
        raise ValueError(
            f"{path} has no suffix that says its format; take one of {', '.join(FORMATS)}"
        )
    if path.exists() and not force:
        raise FileExistsError(f"{path} is there already; --force replaces it")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent}; make it first")
    with replacing(path) as unfinished:
        columns = table_of(look)
        write(unfinished, columns)
    return len(columns["task_id"]), len(columns)


def _write_csv(path: Path, columns: Columns) -> None:
    """Floats have all the digits that they need; a task without a label has an empty one."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for start in range(0, len(columns["task_id"]), _ROWS):
            rows = slice(start, start + _ROWS)
            parts = (column[rows].tolist() for column in columns.values())
            writer.writerows(zip(*parts, strict=True))


def _write_npz(path: Path, columns: Columns) -> None:
    """Labels are text of fixed width, so that nothing has to be unpickled; "" for none."""
    labels = np.array([label or "" for label in columns["label"]], dtype=np.str_)
    # Not np.savez, which takes names of columns for its own arguments ("file").
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, column in {**columns, "label": labels}.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                write_array(member, column, allow_pickle=False)


def _write_parquet(path: Path, columns: Columns) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Parquet needs pyarrow; install it with: pip install 'curricle[parquet]'",
            name=error.name,
        ) from error
    texts = pyarrow.array(columns["label"], pyarrow.string())
    parquet.write_table(pyarrow.table({**columns, "label": texts}), path)


FORMATS: dict[str, Callable[[Path, Columns], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".npz": _write_npz,
}
