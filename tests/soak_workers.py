"""What the processes of the soak do; imports little, as each of them imports it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import numpy as np

from accounts import Account
from curricle.backends import LocalMemoryBackend
from curricle.metrics import session_metrics
from curricle.tracker import TaskTracker

PERMANENT = 192
"""Tasks 0 to PERMANENT - 1 stay; every process reports on them by id."""
MOVING_LABELS = [f"moving-{i}" for i in range(4)]
OWN_IDS = 2**20
"""Ids of the n-th worker's own tasks begin at n times this; no id comes twice."""
MOST_OWN = 8
MAX_LABELS = 64
"""Few more than can be in use at a time, so that labels without tasks are folded all the time."""


def kind_of(task_id: int) -> str:
    """The label of a task, or the kind of its label where that changes; empty for none."""
    if task_id >= OWN_IDS:
        return "" if task_id % 2 else "passing"
    return (f"fixed-{task_id % 4}", "moving", "")[task_id % 3]


def first_label(task_id: int) -> str | None:
    """The label with which a task is created."""
    kind = kind_of(task_id)
    if kind == "passing":
        return f"passing-{task_id // 16}"
    return MOVING_LABELS[task_id % 4] if kind == "moving" else kind or None


@dataclass
class Report:
    """What one worker did in its life, and the tasks of its own that it leaves behind."""

    account: Account = field(default_factory=Account)
    created: int = 0
    evicted: int = 0
    removed: int = 0
    saves: int = 0
    own: list[int] = field(default_factory=list)


class Worker:
    """A mixed load on a session, with an exact account of it.

    Only a task's owner evicts it, but everybody draws it, so that reports may come late.
    """

    def __init__(
        self, tracker: TaskTracker, serial: int, seed: int, own: list[int], folder: str
    ) -> None:
        self.tracker = tracker
        self.rng = np.random.default_rng([seed, serial])
        self.report = Report(own=own)
        self.account = self.report.account
        self.next_id = serial * OWN_IDS
        self.checkpoint = os.path.join(folder, f"{serial}.ckpt")

    def run(self, turns: int) -> Report:
        often: list[Callable[[], None]] = [
            self.update_one_by_one,
            self.update_a_batch,
            self.draw_and_report,
            self.draw_a_batch,
            self.draw_different_tasks,
            self.draw_and_abandon,
            self.create_or_replace,
            self.move_a_label,
        ]
        seldom: list[Callable[[], None]] = [self.read, self.evict, self.remove, self.save]
        for _ in range(turns):
            kinds = seldom if self.rng.random() < 0.05 else often
            kinds[int(self.rng.integers(len(kinds)))]()
        return self.report

    def _score(self) -> float:
        return int(self.rng.integers(5)) / 4

    def _ids(self, n: int) -> list[int]:
        known = [*range(PERMANENT), *self.report.own]
        return [known[i] for i in self.rng.integers(len(known), size=n)]

    def update_one_by_one(self) -> None:
        for steps, task_id in enumerate(self._ids(20)):
            score = self._score()
            self.tracker.update(task_id, score, steps)
            self.account.counted(task_id, score, steps)

    def update_a_batch(self) -> None:
        ids, steps = self._ids(64), self.rng.integers(100, size=64)
        scores = self.rng.integers(5, size=64) / 4
        self.tracker.update_batch(np.array(ids), scores, steps)
        for task_id, score, step in zip(ids, scores.tolist(), steps.tolist(), strict=True):
            self.account.counted(task_id, score, step)

    def draw_and_report(self) -> None:
        for steps in range(10):
            ticket, score = self.tracker.draw(), self._score()
            self.account.drew(ticket.task_id)
            if self.tracker.report_one(ticket, score, steps) is None:
                self.account.late += 1
            else:
                self.account.counted(ticket.task_id, score, steps)

    def draw_a_batch(self) -> None:
        self._play(32, replace=True)

    def draw_different_tasks(self) -> None:
        self._play(8, replace=False)

    def draw_and_abandon(self) -> None:
        """So many that processes meet at the same task."""
        for ticket in self.tracker.sample(200):
            self.account.drew(ticket.task_id)

    def _play(self, n: int, replace: bool) -> None:
        """Draws, abandons a quarter of the episodes and reports the others in one batch."""
        tickets = self.tracker.sample(n, replace)
        for ticket in tickets:
            self.account.drew(ticket.task_id)
        tickets = tickets[: 3 * len(tickets) // 4]
        scores = self.rng.integers(5, size=len(tickets)) / 4
        steps = self.rng.integers(100, size=len(tickets))
        progress = self.tracker.report(tickets, scores, steps)
        for i, ticket in enumerate(tickets):
            if np.isnan(progress[i]):
                self.account.late += 1
            else:
                self.account.counted(ticket.task_id, float(scores[i]), int(steps[i]))

    def create_or_replace(self) -> None:
        own = self.report.own
        if len(own) == MOST_OWN:
            evicted = own.pop(0)
            assert self.tracker.replace_task(evicted, self.next_id, label=first_label(self.next_id))
            self.report.evicted += 1
        elif kind_of(self.next_id):
            assert self.tracker.track_task_creation(self.next_id, label=first_label(self.next_id))
        else:
            self.tracker.update(self.next_id, 0.25, 7)
            self.account.counted(self.next_id, 0.25, 7)
        own.append(self.next_id)
        self.report.created += 1
        self.next_id += 1

    def evict(self) -> None:
        if self.report.own:
            assert self.tracker.remove_task(self.report.own.pop(0), evict=True)
            self.report.evicted += 1

    def remove(self) -> None:
        if self.report.own:
            assert self.tracker.remove_task(self.report.own.pop())
            self.report.removed += 1

    def move_a_label(self) -> None:
        task_id = 1 + 3 * int(self.rng.integers(PERMANENT // 3))
        label = MOVING_LABELS[int(self.rng.integers(len(MOVING_LABELS)))]
        self.tracker.set_task_label(task_id, label)

    def read(self) -> None:
        table = self.tracker.snapshot()
        assert len(table) >= PERMANENT
        _, shares = self.tracker.probabilities()
        assert abs(shares.sum() - 1.0) < 1e-9
        metrics = session_metrics(self.tracker)
        assert metrics["env_curriculum/num_tasks"] >= PERMANENT

    def save(self) -> None:
        """A checkpoint that was written beside the others' updates agrees with itself."""
        self.tracker.save(self.checkpoint)
        backend = LocalMemoryBackend(
            self.tracker.max_memory_tasks, rules=self.tracker.backend.rules, max_labels=MAX_LABELS
        )
        backend.load(self.checkpoint)
        backend.verify()
        os.remove(self.checkpoint)
        self.report.saves += 1


def work(
    tracker: TaskTracker,
    serial: int,
    seed: int,
    turns: int,
    own: list[int],
    folder: str,
    pipe: Connection,
) -> None:
    """The life of one worker: its last deed is to send its report."""
    report = Worker(tracker, serial, seed, own, folder).run(turns)
    tracker.backend.close()
    pipe.send(report)
