"""How the costs of calls are measured: rounds of many calls, and what is said of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

ROUNDS = 7
ROUND_SECONDS = 0.1
# Of a bootstrap: with as many, the ends of an interval move by some hundredths of its width.
_RESAMPLES = 4_000


@dataclass(frozen=True)
class Figures:
    """Measurements of one quantity, one a round.

    Attributes:
        rounds: what each round gave.
    """

    rounds: Sequence[float]

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

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% bootstrap interval of the median, the same at every call.

        Percentiles of the medians of resamples: Efron and Tibshirani 1993, An Introduction to the
        Bootstrap, section 13.3. Of one round it is that round.
        """
        rounds = np.asarray(self.rounds)
        resamples = np.random.default_rng(0).choice(rounds, (_RESAMPLES, len(rounds)))
        low, high = np.percentile(np.median(resamples, axis=1), (2.5, 97.5))
        return float(low), float(high)


def calls_a_round(call: Callable[[], Any], round_seconds: float = ROUND_SECONDS) -> int:
    """How many calls take about that long, at least one; it warms up as well."""
    number = 1
    while (took := seconds(call, number)) < round_seconds / 4:
        number *= 2
    return max(1, round(number * round_seconds / took))


def seconds(call: Callable[[], Any], number: int) -> float:
    """Seconds that a number of calls take, by the wall clock."""
    began = time.perf_counter()
    for _ in range(number):
        call()
    return time.perf_counter() - began
