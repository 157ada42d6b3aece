"""What ``cargo bench --bench tracker`` measured of the core alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_COMMAND = ["cargo", "bench", "--bench", "tracker"]
# Figures that are that much older than the newest are not of its run.
_RUN_SECONDS = 3_600.0


@dataclass(frozen=True)
class CoreCost:
    """Seconds of a call in Rust, a task where it handles many.

    Attributes:
        group: what it is compared with.
        call: its name.
        tasks: number of tasks in the session, None where it does not matter.
        median: of the samples.
        low: lower bound of the median's confidence interval, 95%.
        high: upper bound.
        measured: when, UTC.
    """

    group: str
    call: str
    tasks: int | None
    median: float
    low: float
    high: float
    measured: str


def folder() -> Path:
    """Where criterion leaves its figures."""
    return Path(os.environ.get("CARGO_TARGET_DIR", _ROOT / "target"), "criterion")


def measure() -> list[CoreCost]:
    """Runs the bench (two minutes and the build).

    Raises:
        FileNotFoundError: there is no cargo.
        CalledProcessError: the bench failed; what it said is on the terminal.
    """
    if shutil.which("cargo") is None:
        raise FileNotFoundError(f"no figures in {folder()}, and no cargo to measure them")
    print(f"no figures in {folder()}: {' '.join(_COMMAND)}", file=sys.stderr, flush=True)
    subprocess.run(_COMMAND, cwd=_ROOT, check=True, stdout=sys.stderr)
    return read(folder())


def span(costs: Sequence[CoreCost]) -> str:
    """When the first and the last were measured."""
    when = sorted(cost.measured for cost in costs)
    return f"{when[0]} to {when[-1]} UTC"


def read(folder: Path) -> list[CoreCost]:
    """The figures of the last run in a folder of criterion's, in the order of their names."""
    found = {path: path.stat().st_mtime for path in folder.glob("**/new/estimates.json")}
    newest = max(found.values(), default=0.0)
    costs = [
        _cost(path, written) for path, written in found.items() if written > newest - _RUN_SECONDS
    ]
    return sorted(costs, key=lambda cost: (cost.group, cost.call, cost.tasks or 0))


def _cost(path: Path, written: float) -> CoreCost:
    name: dict[str, Any] = json.loads(path.with_name("benchmark.json").read_text())
    median: dict[str, Any] = json.loads(path.read_text())["median"]
    # Criterion's times are nanoseconds.
    unit = 1e-9 / (name["throughput"] or {}).get("Elements", 1)
    interval = median["confidence_interval"]
    return CoreCost(
        name["group_id"],
        name["function_id"],
        None if name["value_str"] is None else int(name["value_str"]),
        median["point_estimate"] * unit,
        interval["lower_bound"] * unit,
        interval["upper_bound"] * unit,
        f"{datetime.fromtimestamp(written, UTC):%Y-%m-%d %H:%M}",
    )
