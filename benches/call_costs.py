"""Runs ``benches/test_calls.py`` under pytest-benchmark and keeps what it measured."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"test_\w+\[(?:(?P<tasks>\d+) tasks-)?(?P<call>.*)\]")


@dataclass(frozen=True)
class CallFigures:
    """Seconds of a call, a task where it handles many.

    Attributes:
        group: what it is compared with.
        call: its name.
        tasks: number of tasks in the session, None where it does not matter.
        least: of the rounds.
        median: of the rounds.
        spread: interquartile range of the rounds.
    """

    group: str
    call: str
    tasks: int | None
    least: float
    median: float
    spread: float


def measure(seconds: float = 0.5, chosen: str = "") -> list[CallFigures]:
    """The figures of calls, each measured for some time.

    Args:
        seconds: about how long each takes, besides what finds out how often to call it.
        chosen: which tests, as pytest's ``-k`` has it; all by default.

    Raises:
        CalledProcessError: a call failed; what pytest said is on the terminal.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder, "calls.json")
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-k", chosen]
        command += ["-p", "no:cacheprovider", "--benchmark-columns=min,median,iqr"]
        command += [f"--benchmark-max-time={seconds}", "--benchmark-min-time=0.001"]
        command += [f"--benchmark-json={found}", str(Path(__file__).with_name("test_calls.py"))]
        _run(command)
        rows = json.loads(found.read_text())["benchmarks"]
    figures = []
    for row in rows:
        name = _NAME.fullmatch(row["name"])
        assert name is not None, row["name"]
        handled = row["extra_info"].get("tasks_a_call", 1)
        least, median, spread = (row["stats"][key] / handled for key in ("min", "median", "iqr"))
        tasks = None if name["tasks"] is None else int(name["tasks"])
        figures.append(CallFigures(row["group"], name["call"], tasks, least, median, spread))
    return figures


def _run(command: list[str]) -> None:
    """Stopped, it stops pytest and waits, so that no session of a million tasks is left behind."""
    # A Ctrl-C of the terminal's would come a second time, and stop the stopping.
    with subprocess.Popen(command, stdout=sys.stderr, start_new_session=True) as pytest:
        try:
            code = pytest.wait()
        except KeyboardInterrupt:
            pytest.send_signal(signal.SIGINT)
            pytest.wait()
            raise
    if code:
        raise subprocess.CalledProcessError(code, command)
