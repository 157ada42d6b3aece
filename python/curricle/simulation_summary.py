"""Simulations with several seeds in a few figures: means and their spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from curricle.simulate import Simulation

Arms = Mapping[str, Sequence[Simulation]]
"""Simulations of one student, with several seeds each, by the name of the algorithm."""

BASELINE = "uniform"
"""The algorithm that others are held against."""

REACHED = (0.5, 0.9, 0.99)
NEVER = "-"


def summarise(simulations: Sequence[Simulation]) -> dict[str, str]:
    """Names of figures, and what each is: mean ± standard deviation over the simulations.

    Episodes and environment steps to a share of the goals are of the simulations that reached it;
    how many did is said where not all did.

    Args:
        simulations: of one student and one algorithm with several seeds, at least one.
    """
    figures = {"mastered": spread([100 * s.mastered[-1] for s in simulations], "%")}
    for share in REACHED:
        name = f"episodes to {share:.0%}"
        figures[name] = _reached([s.episodes_to(share) for s in simulations])
    for share in REACHED:
        name = f"steps to {share:.0%}"
        figures[name] = _reached([s.env_steps_to(share) for s in simulations])
    figures["steps in all"] = spread([s.env_steps[-1] for s in simulations])
    if len(simulations[0].kinds) > 1:
        for kind, fair in simulations[0].uniform_shares().items():
            name = f"draws of {kind} ({fair:.0%} of tasks)"
            figures[name] = spread([100 * s.shares()[kind] for s in simulations], "%")
    return figures


def spread(values: ArrayLike, unit: str = "") -> str:
    """Mean ± sample standard deviation; the mean alone of a single value."""
    numbers = np.asarray(values, np.float64)
    digits = 1 if unit == "%" else 0
    text = f"{numbers.mean():,.{digits}f}"
    if len(numbers) > 1:
        text += f" ± {numbers.std(ddof=1):,.{digits}f}"
    return text + unit


def _reached(values: Sequence[int | None]) -> str:
    reached = [value for value in values if value is not None]
    if not reached:
        return NEVER
    if len(reached) == len(values):
        return spread(reached)
    return f"{spread(reached)} ({len(reached)} of {len(values)})"
