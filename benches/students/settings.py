"""One set of settings for each algorithm, the same on all students.

Where nothing stands here, the algorithm has its own defaults. ``python -m benches.students.tune``
found what stands here, on other seeds than those reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curricle.algorithms.catalogue import ALGORITHMS
from curricle.config import SessionConfig

TUNING_SEEDS = range(100, 105)
REPORTED_SEEDS = range(5)

SETTINGS: Mapping[str, Mapping[str, Any]] = {}


def make_config(algorithm: str, fields: Mapping[str, Any]) -> SessionConfig:
    """The configuration of an algorithm of the catalogue, for a table of this process alone."""
    return ALGORITHMS[algorithm](use_shared_memory=False, **fields)
