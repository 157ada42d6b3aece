"""The algorithms by name, as the command line and the benches know them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from curricle.algorithms.alp_gmm import AlpGmmConfig
from curricle.algorithms.exp3 import Exp3Config
from curricle.algorithms.frontier import FrontierConfig
from curricle.algorithms.learnability import LearnabilityConfig
from curricle.algorithms.level_replay import LevelReplayConfig
from curricle.algorithms.mixture import MixtureConfig
from curricle.algorithms.stages import AnnealedStagesConfig, SequentialStagesConfig
from curricle.algorithms.teacher_student import TeacherStudentConfig
from curricle.algorithms.variance import VarianceConfig
from curricle.config import (
    LearningProgressConfig,
    NoiseAwareConfig,
    SessionConfig,
    UniformConfig,
)

ALGORITHMS: Mapping[str, type[SessionConfig]] = MappingProxyType(
    {
        "learning-progress": LearningProgressConfig,
        "noise-aware": NoiseAwareConfig,
        "frontier": FrontierConfig,
        "uniform": UniformConfig,
        "variance": VarianceConfig,
        "learnability": LearnabilityConfig,
        "level-replay": LevelReplayConfig,
        "teacher-student": TeacherStudentConfig,
        "exp3": Exp3Config,
        "sequential-stages": SequentialStagesConfig,
        "annealed-stages": AnnealedStagesConfig,
        "mixture": MixtureConfig,
        "alp-gmm": AlpGmmConfig,
    }
)
"""What a curriculum takes as ``config``, by name.

Stages, the mixture, ALP-GMM and the frontier have a field without a default: their stages, parts or
parameters.
"""
