"""Updates a second of two processes on different tasks, beside two that share nothing.

A task each lives under a lock of its own. Tasks at random, half of them each, share sixteen locks
and the totals under them.

``python -m benches.two_processes``. On two cores that are shared with other work, two processes do
not get twice what one gets, whatever they do; what sharing a session costs is the ratio to two
processes with a session each. One process alone, two apart and two together take turns.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np

from benches.interrupts import held_interrupts
from benches.progress import progress
from benches.timing import Figures
from curricle import Rules, Session

TASKS = 1_000
ROUNDS = 15
ROUND_SECONDS = 0.3

_CONTEXT = multiprocessing.get_context("fork")
_RULES = Rules(floor=0.1, score_range=(0.0, 1.0))
_WHERE = ("apart", "together", "one apart", "one together")
# Calls between two looks at the clock, and the time that a command has to arrive.
_CHUNK = 1_000
_LEAD_SECONDS = 0.02
_PATIENCE = 30.0


@dataclass(frozen=True)
class TwoProcesses:
    """Updates a second in all, a figure a round.

    Attributes:
        alone: of one process.
        apart: of two, each on a session of its own.
        together: of two on one session, each on any of a half of the tasks.
        one_apart: of two, each on one task of a session of its own.
        one_together: of two on one session, each on one task.
    """

    alone: Figures
    apart: Figures
    together: Figures
    one_apart: Figures
    one_together: Figures

    @property
    def over_apart(self) -> Figures:
        """Together over apart, round by round."""
        return self.together.over(self.apart)

    @property
    def one_over_apart(self) -> Figures:
        """The same with a task each."""
        return self.one_together.over(self.one_apart)

    @property
    def over_alone(self) -> Figures:
        """Together over alone, round by round."""
        return self.together.over(self.alone)


def measure(rounds: int = ROUNDS, round_seconds: float = ROUND_SECONDS) -> TwoProcesses:
    """Starts the two processes and has them update in turns."""
    name = f"curricle-bench-{os.getpid()}"
    with closing(_session(name)), _updaters(name) as pipes:
        alone: list[float] = []
        both: dict[str, list[float]] = {where: [] for where in _WHERE}
        for turn in progress(range(rounds), "two processes"):
            _updates_a_second(pipes, "together", round_seconds / 10)
            alone.append(_updates_a_second([pipes[turn % 2]], "apart", round_seconds))
            for where, found in both.items():
                found.append(_updates_a_second(pipes, where, round_seconds))
    return TwoProcesses(Figures(alone), *map(Figures, both.values()))


def _session(name: str) -> Session:
    session = Session(TASKS, _RULES, name=name)
    session.create_many(np.arange(TASKS))
    return session


@contextmanager
def _updaters(name: str) -> Iterator[list[Connection]]:
    pairs = [_CONTEXT.Pipe() for _ in range(2)]
    processes = [
        _CONTEXT.Process(target=_serve, args=(pair[1], name, number), daemon=True)
        for number, pair in enumerate(pairs)
    ]
    pipes = [pair[0] for pair in pairs]
    try:
        with held_interrupts():
            for process in processes:
                process.start()
        yield pipes
    finally:
        for pipe in pipes:
            pipe.send(None)
        for process in processes:
            process.join(_PATIENCE)


def _updates_a_second(pipes: list[Connection], where: str, seconds: float) -> float:
    begin = time.perf_counter() + _LEAD_SECONDS
    for pipe in pipes:
        pipe.send((where, begin, seconds))
    for pipe in pipes:
        if not pipe.poll(_PATIENCE):
            raise TimeoutError(f"a process said nothing within {_PATIENCE:.0f} s")
    return float(sum(pipe.recv() for pipe in pipes))


def _serve(pipe: Connection, name: str, number: int) -> None:
    """Makes updates where it is told to, on a half of the tasks, or on one, that is its own."""
    ids = np.random.default_rng(number).integers(0, TASKS // 2, 4095) + number * (TASKS // 2)
    next_id = itertools.cycle(ids.tolist()).__next__
    one_id = itertools.repeat(number).__next__
    with (
        closing(Session(TASKS, _RULES, name=name, mode="attach")) as shared,
        closing(_session(f"{name}-{number}")) as own,
    ):
        loads = zip(
            _WHERE,
            itertools.product((next_id, one_id), (own.update, shared.update)),
            strict=True,
        )
        updates = dict(loads)
        while (command := pipe.recv()) is not None:
            where, begin, seconds = command
            next_one, update = updates[where]
            calls = 0
            # The clock is the same in all processes.
            while time.perf_counter() < begin:
                pass
            # One chunk at least: a busy machine may give the whole time to others.
            while (now := time.perf_counter()) < begin + seconds or calls == 0:
                for _ in range(_CHUNK):
                    update(next_one(), 0.5)
                calls += _CHUNK
            pipe.send(calls / (now - begin))


if __name__ == "__main__":
    found = measure()
    ratios = {
        "together over alone": found.over_alone,
        "together over apart": found.over_apart,
        "a task each, together over apart": found.one_over_apart,
    }
    for what, over in ratios.items():
        low, high = over.interval
        print(f"{what}: {over.median:.2f} (95% {low:.2f} to {high:.2f})")
