"""Reads the logs that `JsonlLogger` and `CsvLogger` write."""

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What one call of a logger wrote: metrics by name, at a step."""

    step: int
    metrics: Mapping[str, float]


def read_log(path: Path, kind: Literal["jsonl", "csv"]) -> list[LogEntry]:
    """The entries of a log, by rising steps.

    A run that went on from a checkpoint plays the steps after it again: what was logged of them
    before is left out. So is a last line without an end, which is still being written.

    Raises:
        ValueError: a line that no logger writes, named by file and line; or no entry at all.
    """
    parse = _jsonl_entries if kind == "jsonl" else _csv_entries
    kept: list[LogEntry] = []
    with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        for entry in parse(path, _whole_lines(file)):
            while kept and kept[-1].step >= entry.step:
                kept.pop()
            kept.append(entry)
    if not kept:
        raise ValueError(f"{path} has no entry yet")
    return kept


def _whole_lines(file: Iterable[str]) -> Iterator[str]:
    return (line for line in file if line.endswith("\n"))


def _jsonl_entries(path: Path, lines: Iterable[str]) -> Iterator[LogEntry]:
    for number, line in enumerate(lines, start=1):
        try:
            content = json.loads(line)
            if not isinstance(content, dict):
                raise ValueError("it is no JSON object")
            step = _step(content.pop("step", None))
            content.pop("time", None)
            metrics = {name: _finite(value) for name, value in content.items()}
        except (ValueError, OverflowError) as error:
            raise _broken(path, number, error) from error
        yield LogEntry(step, metrics)


def _csv_entries(path: Path, lines: Iterable[str]) -> Iterator[LogEntry]:
    rows = csv.reader(lines)
    call, step, metrics = ("", ""), 0, dict[str, float]()
    try:
        next(rows, None)
        for row in rows:
            if len(row) != 4:
                raise ValueError(f"it has {len(row)} columns, not 4")
            if (row[0], row[1]) != call:
                if metrics:
                    yield LogEntry(step, metrics)
                call, step, metrics = (row[0], row[1]), _step(int(row[0])), {}
            metrics[row[2]] = _finite(float(row[3]))
    except (ValueError, csv.Error) as error:
        raise _broken(path, rows.line_num, error) from error
    if metrics:
        yield LogEntry(step, metrics)


def _step(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ValueError(f"step is {value!r}, not an integer from 0 to 2**63 - 1")
    return value


def _finite(value: object) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    return float(value)


def _broken(path: Path, number: int, error: Exception) -> ValueError:
    return ValueError(f"{path}, line {number}, is no line of a log: {error}; mend or remove it")
