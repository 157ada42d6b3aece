"""Starts processes on one session, kills them at random instants, and checks after every kill."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import secrets
import signal
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field

from curricle import Session, list_sessions
from kills.invariants import is_torn_total, torn_records
from kills.ledger import Ledger
from kills.log import Log, Op, Outcome, entry, read_all
from kills.population import RULES, open_session
from kills.roles import ROLES, SHARES, Worker, beside_of
from kills.sums import Disagreement

PROCESSES = 4
# A full pipe only holds its writer up, outside of everything; a large one seldom is full.
_PIPE_BYTES = 1 << 20
_LONGEST_LIFE = 0.004
_LAST_ROUND_OF_READER = 0.05


@dataclass
class Figures:
    """What came of it; kills by the role of the killed."""

    kills: Counter[str] = field(default_factory=Counter)
    with_lock: Counter[str] = field(default_factory=Counter)
    recoveries: int = 0
    reads: int = 0
    torn: int = 0
    operations: dict[str, int] = field(default_factory=dict)
    in_flight: int = 0
    in_flight_counted: int = 0
    half_draws: int = 0
    totals: dict[str, float] = field(default_factory=dict)


@dataclass
class Process:
    """A process that works until it is killed."""

    pid: int
    role: str
    log: int


class Harness:
    """A session, the processes on it, and the account of what they do."""

    def __init__(self, seed: int) -> None:
        self.name = f"kills-{secrets.token_hex(6)}"
        self.figures = Figures()
        self._dice = random.Random(seed)
        self._session = open_session(self.name)
        self._ledger = Ledger(self._session)
        self._running: list[Process] = []
        # Reads through many rounds: a read is torn only where it is held up in its middle.
        self._reader: Process | None = None

    def run(self, kills: int, seconds: float) -> Figures:
        """Rounds of processes, until there were as many kills or the time is over."""
        end = time.monotonic() + seconds
        try:
            while self.figures.kills.total() < kills and time.monotonic() < end:
                self._round()
            verified, totals = self._session.verify(), self._session.totals()
            if any(verified[what] != totals[what] for what in ("tasks", "completions")):
                raise Disagreement(f"verified {verified}, but {totals}")
        finally:
            for process in filter(None, (*self._running, self._reader)):
                self._end(process)
                os.close(process.log)
            self._collect()
            self._session.close()
        self._expect_nothing_left(self.name)
        return self.figures

    def _round(self) -> None:
        logs = []
        if self._reader is None:
            self._reader = self._start("reader", 0)
        elif self._dice.random() < _LAST_ROUND_OF_READER:
            self._running.append(self._reader)
            self._reader = None
        for place, role in enumerate(self._dice.choices(list(ROLES), SHARES, k=PROCESSES)):
            self._running.append(self._start(role, place))
        while self._running:
            time.sleep(self._dice.random() * _LONGEST_LIFE)
            process = self._running.pop(self._dice.randrange(len(self._running)))
            before = self._session.totals()["recoveries"]
            self._kill(process)
            self.figures.kills[process.role] += 1
            self._check()
            recovered = self._session.totals()["recoveries"] - before
            self.figures.with_lock[process.role] += recovered > 0
            self.figures.recoveries += int(recovered)
            logs.append(read_all(process.log))
            os.close(process.log)
        self._ledger.settle(logs)
        self._visit_beside()

    def _start(self, role: str, place: int) -> Process:
        reads, writes = os.pipe()
        with contextlib.suppress(OSError):
            fcntl.fcntl(writes, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        seed, attach = self._dice.getrandbits(32), self._dice.random() < 0.5
        pid = os.fork()
        if pid == 0:
            # Nothing of the parent may run in here: no handler, no exit.
            log = Log(writes)
            try:
                warnings.simplefilter("ignore")
                session = Session(name=self.name, mode="attach") if attach else self._session
                worker = Worker(session, log, seed, place, PROCESSES)
                while True:
                    ROLES[role](worker)
            except BaseException:
                # First, since a kill may come before the rest is printed.
                log.write(entry(Op.FAILED, Outcome.DONE))
                traceback.print_exc()
            finally:
                os._exit(1)
        os.close(writes)
        return Process(pid, role, reads)

    @staticmethod
    def _end(process: Process) -> int:
        os.kill(process.pid, signal.SIGKILL)
        return os.waitpid(process.pid, 0)[1]

    def _kill(self, process: Process) -> None:
        status = self._end(process)
        if not os.WIFSIGNALED(status):
            raise Disagreement(f"a {process.role} ended by itself, with status {status}")

    def _check(self) -> None:
        """What must hold right after a kill, while the others go on."""
        # Takes every lock; the index finds every live task and no dead one; totals agree.
        self._session.verify()
        table = self._session.snapshot()
        torn = torn_records(table)
        if len(torn):
            raise Disagreement(f"half-written: {torn[0]}")
        rows = {"session": self._session.totals(), **self._session.label_totals()}
        for name, row in rows.items():
            if is_torn_total(row):
                raise Disagreement(f"half-written totals of {name}: {row}")
        self.figures.reads += len(table) + len(rows)

    def _visit_beside(self) -> None:
        """A session whose processes were all killed, or have left, can be made and left."""
        name = beside_of(self.name)
        with warnings.catch_warnings():
            # That what a killed process left is replaced.
            warnings.simplefilter("ignore")
            beside = Session(4, RULES, name=name)
        beside.update(0, 1.0)
        beside.verify()
        beside.close()
        self._expect_nothing_left(name)

    @staticmethod
    def _expect_nothing_left(name: str) -> None:
        left = [file for file in os.listdir("/dev/shm") if name in file]
        if left or name in {session["name"] for session in list_sessions()}:
            raise Disagreement(f"session {name} has ended and left {left}")

    def _collect(self) -> None:
        figures, ledger = self.figures, self._ledger
        operations = dict(ledger.operations)
        del operations[Op.FAILED]
        figures.reads += operations.pop(Op.READ)
        figures.torn = operations.pop(Op.TORN)
        figures.operations = {op.name.lower(): count for op, count in operations.items()}
        figures.in_flight = ledger.in_flight
        figures.in_flight_counted = ledger.in_flight_counted
        figures.half_draws = ledger.half_draws
        figures.totals = self._session.totals()
