"""How the costs of calls are measured: rounds of many calls, and what is said of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

ROUNDS = 7
ROUND_SECONDS = 0.1


@dataclass(frozen=True)
class Figures:
    """Measurements of one quantity, one a round.

    Attributes:
        rounds: what each round gave.
    """

    rounds: Sequence[float]

    @property
    def least(self) -> float:
        """The least of them: of a cost, what the machine's other work adds the least to."""
        return min(self.rounds)

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.rounds)

    def over(self, other: Figures) -> Figures:
        """The ratio to other figures, round by round."""
        return Figures([a / b for a, b in zip(self.rounds, other.rounds, strict=True)])

    @property
    def range(self) -> tuple[float, float]:
        """The least and the greatest."""
        return min(self.rounds), max(self.rounds)


def cost(
    call: Callable[[], Any], rounds: int = ROUNDS, round_seconds: float = ROUND_SECONDS
) -> Figures:
    """Seconds that a call takes, by the wall clock, with the loop around it.

    Args:
        call: what is measured.
        rounds: number of rounds.
        round_seconds: about how long a round takes; at least one call is made.
    """
    number = 1
    # The calls that find the number warm up as well.
    while (took := seconds(call, number)) < round_seconds / 4:
        number *= 2
    number = max(1, round(number * round_seconds / took))
    return Figures([seconds(call, number) / number for _ in range(rounds)])


def seconds(call: Callable[[], Any], number: int) -> float:
    """Seconds that a number of calls take, by the wall clock."""
    began = time.perf_counter()
    for _ in range(number):
        call()
    return time.perf_counter() - began
