"""The curriculum engine for reinforcement learning.

A `Curriculum` draws tasks by how fast the agent is learning on them; all processes of a training
run share its statistics. `CurriculumEnv` puts it into a Gymnasium environment.
"""

from typing import TYPE_CHECKING, Any

import gymnasium

from curricle._core import (
    Rules,
    Session,
    Stream,
    TaskData,
    Ticket,
    __version__,
    list_sessions,
    remove_session,
)
from curricle.algorithms import (
    AlpGmmConfig,
    AnnealedStagesConfig,
    CurriculumAlgorithm,
    CustomConfig,
    Exp3Config,
    FrontierConfig,
    LearnabilityConfig,
    LearningProgressAlgorithm,
    LevelReplayConfig,
    MixtureConfig,
    SequentialStagesConfig,
    TeacherStudentConfig,
    UniformAlgorithm,
    VarianceConfig,
    WeightAlgorithm,
)
from curricle.backends import (
    LocalMemoryBackend,
    SharedMemoryBackend,
    TaskMemoryBackend,
    create_memory_backend,
)
from curricle.config import LearningProgressConfig, NoiseAwareConfig, UniformConfig
from curricle.curriculum import Curriculum
from curricle.envs import (
    CurriculumEnv,
    CurriculumVectorEnv,
    Episode,
    Rebuild,
    ResetOptions,
    tickets,
)
from curricle.errors import (
    CapacityError,
    CheckpointError,
    CurricleError,
    EmptyTableError,
    LockTimeoutError,
    SessionError,
    UnknownTaskError,
)
from curricle.generators import (
    BucketedTaskGenerator,
    SingleTaskGenerator,
    Span,
    TaskGenerator,
    TaskGeneratorSet,
)
from curricle.tasks import CurriculumTask
from curricle.tracker import TaskTracker

if TYPE_CHECKING:
    from curricle.envs import CurriculumParallelEnv as CurriculumParallelEnv

__all__ = [
    "AlpGmmConfig",
    "AnnealedStagesConfig",
    "BucketedTaskGenerator",
    "CapacityError",
    "CheckpointError",
    "CurricleError",
    "Curriculum",
    "CurriculumAlgorithm",
    "CurriculumEnv",
    "CurriculumTask",
    "CurriculumVectorEnv",
    "CustomConfig",
    "EmptyTableError",
    "Episode",
    "Exp3Config",
    "FrontierConfig",
    "LearnabilityConfig",
    "LearningProgressAlgorithm",
    "LearningProgressConfig",
    "LevelReplayConfig",
    "LocalMemoryBackend",
    "LockTimeoutError",
    "MixtureConfig",
    "NoiseAwareConfig",
    "Rebuild",
    "ResetOptions",
    "Rules",
    "SequentialStagesConfig",
    "Session",
    "SessionError",
    "SharedMemoryBackend",
    "SingleTaskGenerator",
    "Span",
    "Stream",
    "TaskData",
    "TaskGenerator",
    "TaskGeneratorSet",
    "TaskMemoryBackend",
    "TaskTracker",
    "TeacherStudentConfig",
    "Ticket",
    "UniformAlgorithm",
    "UniformConfig",
    "UnknownTaskError",
    "VarianceConfig",
    "WeightAlgorithm",
    "__version__",
    "create_memory_backend",
    "list_sessions",
    "remove_session",
    "tickets",
]

gymnasium.register(
    id="curricle/AssemblyLines-v0", entry_point="curricle.assembly_lines.env:AssemblyLinesEnv"
)


def __getattr__(name: str) -> Any:
    if name != "CurriculumParallelEnv":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Imported when it is asked for: it needs the extra `pettingzoo`.
    from curricle.envs import CurriculumParallelEnv

    return CurriculumParallelEnv
