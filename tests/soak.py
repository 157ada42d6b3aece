"""A long mixed load from processes that come and go, with an exact account at its end.

    python tests/soak.py --minutes 10

Every process updates, draws, reports, creates, evicts, relabels, reads and saves, ends after a
while and is replaced. At the end the records must agree with what the processes say they did, and
memory, descriptors and recoveries must not have grown. Exits with 1 where something is wrong.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from accounts import Account, Played, of_totals, recorded, summed
from curricle import list_sessions
from curricle.backends import SharedMemoryBackend
from curricle.config import LearningProgressConfig
from curricle.tracker import TaskTracker
from soak_workers import MAX_LABELS, MOST_OWN, PERMANENT, Report, first_label, kind_of, work

START_METHODS = {"fork": 0.9, "forkserver": 0.05, "spawn": 0.05}
"""Share of each among the workers; the latter two import everything anew."""
SHORTEST, LONGEST = 100, 1000
"""Turns of a worker's life."""
GROWTH_KIB = 4096
"""Private memory that the supervising process may gain after the warm-up."""


def descriptors() -> int:
    """Open file descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


class Sample(NamedTuple):
    """The supervising process and the session at one moment."""

    seconds: float
    workers: int
    completions: int
    private_kib: int
    descriptors: int
    file_bytes: int
    file_blocks: int
    recoveries: int
    lock_waits: int


class Soak:
    """A session, its workers and what they reported.

    Args:
        processes: number of workers at any time.
        seed: of what the workers do.
        folder: for checkpoints.
    """

    def __init__(self, processes: int, seed: int, folder: str) -> None:
        self.name = f"soak-{secrets.token_hex(8)}"
        self.processes = processes
        self.seed = seed
        self.folder = folder
        self.rng = np.random.default_rng(seed)
        backend = SharedMemoryBackend(
            PERMANENT + processes * MOST_OWN,
            self.name,
            rules=LearningProgressConfig(score_range=(0.0, 1.0)).rules(),
            seed=seed,
            max_labels=MAX_LABELS,
            max_inactive_labels=4,
        )
        self.tracker = TaskTracker(backend=backend)
        for task_id in range(PERMANENT):
            self.tracker.track_task_creation(task_id, label=first_label(task_id))
        self.books = Books()
        self.running: dict[Connection, BaseProcess] = {}
        self.inherited: list[list[int]] = []
        self.started = 0
        self.start = time.monotonic()

    def run(self, seconds: float, every: float, console: Console) -> list[Sample]:
        """The load; a sample before it, one about ``every`` seconds, and one at its end."""
        samples = [self.sample()]
        while (elapsed := time.monotonic() - self.start) < seconds:
            while len(self.running) < self.processes:
                self._start_one()
            if elapsed - samples[-1].seconds >= every or len(samples) == 1:
                samples.append(self.sample())
                console.print(_line(samples[-1]), highlight=False)
            self._collect(timeout=1.0)
        samples.append(self.sample())
        while self.running:
            self._collect(timeout=None)
        return samples

    def sample(self) -> Sample:
        totals = self.tracker.totals()
        file = os.stat(next(s["path"] for s in list_sessions() if s["name"] == self.name))
        with open("/proc/self/status") as status:
            private = next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))
        return Sample(
            time.monotonic() - self.start,
            self.started,
            int(totals["completions"]),
            private,
            descriptors(),
            file.st_size,
            file.st_blocks,
            int(totals["recoveries"]),
            int(totals["lock_waits"]),
        )

    def _start_one(self) -> None:
        self.started += 1
        method = str(self.rng.choice(list(START_METHODS), p=list(START_METHODS.values())))
        context = multiprocessing.get_context(method)
        receiving, sending = context.Pipe(duplex=False)
        own = self.inherited.pop() if self.inherited else []
        turns = int(self.rng.integers(SHORTEST, LONGEST))
        arguments = (self.tracker, self.started, self.seed, turns, own, self.folder, sending)
        # Daemons end with this process if it gives up.
        process = context.Process(  # type: ignore[attr-defined]
            target=work, args=arguments, daemon=True
        )
        process.start()
        sending.close()
        self.running[receiving] = process

    def _collect(self, timeout: float | None) -> None:
        for ready in wait(list(self.running), timeout):
            assert isinstance(ready, Connection)
            process = self.running.pop(ready)
            try:
                report: Report = ready.recv()
            except EOFError:
                process.join()
                raise RuntimeError(
                    f"{process.name} ended with {process.exitcode} and without its report"
                ) from None
            process.join()
            process.close()
            ready.close()
            self.books.enter(report, set(self.tracker.get_all_tracked_tasks()))
            self.inherited.append(report.own)


class Books:
    """The reports of all workers that have ended, in memory that does not grow.

    Tasks that are gone never come back; what was done to them is kept by kind of label only.
    """

    def __init__(self) -> None:
        self.account = Account()
        self.gone: dict[str, Played] = {}
        self.created = PERMANENT
        self.evicted = 0
        self.removed = 0
        self.saves = 0

    def enter(self, report: Report, live: set[int]) -> None:
        self.account.add(report.account)
        for task_id in self.account.tasks.keys() - live:
            played = self.account.tasks.pop(task_id)
            self.gone.setdefault(kind_of(task_id), Played()).add(played)
        self.created += report.created
        self.evicted += report.evicted
        self.removed += report.removed
        self.saves += report.saves

    def by_kind(self) -> dict[str, Played]:
        kinds = {kind: summed([played]) for kind, played in self.gone.items()}
        for task_id, played in self.account.tasks.items():
            kinds.setdefault(kind_of(task_id), Played()).add(played)
        return kinds

    def differences(self, tracker: TaskTracker) -> Iterator[str]:
        """What the session says otherwise; it must be at rest."""
        verified = tracker.verify()
        records = recorded(tracker.snapshot())
        for task_id in sorted(records.keys() | self.account.tasks.keys()):
            played = self.account.tasks.get(task_id, Played())
            if records.get(task_id) != played:
                yield f"task {task_id}: {records.get(task_id)} recorded, {played} played"
        totals, kinds = tracker.totals(), self.by_kind()
        everything = summed(kinds.values())
        if of_totals(totals) != everything:
            yield f"in all: {of_totals(totals)} recorded, {everything} played"
        if verified["scheduled"] != everything.scheduled:
            yield f"draws by records: {verified['scheduled']}, {everything.scheduled} made"
        for name, count in (
            ("created", self.created),
            ("evicted", self.evicted),
            ("removed", self.removed),
            ("tasks", self.created - self.evicted - self.removed),
            ("late_reports", self.account.late),
            ("recoveries", 0),
        ):
            if totals[name] != count:
                yield f"{name}: {totals[name]:.0f} recorded, {count} by the workers' account"
        kinds.pop("", None)
        recorded_kinds: dict[str, Played] = {}
        for label, row in tracker.label_totals().items():
            kind = _kind_of_label(label)
            recorded_kinds.setdefault(kind, Played()).add(of_totals(row))
        for kind in sorted(kinds.keys() | recorded_kinds.keys()):
            if recorded_kinds.get(kind) != kinds.get(kind):
                yield f"label {kind}: {recorded_kinds.get(kind)} recorded, {kinds.get(kind)} played"
        yield from self._moved_labels(tracker)

    def _moved_labels(self, tracker: TaskTracker) -> Iterator[str]:
        """A task takes what was done to it along to another label, but for the draws."""
        rows = tracker.label_totals()
        played: dict[str, Played] = {}
        for task_id in range(1, PERMANENT, 3):
            label = tracker.get_task_label(task_id)
            assert label is not None
            done = self.account.tasks.get(task_id, Played())
            played.setdefault(label, Played()).add(done)
        for label, expected in played.items():
            found = of_totals(rows[label])
            found.scheduled = expected.scheduled
            if found != expected:
                yield f"label {label}: {found} recorded, {expected} played"


def _kind_of_label(label: str) -> str:
    """The kind of tasks that have a label; labels whose tasks are gone end in "other"."""
    if label.startswith("fixed-"):
        return label
    return "moving" if label.startswith("moving-") else "passing"


def growth(samples: list[Sample]) -> Iterator[str]:
    """What grew between the end of the warm-up and the end of the load."""
    warm, last = samples[min(2, len(samples) - 2)], samples[-1]
    if last.private_kib - warm.private_kib > GROWTH_KIB:
        yield f"private memory grew from {warm.private_kib} to {last.private_kib} KiB"
    if last.descriptors > warm.descriptors:
        yield f"file descriptors grew from {warm.descriptors} to {last.descriptors}"
    if len({(s.file_bytes, s.file_blocks) for s in samples}) > 1:
        yield "the session's file grew"
    if last.recoveries:
        yield f"{last.recoveries} recoveries, though nobody was killed"


def left_behind(name: str, descriptors_before: int) -> Iterator[str]:
    """What a session that is closed, and workers that have ended, left behind."""
    for file in os.listdir("/dev/shm"):
        if name in file:
            yield f"/dev/shm/{file} is left"
    if descriptors() > descriptors_before:
        yield f"{descriptors() - descriptors_before} file descriptors are left"


def _line(sample: Sample) -> str:
    return (
        f"{sample.seconds:6.0f} s  {sample.workers} workers  {sample.completions} completions  "
        f"{sample.private_kib} KiB  {sample.descriptors} descriptors"
    )


def _table(samples: list[Sample]) -> Table:
    chosen = [samples[0], samples[min(2, len(samples) - 2)], samples[len(samples) // 2]]
    chosen.append(samples[-1])
    table = Table("", "start", "warm", "middle", "end")
    for i, field in enumerate(Sample._fields):
        table.add_row(field, *(f"{sample[i]:.0f}" for sample in chosen))
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--processes", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    seconds, console, problems = 60 * chosen.minutes, Console(), list[str]()
    # These stay, with their descriptors, once a worker has been started by way of them.
    forkserver.ensure_running()
    resource_tracker.ensure_running()
    before = descriptors()
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(chosen.processes, chosen.seed, folder)
        samples = soak.run(seconds, min(30.0, seconds / 10), console)
        problems += soak.books.differences(soak.tracker)
        problems += growth(samples)
        books = soak.books
        soak.tracker.cleanup_shared_memory()
        problems += [f"{file} is left" for file in os.listdir(folder)]
    problems += left_behind(soak.name, before)
    console.print(_table(samples))
    counted = summed(books.by_kind().values())
    console.print(
        f"{soak.started} workers: {counted.completions} completions, {counted.scheduled} draws, "
        f"{books.account.late} late reports, {books.created} created, {books.evicted} evicted, "
        f"{books.removed} removed, {books.saves} saves",
        highlight=False,
    )
    for problem in problems:
        console.print(f"WRONG: {problem}", highlight=False, style="red")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
