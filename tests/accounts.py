"""What processes did to tasks, by their own account, to hold a session's records against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Played:
    """What one task went through, or several. Scores are quarters or so, so that sums are exact."""

    scheduled: int = 0
    completions: int = 0
    env_steps: int = 0
    score_sum: float = 0.0

    def add(self, other: Played) -> None:
        self.scheduled += other.scheduled
        self.completions += other.completions
        self.env_steps += other.env_steps
        self.score_sum += other.score_sum


@dataclass
class Account:
    """Draws and counted reports by task id, and the reports that came too late to count."""

    tasks: dict[int, Played] = field(default_factory=dict)
    late: int = 0

    def of(self, task_id: int) -> Played:
        return self.tasks.setdefault(task_id, Played())

    def drew(self, task_id: int) -> None:
        self.of(task_id).scheduled += 1

    def counted(self, task_id: int, score: float, env_steps: int) -> None:
        self.of(task_id).add(Played(0, 1, env_steps, score))

    def add(self, other: Account) -> None:
        for task_id, played in other.tasks.items():
            self.of(task_id).add(played)
        self.late += other.late


def summed(parts: Iterable[Played]) -> Played:
    """All of it together."""
    total = Played()
    for part in parts:
        total.add(part)
    return total


def recorded(table: Any) -> dict[int, Played]:
    """What the records of a snapshot say, by task id."""
    return {
        int(row["task_id"]): Played(
            int(row["scheduled_count"]),
            int(row["completion_count"]),
            int(row["env_steps"]),
            float(row["total_score"]),
        )
        for row in table
    }


def of_totals(row: Mapping[str, float]) -> Played:
    """What a session's totals say, or those of a label, over the lifetime."""
    return Played(
        int(row["scheduled"]), int(row["completions"]), int(row["env_steps"]), row["score_sum"]
    )
