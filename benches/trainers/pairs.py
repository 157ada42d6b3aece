"""Measures trainers, each in a process of its own, in pairs of turns: with the curriculum, without.

Packages of this size change how a process treats signals, threads and its folder, so that no two
share one. Within a process both arms are there, train once, and then in turns; which one begins
alternates from pair to pair. The n-th workers of both are bound to the same core: left to itself, a
scheduler keeps one arm in a better place than the other for minutes. All are made anew now and
then, as one set of processes may lie better in memory than another.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

from benches.cores import bind_workers
from benches.processor_time import processor_seconds
from benches.progress import progress
from benches.timing import Figures
from benches.trainers.arm import WORKERS, Arm
from benches.trainers.catalogue import TRAINERS, Entry

PAIRS = 15
# Pairs with the same processes.
PAIRS_A_SET = 3
TURN_SECONDS = 1.5
# Before a turn is measured: for so long PufferLib's workers of the other arm go on at full load.
LEAD_SECONDS = 0.6
# To see that it runs.
QUICK: dict[str, Any] = {"pairs": 2, "turn_seconds": 0.05, "lead_seconds": 0.0}
ON, OFF = "on", "off"


@dataclass(frozen=True)
class TrainerCost:
    """What one trainer did, a figure a pair.

    Attributes:
        trainer: its title and version.
        workers: processes of environments.
        lines: that a user adds, as the example has them.
        episodes: that the curriculum counted.
        on: steps a second with the curriculum.
        off: steps a second without.
        on_by_work: steps a second of processor time, of workers and learner together, with it.
        off_by_work: the same without.
    """

    trainer: str
    workers: int
    lines: int
    episodes: int
    on: Figures
    off: Figures
    on_by_work: Figures
    off_by_work: Figures

    @property
    def ratio(self) -> Figures:
        """Steps a second with the curriculum over without."""
        return self.on.over(self.off)

    @property
    def processor_ratio(self) -> Figures:
        """The same of steps a second of processor time."""
        return self.on_by_work.over(self.off_by_work)


@dataclass(frozen=True)
class TrainerCosts:
    """What several trainers did.

    Attributes:
        costs: of those that could be measured.
        missing: by title those that cannot be imported, and why.
    """

    costs: list[TrainerCost]
    missing: dict[str, str]


def measure(
    failed: dict[str, str],
    names: Iterable[str] = TRAINERS,
    pairs: int = PAIRS,
    turn_seconds: float = TURN_SECONDS,
    lead_seconds: float = LEAD_SECONDS,
) -> TrainerCosts:
    """Trainer by trainer, a minute or two each; what fails is noted and the others go on.

    Args:
        failed: where errors of trainers that are installed are noted.
        names: of `TRAINERS`.
        pairs: how often both arms train, >= 1.
        turn_seconds: how long an arm trains in its turn, at least; it ends its iteration.
        lead_seconds: how long it trains before it is measured.
    """
    found = TrainerCosts([], {})
    for entry in map(TRAINERS.__getitem__, names):
        answer = _in_a_process(entry, pairs, turn_seconds, lead_seconds)
        if isinstance(answer, TrainerCost):
            found.costs.append(answer)
        elif answer.missing:
            found.missing[entry.title] = answer.why
        else:
            failed[entry.title] = answer.why
    return found


@dataclass(frozen=True)
class _Without:
    """A trainer that was not measured."""

    why: str
    missing: bool


def _in_a_process(entry: Entry, *how: Any) -> TrainerCost | _Without:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, entry, *how))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        process.join()
        return _Without(f"its process ended with exit code {process.exitcode}", missing=False)
    except BaseException:
        process.terminate()
        raise
    finally:
        process.join()


def _answer(sender: Connection, entry: Entry, *how: Any) -> None:
    """In the process of its own."""
    # A Ctrl-C is for who started it, who then terminates this one: interrupted once, it cleans up.
    os.setpgrp()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Trainers print what they do.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    # Of what PyTorch and NumPy calculate with; workers have it from here.
    os.environ["OMP_NUM_THREADS"] = "1"
    with (
        contextlib.suppress(KeyboardInterrupt),
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
    ):
        sender.send(_measured(entry, *how))


def _measured(entry: Entry, *how: Any) -> TrainerCost | _Without:
    try:
        module = entry.load()
    # Libraries of this size fail in many ways, as where one of their own is of another version.
    except Exception as error:
        return _Without(f"{type(error).__name__}: {error}", missing=True)
    try:
        return compare(entry, module, *how)
    except Exception as error:
        traceback.print_exc()
        return _Without(f"{type(error).__name__}: {error}", missing=False)


def compare(
    entry: Entry, trainer: ModuleType, pairs: int, turn_seconds: float, lead_seconds: float
) -> TrainerCost:
    """Measures in this process.

    Args:
        entry: what it is.
        trainer: its module.
        pairs: as of `measure`.
        turn_seconds: as of `measure`.
        lead_seconds: as of `measure`.

    Raises:
        ArithmeticError: a trainer does not train, or the curriculum counted no episode.
    """
    found: dict[str, list[tuple[float, float]]] = {ON: [], OFF: []}
    arms: dict[str, Arm] = {}
    with trainer.make_curriculum() as curriculum, contextlib.ExitStack() as stack:
        for pair in progress(range(pairs), entry.title):
            order = (ON, OFF) if pair % 2 else (OFF, ON)
            if pair % PAIRS_A_SET == 0:
                stack.close()
                for name in order:
                    arms[name] = trainer.Trainer(curriculum if name == ON else None)
                    stack.callback(arms[name].close)
                    _train(arms[name], 0.0)
                    bind_workers(arms[name].workers(), sorted(os.sched_getaffinity(0)))
            for name in order:
                _train(arms[name], lead_seconds)
                found[name].append(_turn(arms[name], turn_seconds))
        stack.close()
        episodes = int(curriculum.tracker.totals()["completions"])
    if not episodes:
        raise ArithmeticError("the curriculum counted no episode of the arm that has it")
    figures = [Figures([turn[at] for turn in found[name]]) for at in (0, 1) for name in (ON, OFF)]
    title = f"{entry.title} {entry.version}"
    return TrainerCost(title, WORKERS, len(entry.lines), episodes, *figures)


def _turn(arm: Arm, seconds: float) -> tuple[float, float]:
    """Steps a second, by the wall clock and by the processor time of learner and workers."""
    pids = [os.getpid(), *arm.workers()]
    used, began = processor_seconds(pids), time.perf_counter()
    steps = _train(arm, seconds)
    took = time.perf_counter() - began
    return steps / took, steps / (processor_seconds(pids) - used)


def _train(arm: Arm, seconds: float) -> int:
    """Whole iterations for so long, at least one; their steps."""
    began, steps = time.perf_counter(), 0
    while steps == 0 or time.perf_counter() < began + seconds:
        steps += arm.train().checked().steps
    return steps
