"""Wrappers that let environments play the tasks of a curriculum."""

from typing import TYPE_CHECKING, Any

from curricle.envs.apply import Apply, Rebuild, ResetOptions
from curricle.envs.episode import Episode
from curricle.envs.infos import tickets
from curricle.envs.vector import CurriculumVectorEnv
from curricle.envs.wrapper import CurriculumEnv

if TYPE_CHECKING:
    from curricle.envs.parallel import CurriculumParallelEnv

__all__ = [
    "Apply",
    "CurriculumEnv",
    "CurriculumParallelEnv",
    "CurriculumVectorEnv",
    "Episode",
    "Rebuild",
    "ResetOptions",
    "tickets",
]


def __getattr__(name: str) -> Any:
    # PettingZoo is an extra: it is imported when its wrapper is first asked for.
    if name != "CurriculumParallelEnv":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from curricle.envs.parallel import CurriculumParallelEnv
    except ModuleNotFoundError as error:
        raise ImportError(
            "CurriculumParallelEnv needs PettingZoo: pip install 'curricle[pettingzoo]'"
        ) from error
    return CurriculumParallelEnv
