"""How tasks are chosen."""

from curricle.algorithms.alp_gmm import AlpGmmConfig
from curricle.algorithms.base import CurriculumAlgorithm, WeightAlgorithm
from curricle.algorithms.custom import CustomAlgorithm, CustomConfig
from curricle.algorithms.exp3 import Exp3Config
from curricle.algorithms.frontier import FrontierConfig
from curricle.algorithms.learnability import LearnabilityConfig
from curricle.algorithms.learning_progress import LearningProgressAlgorithm
from curricle.algorithms.level_replay import LevelReplayConfig
from curricle.algorithms.mixture import MixtureConfig
from curricle.algorithms.stages import AnnealedStagesConfig, SequentialStagesConfig
from curricle.algorithms.teacher_student import TeacherStudentConfig
from curricle.algorithms.uniform import UniformAlgorithm
from curricle.algorithms.variance import VarianceConfig

__all__ = [
    "AlpGmmConfig",
    "AnnealedStagesConfig",
    "CurriculumAlgorithm",
    "CustomAlgorithm",
    "CustomConfig",
    "Exp3Config",
    "FrontierConfig",
    "LearnabilityConfig",
    "LearningProgressAlgorithm",
    "LevelReplayConfig",
    "MixtureConfig",
    "SequentialStagesConfig",
    "TeacherStudentConfig",
    "UniformAlgorithm",
    "VarianceConfig",
    "WeightAlgorithm",
]
