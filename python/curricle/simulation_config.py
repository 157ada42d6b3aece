"""The configuration of an algorithm that is to be tried on a student."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from curricle.algorithms import LearnabilityConfig, LevelReplayConfig
from curricle.algorithms.catalogue import ALGORITHMS
from curricle.config import SessionConfig
from curricle.students.base import Student

STAGES = 10
PARTS = ((0.45, LevelReplayConfig()), (0.45, LearnabilityConfig()))
"""Of a mixture: two views of what is worth playing, and a floor."""


def make_config(
    algorithm: str, student: Student, episodes: int, fields: Mapping[str, Any]
) -> SessionConfig:
    """The configuration of an algorithm of the catalogue, for a table of this process alone.

    What an algorithm has no default for, because it describes the tasks or the run, has these
    values where ``fields`` has no others:

    - ``parameters``: the student's.
    - ``stages``: ten of equal size, by the mean of a task's parameters.
    - ``episodes_per_stage``: equal parts of the run.
    - ``parts`` of a mixture: level replay and learnability, alike, and a tenth uniformly.

    Args:
        algorithm: its name in the catalogue.
        student: whose tasks they are.
        episodes: of the run, >= 1.
        fields: further fields of the configuration.

    Raises:
        pydantic.ValidationError: (a ``ValueError``) fields that the configuration does not take.
    """
    kind = ALGORITHMS[algorithm]
    order = np.argsort(student.parameters.mean(axis=1), kind="stable")
    stages = [stage.tolist() for stage in np.array_split(order, min(STAGES, len(order)))]
    known = {
        "parameters": student.parameters,
        "stages": stages,
        "episodes_per_stage": max(1, episodes // len(stages)),
        "parts": PARTS,
    }
    own = {name: value for name, value in known.items() if name in kind.model_fields}
    return kind(**{"use_shared_memory": False, **own, **fields})
