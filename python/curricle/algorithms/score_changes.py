"""How far a task's last score was from what was known of it, from its record alone."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

# At step 1 the EMA is the last score itself, and what was before it is lost.
OpenStep = Annotated[float, Field(gt=0.0, lt=1.0)]


def last_surprise(snapshot: NDArray[Any], step: float) -> NDArray[np.float64]:
    """The last score less the EMA before it, shape (n,); 0 before a second score.

    The EMA m_t = m_{t-1} + a (x_t - m_{t-1}) has already taken x_t in, and so
    x_t - m_{t-1} = (x_t - m_t) / (1 - a).

    Args:
        snapshot: records, shape (n,).
        step: the a of ``reward_ema``, in (0, 1).
    """
    distance: NDArray[np.float64] = snapshot["last_score"] - snapshot["reward_ema"]
    return distance / (1.0 - step)


def mean_change(snapshot: NDArray[Any], step: float) -> NDArray[np.float64]:
    """EMA, of the step of ``reward_ema``, of the changes of the score, shape (n,).

    Q_t = (1 - a) Q_{t-1} + a (x_t - x_{t-1}) from Q_1 = 0 is a / (1 - a) (x_t - m_t): with
    m_1 = x_1 both are 0 at first, and (x_t - m_t) = (1 - a) (x_t - x_{t-1} + x_{t-1} - m_{t-1}).

    Args:
        snapshot: records, shape (n,).
        step: the a of ``reward_ema``, in (0, 1).
    """
    return step * last_surprise(snapshot, step)
