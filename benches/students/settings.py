"""One set of settings for each algorithm, the same on all students.

Where nothing stands here, the algorithm has its own defaults. ``python -m benches.students.tune``
found what stands here, on other seeds than those reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curricle.algorithms import LearnabilityConfig, LevelReplayConfig

TUNING_SEEDS = range(100, 105)
REPORTED_SEEDS = range(5)

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    # A window of the paper's 250 tasks would never be full: the smallest student has 100.
    "alp-gmm": {"window": 100},
    # It has no parts of its own: two views of what is worth playing, and a floor.
    "mixture": {"parts": ((0.45, LevelReplayConfig()), (0.45, LearnabilityConfig()))},
}
