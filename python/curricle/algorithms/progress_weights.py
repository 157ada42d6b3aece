"""Learning progress as weights of a snapshot, for algorithms that mix it with others."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from curricle.config import LearningProgressConfig

# Share of the learning progress that is left where noise alone could explain it, as in the core.
_LEAK = 1.0 / 256.0


def progress_weights(config: LearningProgressConfig, snapshot: NDArray[Any]) -> NDArray[np.float64]:
    """The weights that the core gives tasks under ``config``, shape (n,).

    The core weighs a task when a score comes in, with the formulas that `LearningProgressConfig`
    describes; these are the same for all tasks at once.

    Args:
        config: has a ``score_range`` and the proportional law.
        snapshot: records of a session whose p_fast and p_slow follow ``config``.
    """
    rules = config.rules().as_dict()
    low, high = rules["score_range"]
    count = snapshot["completion_count"].astype(np.float64)
    variance = np.maximum(snapshot["ema_squared"] - snapshot["reward_ema"] ** 2, 0.0)
    if rules["progress"] == "variance":
        progress = variance / (high - low) ** 2
    else:
        progress = _bidirectional(rules, snapshot, np.sqrt(variance) / (high - low), count)
    progress += rules["performance_bonus"] * (snapshot["p_true"] - low) / (high - low)
    progress = np.maximum(progress, rules["progress_floor"])
    # A task without a score has none of the statistics above.
    part = np.minimum(count / max(rules["min_samples"], 1), 1.0)
    blend = rules["exploration"] * (1.0 - part) + rules["exploration_blend"] * part * progress
    young = (count == 0) | (count < rules["min_samples"])
    weights: NDArray[np.float64] = np.where(young, blend, progress)
    return np.maximum(weights, 0.0)


def _bidirectional(
    rules: dict[str, Any],
    snapshot: NDArray[Any],
    deviation: NDArray[np.float64],
    count: NDArray[np.float64],
) -> NDArray[np.float64]:
    """|R(p_fast) - R(p_slow)| less what noise would give, shape (n,)."""
    t = rules["reweighting"]
    fast, slow = snapshot["p_fast"], snapshot["p_slow"]
    slope = np.ones(len(snapshot))
    if t != 0.5:
        fast, slow = np.clip(fast, 0.0, 1.0), np.clip(slow, 0.0, 1.0)
        slope = t * (1.0 - t) / (slow + t * (1.0 - 2.0 * slow)) ** 2
        fast, slow = (p * (1.0 - t) / (p + t * (1.0 - 2.0 * p)) for p in (fast, slow))
    raw: NDArray[np.float64] = np.abs(fast - slow)
    if rules["noise_deviations"] == 0.0:
        return raw
    # Variance of the difference of both EMAs after n scores of variance 1, the first of which
    # initialises both.
    a = rules["ema_timescale"]
    b = a * rules["slow_timescale_factor"]
    left, left_slow = ((1.0 - step) ** np.maximum(count - 1.0, 0.0) for step in (a, b))
    spread = (
        (left - left_slow) ** 2
        + a / (2.0 - a) * (1.0 - left**2)
        + b / (2.0 - b) * (1.0 - left_slow**2)
        - 2.0 * a * b / (a + b - a * b) * (1.0 - left * left_slow)
    )
    if rules["baseline"] is not None:
        deviation = deviation / (1.0 - snapshot["random_baseline"])
    noise = rules["noise_deviations"] * np.sqrt(np.maximum(spread, 0.0)) * deviation * slope
    left_over: NDArray[np.float64] = np.maximum(raw - noise, _LEAK * raw)
    return left_over
