"""What the processes do, over and over, until they are killed. Each operation is logged."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from curricle import Session
from kills.invariants import is_torn_total, torn_records
from kills.log import Log, Op, Outcome, entry
from kills.population import (
    AT_ONCE,
    CHURNED,
    FOLD_LABELS,
    FOLDED,
    MOVE_LABELS,
    MOVED,
    RULES,
    STABLE,
    STEPS,
    UNLABELLED,
    first_label,
)

UPDATED = [*STABLE, *MOVED, *UNLABELLED]
COMING = [*CHURNED, *FOLDED]
GOING = [*CHURNED, *FOLDED, *UNLABELLED]
_BATCHES, _BATCH = 64, 512
_rng = np.random.default_rng(0)
BATCHES = [(_rng.choice(UPDATED, _BATCH), _rng.integers(0, 2, _BATCH)) for _ in range(_BATCHES)]
"""Tasks and scores of batches that the processes choose from, so that a number names one."""


class Worker:
    """One process's session, log and dice."""

    def __init__(self, session: Session, log: Log, seed: int, place: int, places: int) -> None:
        self.session = session
        self.log = log
        self.dice = random.Random(seed)
        self.stream = session.stream(seed)
        # Only this process moves the moved tasks of its place, so that the last label is known.
        self.own = [task for task in MOVED if task % places == place]

    def do(self, op: Op, task: int, number: int, work: Callable[[], object]) -> None:
        """An operation with an effect, or without one where ``work`` gives False."""
        self.log.write(entry(op, Outcome.MEANT, task, number))
        without = work() is False
        outcome = Outcome.WITHOUT_EFFECT if without else Outcome.DONE
        self.log.done(entry(op, outcome, task, number))

    def label(self, task: int) -> str:
        """The label with which a task comes."""
        return first_label(task) or self.dice.choice(FOLD_LABELS)

    def create_or_remove(self, task: int) -> None:
        """Creates a task; where it is there already, makes room, so that there is always work."""
        session = self.session
        if task in session:
            self.do(Op.REMOVE, task, 0, lambda: session.remove(task))
        else:
            label = self.label(task)
            self.do(Op.CREATE, task, 0, lambda: session.create(task, label=label))


def write(worker: Worker) -> None:
    session, dice = worker.session, worker.dice
    if dice.random() < 0.5:
        task, score = dice.choice(UPDATED), dice.getrandbits(1)
        worker.do(Op.UPDATE, task, score, lambda: session.update(task, score, STEPS + score))
    else:
        number = dice.randrange(_BATCHES)
        tasks, scores = BATCHES[number]
        y, steps = scores.astype(float), STEPS + scores
        worker.do(Op.BATCH, 0, number, lambda: session.update_many(tasks, y, steps))


def draw(worker: Worker) -> None:
    """Draws and reports, one by one or many."""
    session, log, dice = worker.session, worker.log, worker.dice
    n = AT_ONCE if dice.random() < 0.5 else 1
    log.write(entry(Op.DRAW, Outcome.MEANT) * n)
    if n == 1:
        tickets = [session.draw(worker.stream)]
    else:
        tickets = session.draw_many(n, stream=worker.stream)
    played = [(ticket.task_id, dice.getrandbits(1)) for ticket in tickets]
    log.done(b"".join(entry(Op.DRAW, Outcome.DONE, task) for task, _ in played))
    log.write(b"".join(entry(Op.REPORT, Outcome.MEANT, *one) for one in played))
    scores = np.array([score for _, score in played])
    if n == 1:
        lp = session.report(tickets[0], scores[0], STEPS + scores[0])
        lps = np.array([np.nan if lp is None else lp])
    else:
        lps = session.report_many(tickets, scores.astype(float), STEPS + scores)
    outcomes = [Outcome.LATE if late else Outcome.DONE for late in np.isnan(lps)]
    done = zip(outcomes, played, strict=True)
    log.done(b"".join(entry(Op.REPORT, outcome, *one) for outcome, one in done))


def create(worker: Worker) -> None:
    """Creates tasks, one by one or many, and gives tasks other labels."""
    session, log, dice = worker.session, worker.log, worker.dice
    chance = dice.random()
    if worker.own and chance < 0.2:
        task, number = dice.choice(worker.own), dice.randrange(len(MOVE_LABELS))
        worker.do(Op.LABEL, task, number, lambda: session.set_label(task, MOVE_LABELS[number]))
    elif chance < 0.6:
        worker.create_or_remove(dice.choice(COMING))
    else:
        tasks = dice.choices(COMING, k=AT_ONCE)
        labels = [worker.label(task) for task in tasks]
        log.write(b"".join(entry(Op.CREATE, Outcome.MEANT, task) for task in tasks))
        new = session.create_many(np.array(tasks), labels).tolist()
        done = zip(map(Outcome, new), tasks, strict=True)
        log.done(b"".join(entry(Op.CREATE, *one) for one in done))


def evict(worker: Worker) -> None:
    session, dice = worker.session, worker.dice
    task, new = dice.choice(GOING), dice.choice(COMING)
    if task not in session:
        worker.create_or_remove(new)
    elif dice.random() < 0.3:
        worker.do(Op.EVICT, task, 0, lambda: session.remove(task, evict=True))
    else:
        label = worker.label(new)
        worker.do(Op.REPLACE, task, new, lambda: session.replace(task, new, label=label))


def read(worker: Worker) -> None:
    """Looks for records and totals that are torn."""
    session, log = worker.session, worker.log
    table = session.snapshot()
    torn, reads = len(torn_records(table)), len(table)
    # These spend most of their time inside of reads.
    for _ in range(AT_ONCE):
        rows = [session.totals(), *session.label_totals().values()]
        torn += sum(map(is_torn_total, rows))
        records = [data for data in map(session.read, STABLE) if data is not None]
        torn += sum(
            data.env_steps != data.completion_count * STEPS + data.total_score for data in records
        )
        torn += len(STABLE) - len(records)
        reads += len(rows) + len(STABLE)
    if torn:
        log.done(entry(Op.TORN, Outcome.DONE, 0, torn))
    log.write(entry(Op.READ, Outcome.DONE, 0, reads))


def visit(worker: Worker) -> None:
    """Attaches, updates and leaves; then the same with a session that nobody holds open."""
    name = worker.session.name
    assert name is not None
    task, score = worker.dice.choice(STABLE), worker.dice.getrandbits(1)

    def update_as_a_guest() -> None:
        visited = Session(name=name, mode="attach")
        visited.update(task, score, STEPS + score)
        visited.close()

    def make_or_join() -> None:
        beside = Session(4, RULES, name=beside_of(name))
        beside.update(0, score, STEPS + score)
        beside.close()

    worker.do(Op.UPDATE, task, score, update_as_a_guest)
    worker.do(Op.VISIT, 0, 0, make_or_join)


def beside_of(name: str) -> str:
    """The name of the session that lives only while somebody visits it."""
    return f"{name}-beside"


ROLES: dict[str, Callable[[Worker], None]] = {
    "writer": write,
    "drawer": draw,
    "creator": create,
    "evictor": evict,
    "reader": read,
    "visitor": visit,
}
SHARES = [4, 2, 4, 4, 1, 1]
"""How many processes of each role there are: more of those that hold locks for long."""
