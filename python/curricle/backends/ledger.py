"""What a table counts besides its live records."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from curricle._core import Stream, TaskData, Ticket
from curricle.backends.share_limits import Limits
from curricle.backends.steering import Steering

COUNTS = ("completions", "scheduled", "score_sum", "env_steps")


def counts_of(data: TaskData) -> dict[str, float]:
    """The counts of one record, by the names of `COUNTS`."""
    return {
        "completions": data.completion_count,
        "scheduled": data.scheduled_count,
        "score_sum": data.total_score,
        "env_steps": data.env_steps,
    }


@dataclass
class Ledger:
    """Counts of removed tasks, tickets in use, limits and the random stream of one process.

    The default methods of a backend keep here what its four abstract methods cannot hold.
    """

    seed: int = 0
    stream: Stream = field(default_factory=lambda: Stream(0))
    streams: int = 1
    created: int = 0
    evicted: int = 0
    removed: int = 0
    late_reports: int = 0
    score_min: float = float("inf")
    score_max: float = float("-inf")
    tick: int = 0
    hidden: set[int] = field(default_factory=set)
    tickets: set[int] = field(default_factory=set)
    # Random, so that tickets of another backend are not taken for tickets of this one.
    serial: int = field(default_factory=lambda: secrets.randbits(40) << 16)
    retired: dict[str | None, dict[str, float]] = field(default_factory=dict)
    limits: dict[str, Limits] = field(default_factory=dict)
    steering: Steering = field(default_factory=Steering)

    @property
    def span(self) -> float:
        """Highest less lowest score; 0 without a score."""
        return max(self.score_max - self.score_min, 0.0)

    def see(self, score: float) -> None:
        """Widens the range of scores."""
        self.score_min = min(self.score_min, score)
        self.score_max = max(self.score_max, score)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"stream": self.stream.state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.stream = Stream(self.seed)
        self.stream.state = state["stream"]

    def ticket(self, data: TaskData) -> Ticket:
        """A ticket that can be reported once."""
        self.serial += 1
        self.tickets.add(self.serial)
        return Ticket(data.task_id, 0, data.generation, self.serial)

    def consume(self, ticket: Ticket) -> None:
        """Takes a ticket back; ValueError where it was reported before."""
        _check_ticket(ticket)
        if ticket.serial not in self.tickets:
            raise ValueError(f"the ticket of task {ticket.task_id} was reported before")
        self.tickets.remove(ticket.serial)

    def check_unreported(self, tickets: Sequence[Ticket]) -> None:
        """ValueError for a ticket that was reported before or comes twice."""
        for ticket in tickets:
            _check_ticket(ticket)
        if len({ticket.serial for ticket in tickets}) != len(tickets):
            raise ValueError("a ticket comes twice in the batch; each is reported once")
        for ticket in tickets:
            if ticket.serial not in self.tickets:
                raise ValueError(f"the ticket of task {ticket.task_id} was reported before")

    def retire(self, data: TaskData, *, evict: bool) -> None:
        """Moves a record's counts from the live to the retired ones."""
        counts = self.retired.setdefault(
            data.label, dict.fromkeys((*COUNTS, "evicted", "tasks"), 0)
        )
        for name, value in counts_of(data).items():
            counts[name] += value
        counts["tasks"] += 1
        counts["evicted"] += evict
        self.evicted += evict
        self.removed += not evict

    def totals(self, records: Iterable[TaskData]) -> dict[str, float]:
        """Lifetime counts: those of the records and of removed tasks."""
        sums = dict.fromkeys(COUNTS, 0.0)
        for counts in [*map(counts_of, records), *self.retired.values()]:
            for name in COUNTS:
                sums[name] += counts[name]
        return sums

    def label_totals(self, records: Iterable[TaskData]) -> dict[str, dict[str, float]]:
        """Lifetime counts by label, and those of the live tasks."""
        names = ("tasks", "created", "evicted", *COUNTS, "lp_sum")
        labels: dict[str, dict[str, float]] = {}
        for label, retired in self.retired.items():
            if label is not None:
                counts = labels.setdefault(label, dict.fromkeys(names, 0.0))
                counts["created"] = retired["tasks"]
                for name in ("evicted", *COUNTS):
                    counts[name] = retired[name]
        for data in records:
            if data.label is not None:
                counts = labels.setdefault(data.label, dict.fromkeys(names, 0.0))
                counts["tasks"] += 1
                counts["created"] += 1
                counts["lp_sum"] += data.lp_score
                for name, value in counts_of(data).items():
                    counts[name] += value
        for counts in labels.values():
            counts["lp_mean"] = counts["lp_sum"] / counts["tasks"] if counts["tasks"] else 0.0
        return labels


def _check_ticket(ticket: Any) -> None:
    if not isinstance(ticket, Ticket):
        raise TypeError(f"the ticket is {ticket!r}; it must be the Ticket of a draw")
