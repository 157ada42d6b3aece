"""The names, signatures and state dicts of the earlier Python tracker and curriculum.

The modules have the names of the earlier ones, so that changing the import lines, or aliasing
the modules, is enough to move a trainer.
"""

from curricle.compat.curriculum import Curriculum, CurriculumConfig
from curricle.compat.curriculum_base import CurriculumAlgorithm, CurriculumTask
from curricle.compat.curriculum_env import CurriculumEnv
from curricle.compat.learning_progress_algorithm import (
    LearningProgressAlgorithm,
    LearningProgressConfig,
)
from curricle.compat.lp_scorers import BasicLPScorer, BidirectionalLPScorer, LPScorer
from curricle.compat.memory_backend import (
    LocalMemoryBackend,
    SharedMemoryBackend,
    TaskMemoryBackend,
    create_memory_backend,
)
from curricle.compat.task_generator import (
    BucketedTaskGenerator,
    SingleTaskGenerator,
    Span,
    TaskGenerator,
    TaskGeneratorConfig,
    TaskGeneratorSet,
)
from curricle.compat.task_tracker import (
    CentralizedTaskTracker,
    LocalTaskTracker,
    TaskTracker,
    create_task_tracker,
)

__all__ = [
    "BasicLPScorer",
    "BidirectionalLPScorer",
    "BucketedTaskGenerator",
    "CentralizedTaskTracker",
    "Curriculum",
    "CurriculumAlgorithm",
    "CurriculumConfig",
    "CurriculumEnv",
    "CurriculumTask",
    "LPScorer",
    "LearningProgressAlgorithm",
    "LearningProgressConfig",
    "LocalMemoryBackend",
    "LocalTaskTracker",
    "SharedMemoryBackend",
    "SingleTaskGenerator",
    "Span",
    "TaskGenerator",
    "TaskGeneratorConfig",
    "TaskGeneratorSet",
    "TaskMemoryBackend",
    "TaskTracker",
    "create_memory_backend",
    "create_task_tracker",
]
