"""One set of settings for each algorithm, the same on all students.

Where nothing stands here, the algorithm has its own defaults. ``python -m benches.students.tune``
found what stands here, on other seeds than those reported: on the students "hypercube" and "chain".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TUNING_SEEDS = range(100, 105)
REPORTED_SEEDS = range(5)

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    # A window of the paper's 250 tasks would never be full: the smallest student has 100.
    "alp-gmm": {"window": 100},
    "learnability": {"buffer_share": 0.2},
    "learning-progress": {"rand_task_rate": 0.2},
    "sequential-stages": {"threshold": 0.5, "floor": 0.3},
    "variance": {"rand_task_rate": 0.3},
}
