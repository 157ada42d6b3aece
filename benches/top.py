"""Steps a second of a busy trainer with and without ``curricle top`` watching it.

``python -m benches.top``, some two and a half minutes. Processes draw and report flat out, or play
a Gymnasium environment that costs next to nothing: both use all that the machine has. The view runs
in a pseudo-terminal of 80x24 with a look a second; in every round there is a turn with it and one
in which it is stopped, in an order that turns around. What is said is the ratio within a round, by
the wall clock, where the view's own processor time counts if there is no core left for it, and by
the processor time of the trainer, which shows what looking does to the calls themselves.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import pty
import signal
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benches.idle_env import Idle
from benches.interrupts import held_interrupts
from benches.machine import describe, load
from benches.markdown import markdown_table
from benches.processor_time import processor_seconds
from benches.progress import progress
from benches.timing import Figures
from curricle import Curriculum, LearningProgressConfig, Session
from curricle.looking import look_into

TASKS = 1_000
LABELS = 32
ROUNDS = 12
# Several looks a turn.
TURN_SECONDS = 3.0
EPISODE_STEPS = 10

_CONTEXT = multiprocessing.get_context("fork")
_START_SECONDS = 5.0
_PATIENCE = 30.0
_CHUNK = 100


@dataclass(frozen=True)
class Watched:
    """What one kind of trainer did, a figure a round.

    Attributes:
        load: what the trainer does.
        alone: steps a second while nobody looks; an episode of one step for each report.
        watched: steps a second beside the view.
        alone_by_work: steps a second of the trainer's processor time while nobody looks.
        watched_by_work: the same beside the view.
        view: share of a processor that the view took, in turns with it.
    """

    load: str
    alone: Figures
    watched: Figures
    alone_by_work: Figures
    watched_by_work: Figures
    view: Figures


def measure(
    rounds: int = ROUNDS, turn_seconds: float = TURN_SECONDS, processes: int | None = None
) -> list[Watched]:
    """Runs both kinds of trainers, with as many processes as there are cores."""
    number = processes or os.cpu_count() or 1
    return [
        _watched(load, body, rounds, turn_seconds, number)
        for load, body in (("draw and report", _draw_and_report), ("Gymnasium loop", _play))
    ]


def _watched(
    load: str,
    body: Callable[[Curriculum, Any], None],
    rounds: int,
    turn_seconds: float,
    processes: int,
) -> Watched:
    name = f"curricle-bench-{os.getpid()}"
    tasks = [{"label": f"label {number % LABELS}"} for number in range(TASKS)]
    found: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    shares: list[float] = []
    with (
        Curriculum(tasks, LearningProgressConfig(), session=name, seed=0) as curriculum,
        _trainer(curriculum, body, processes) as trainer,
        _view(name) as view,
    ):
        look = look_into(name)
        for number in progress(range(rounds), load):
            for watched in (False, True) if number % 2 else (True, False):
                os.kill(view, signal.SIGCONT if watched else signal.SIGSTOP)
                steps, seconds, work, own = _turn(look, trainer, view, turn_seconds)
                found[watched].append((steps / seconds, steps / work))
                if watched:
                    shares.append(own / seconds)
        look.close()
    figures = [
        Figures([row[at] for row in found[watched]]) for at in (0, 1) for watched in (False, True)
    ]
    return Watched(load, *figures, Figures(shares))


def _turn(
    look: Session, trainer: Sequence[int], view: int, seconds: float
) -> tuple[float, float, float, float]:
    """Steps, seconds, and seconds of processor time of the trainer and of the view."""

    def now() -> tuple[float, float, float, float]:
        steps = look.totals()["env_steps"]
        return steps, time.perf_counter(), processor_seconds(trainer), processor_seconds([view])

    before = now()
    time.sleep(seconds)
    after = now()
    steps, wall, work, own = (b - a for a, b in zip(before, after, strict=True))
    return steps, wall, work, own


@contextmanager
def _trainer(
    curriculum: Curriculum, body: Callable[[Curriculum, Any], None], processes: int
) -> Iterator[list[int]]:
    """Processes that do nothing else; their ids."""
    stop = _CONTEXT.RawValue("b", 0)
    workers = [
        _CONTEXT.Process(target=body, args=(curriculum, stop), daemon=True)
        for _ in range(processes)
    ]
    try:
        with held_interrupts():
            for worker in workers:
                worker.start()
        yield [worker.pid for worker in workers if worker.pid is not None]
    finally:
        stop.value = 1
        for worker in workers:
            worker.join(_PATIENCE)


def _draw_and_report(curriculum: Curriculum, stop: Any) -> None:
    while not stop.value:
        for _ in range(_CHUNK):
            curriculum.report(curriculum.draw().ticket, 0.5, 1)


def _play(curriculum: Curriculum, stop: Any) -> None:
    env = curriculum.wrap(Idle(EPISODE_STEPS))
    while not stop.value:
        env.reset()
        for _ in range(EPISODE_STEPS):
            env.step(0)


@contextmanager
def _view(name: str) -> Iterator[int]:
    """``curricle top`` in a pseudo-terminal, started and shown; its process id."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, "-m", "curricle.cli", "top", name])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    shown = threading.Event()
    reader = threading.Thread(target=_read_all, args=(terminal, name.encode(), shown))
    reader.start()
    try:
        if not shown.wait(_PATIENCE):
            raise TimeoutError(f"curricle top showed nothing within {_PATIENCE:.0f} s")
        time.sleep(_START_SECONDS)
        yield pid
    finally:
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        reader.join(_PATIENCE)
        os.close(terminal)


def _read_all(terminal: int, expected: bytes, shown: threading.Event) -> None:
    """Takes what a terminal would show, until there is nobody who writes."""
    seen = b""
    try:
        while written := os.read(terminal, 65_536):
            if not shown.is_set():
                seen += written
                if expected in seen:
                    shown.set()
    except OSError:
        # That is how a pseudo-terminal ends.
        return


def table(found: Sequence[Watched]) -> str:
    """The figures in Markdown."""
    header = ["trainer", "steps/s alone", "with top", "ratio", "by processor time", "top's share"]
    rows = []
    for row in found:
        ratios = (row.watched.over(row.alone), row.watched_by_work.over(row.alone_by_work))
        said = [
            f"{over.median:.3f} ({over.interval[0]:.3f} to {over.interval[1]:.3f})"
            for over in ratios
        ]
        speeds = [f"{row.alone.median:,.0f}", f"{row.watched.median:,.0f}"]
        rows.append([row.load, *speeds, *said, f"{row.view.median:.1%} of a core"])
    return markdown_table(header, rows)


if __name__ == "__main__":
    print("\n".join([*describe(), f"load {load()}", ""]))
    print(table(measure()))
