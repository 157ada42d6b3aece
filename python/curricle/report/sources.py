"""What a folder has to report of: the curve of a training run, or the log of a logger."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from curricle.report.saved_tasks import is_checkpoint
from curricle.training.checkpoint import FILE_NAME
from curricle.training.curve import CurvePoint

_HEAD_CHARACTERS = 4096
_CURVE_HEAD = ",".join(field.name for field in fields(CurvePoint))
_CSV_HEAD = "step,time,metric,value"

Kind = Literal["curve", "jsonl", "csv"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a report's content is.

    Attributes:
        kind: of the file that holds the history.
        history: that file.
        checkpoint: the latest one beside it, ``None`` if there is none.
        settings: content of the ``settings.json`` beside it; empty if there is none.
        summary: content of the ``summary.json`` of a training run that has ended; else empty.
    """

    kind: Kind
    history: Path
    checkpoint: Path | None
    settings: dict[str, Any]
    summary: dict[str, Any]


def find_source(path: Path) -> Source:
    """Looks for the one run in a folder, or takes a file of it that holds a history.

    Raises:
        FileNotFoundError: there is no such folder or file.
        ValueError: no run, or more than one; the message names them.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if path.is_file():
        kind = _kind(path)
        if kind is None:
            raise ValueError(
                f"{path} is no log of a run: give one that a JsonlLogger or a CsvLogger wrote, "
                "or the folder of a run"
            )
        return _source(kind, path)
    found = _histories(path)
    if len(found) > 1:
        raise ValueError(
            f"{path} holds several runs: {_names(list(found))}; give one of these files"
        )
    if not found:
        raise ValueError(_why_nothing(path))
    ((history, kind),) = found.items()
    return _source(kind, history)


def _source(kind: Kind, history: Path) -> Source:
    folder = history.parent
    return Source(
        kind,
        history,
        _latest_checkpoint(folder, kind),
        _json_object(folder / "settings.json"),
        _json_object(folder / "summary.json") if kind == "curve" else {},
    )


def _histories(folder: Path) -> dict[Path, Kind]:
    logs = (file for file in sorted(folder.iterdir()) if file.suffix in (".csv", ".jsonl"))
    kinds = {file: _kind(file) for file in logs if file.is_file()}
    return {file: kind for file, kind in kinds.items() if kind is not None}


def _kind(file: Path) -> Kind | None:
    with file.open(encoding="utf-8", errors="replace") as content:
        head = content.read(_HEAD_CHARACTERS)
    first = head.partition("\n")[0].rstrip("\r")
    if first == _CURVE_HEAD:
        return "curve"
    if first == _CSV_HEAD:
        return "csv"
    return "jsonl" if '"curriculum/' in head else None


def _why_nothing(folder: Path) -> str:
    if not any(folder.iterdir()):
        return f"{folder} is empty"
    logs = [file for file in sorted(folder.iterdir()) if file.suffix in (".csv", ".jsonl")]
    settings = _json_object(folder / "settings.json")
    if {"engine", "curriculum"} <= settings.keys():
        return f"the run in {folder} has no point of its curve yet; try again a little later"
    below = [inner for inner in sorted(folder.iterdir()) if inner.is_dir() and _histories(inner)]
    if below:
        several = "several runs" if len(below) > 1 else "a run"
        return f"{folder} is no run, but holds {several}: {_names(below)}; give one folder"
    empty = [file for file in logs if file.stat().st_size == 0]
    if empty:
        return f"nothing was logged to {empty[0]} yet; try again after the first log"
    return (
        f"{folder} is no run: there is neither the curve.csv of `curricle train` nor a log that a "
        "JsonlLogger (*.jsonl) or a CsvLogger (*.csv) wrote"
    )


def _names(files: Sequence[Path], limit: int = 10) -> str:
    more = f" and {len(files) - limit} more" if len(files) > limit else ""
    return ", ".join(str(file) for file in files[:limit]) + more


def _latest_checkpoint(folder: Path, kind: Kind) -> Path | None:
    if kind == "curve":
        own = folder / FILE_NAME
        return own if own.exists() else None
    saved = [file for file in folder.iterdir() if file.is_file() and is_checkpoint(file)]
    return max(saved, key=lambda file: file.stat().st_mtime_ns, default=None)


def _json_object(file: Path) -> dict[str, Any]:
    """What a JSON file says; empty if there is none, or something else in it."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
