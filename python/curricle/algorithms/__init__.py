"""How tasks are chosen."""

from curricle.algorithms.base import CurriculumAlgorithm, WeightAlgorithm
from curricle.algorithms.custom import CustomAlgorithm
from curricle.algorithms.learning_progress import LearningProgressAlgorithm
from curricle.algorithms.uniform import UniformAlgorithm

__all__ = [
    "CurriculumAlgorithm",
    "CustomAlgorithm",
    "LearningProgressAlgorithm",
    "UniformAlgorithm",
    "WeightAlgorithm",
]
