"""Writes the report: one file with all that it needs."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import DictLoader, Environment, StrictUndefined, select_autoescape

from curricle import _core
from curricle.errors import CheckpointError
from curricle.literal import literal
from curricle.replacing import replacing
from curricle.report import palette
from curricle.report.figures import Points, draw_pictures
from curricle.report.history import History, history_of_curve, history_of_log
from curricle.report.log_files import read_log
from curricle.report.saved_tasks import SavedSession, read_tasks
from curricle.report.sources import Source, find_source
from curricle.report.tables import label_table, task_table
from curricle.report.text import number
from curricle.training.curve import CurvePoint, read_curve

_GENERATOR = "curricle report"
_MARK = f'<meta name="generator" content="{_GENERATOR}">'
_MARK_WITHIN = 1024
_MOST_SETTINGS = 300


@dataclass(frozen=True, slots=True)
class Written:
    """What was written.

    Attributes:
        path: of the report.
        size: of the file, in bytes.
        notes: what the report leaves out, and why.
    """

    path: Path
    size: int
    notes: list[str]


def write_report(source: Path, out: Path | None = None) -> Written:
    """Writes one HTML file about a run, which needs no other file and no network.

    Args:
        source: the folder of a run of ``curricle train``, one to which a `JsonlLogger` or a
            `CsvLogger` wrote, or such a log itself. Labels and tasks are those of the latest
            checkpoint of the session in that folder, if there is one.
        out: the file; ``None`` makes it ``report.html`` beside the run's files. An earlier report
            is replaced, any other file is not.

    Raises:
        FileNotFoundError: there is no such folder.
        FileExistsError: ``out`` is there and is no report.
        ValueError: no run, several runs, or a line of a log that no logger writes.
    """
    found = find_source(source)
    out = found.history.with_name("report.html") if out is None else out
    _check_target(out)
    notes: list[str] = []
    text = _render(found, notes)
    with replacing(out) as unfinished:
        unfinished.write_text(text, encoding="utf-8", newline="\n")
    return Written(out, out.stat().st_size, notes)


def _check_target(out: Path) -> None:
    if not out.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {out.parent} to write {out.name} to")
    if not out.exists():
        return
    if out.is_dir():
        raise IsADirectoryError(f"{out} is a folder; give --out a file in it")
    with out.open("rb") as file:
        if _MARK.encode() not in file.read(_MARK_WITHIN):
            raise FileExistsError(
                f"{out} is there and is no report of curricle; give another --out, or remove it"
            )


def _render(source: Source, notes: list[str]) -> str:
    points: list[CurvePoint] = []
    if source.kind == "curve":
        points = read_curve(source.history)
        if not points:
            raise ValueError(f"{source.history} has no point yet; try again a little later")
        history = history_of_curve(points)
    else:
        history = history_of_log(read_log(source.history, source.kind))
    saved = _saved(source, notes)
    last = [point for point in points if point.env_steps == points[-1].env_steps]
    tables = [label_table(history, saved, last), task_table(saved) if saved else None]
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            generator=_GENERATOR,
            version=_core.__version__,
            name=literal(source.history.resolve().parent.name),
            history_file=literal(source.history.name),
            checkpoint_file=literal(source.checkpoint.name)
            if saved and source.checkpoint
            else None,
            notes=[literal(note) for note in notes],
            facts=_facts(history, saved, source.summary),
            pictures=draw_pictures(history, _points(history, saved)),
            settings=[(literal(name), literal(value)) for name, value in _settings(source)],
            tables=[table for table in tables if table is not None],
            palette=palette,
            style=_template("page.css"),
            script=_template("page.js"),
            script_hash=_hash(_template("page.js")),
        )
    )


def _saved(source: Source, notes: list[str]) -> SavedSession | None:
    if source.checkpoint is None:
        return None
    try:
        return read_tasks(source.checkpoint)
    except CheckpointError as error:
        notes.append(f"Tasks are left out: {error}")
        return None


def _points(history: History, saved: SavedSession | None) -> Points | None:
    if saved is not None:
        tried = saved.tasks[saved.tasks["completion_count"] > 0]
        return Points("task", tried["reward_ema"], tried["lp_score"])
    latest = [
        (one.score[known][-1], one.lp[known][-1])
        for one in history.labels.values()
        if (known := ~(np.isnan(one.score) | np.isnan(one.lp))).any()
    ]
    if not latest:
        return None
    return Points("label", *np.array(latest).T)


def _facts(
    history: History, saved: SavedSession | None, summary: Mapping[str, Any]
) -> list[tuple[str, str]]:
    facts: list[tuple[str, float | None]] = [
        (history.unit, float(history.steps[-1])),
        ("episodes", history.episodes),
        ("draws", history.draws),
        ("labels", len(saved.label_totals if saved else history.labels)),
        ("tasks in the pool", len(saved.tasks) if saved else None),
        ("evictions", saved.totals["evicted"] if saved else float(history.evictions.sum())),
        ("score at the end", _last(history.score)),
        ("success at the end", _last(history.success)),
        ("steps a second", summary.get("steps_per_second")),
    ]
    return [(name, number(value)) for name, value in facts if isinstance(value, int | float)]


def _last(series: Any) -> float | None:
    known = series[~np.isnan(series)]
    return float(known[-1]) if len(known) else None


def _settings(source: Source) -> list[tuple[str, str]]:
    versions = source.summary.get("versions")
    content = source.settings | ({"versions": versions} if versions else {})
    flat = list(_flat(content, ""))
    if len(flat) > _MOST_SETTINGS:
        left = len(flat) - _MOST_SETTINGS
        flat = [*flat[:_MOST_SETTINGS], ("…", f"{left} more in settings.json")]
    return flat


def _flat(content: Mapping[str, Any], before: str) -> Iterator[tuple[str, str]]:
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", "-" if value is None else str(value)


def _environment() -> Environment:
    environment = Environment(
        loader=DictLoader({"page.html.j2": _template("page.html.j2")}),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {
        "allow_nan": False,
        "ensure_ascii": False,
        "separators": (",", ":"),
    }
    environment.filters["colour_name"] = lambda colour: palette.NAMES[colour]
    environment.filters["number"] = number
    return environment


def _template(name: str) -> str:
    return files("curricle.report").joinpath("templates", name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """What the page's own rules let run: this script and no other."""
    return "sha256-" + b64encode(hashlib.sha256(script.encode()).digest()).decode()
