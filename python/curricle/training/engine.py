"""The engines that play the assembly lines: what differs between them, in one place."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from curricle.assembly_lines import (
    AssemblyLinesConfig,
    AssemblyLinesEnv,
    AssemblyLinesTaskGenerator,
)
from curricle.training.settings import EngineName, TaskSet


@dataclass(frozen=True, slots=True)
class Engine:
    """Who plays the tasks.

    Attributes:
        title: its name, for pictures.
        make_env: an environment for a task of one agent (``None``: one that ``set_task`` gives
            later), which observes what `AssemblyLinesEnv` does.
        has_teams: whether tasks of two agents are played in `AssemblyLinesParallelEnv`.
        choices: the choices of a task set, by its name and the ratios of impossible and of noisy
            tasks; raises ValueError for those that the engine cannot play.
    """

    title: str
    make_env: Callable[[AssemblyLinesConfig | None], gym.Env[NDArray[Any], np.int64]]
    has_teams: bool
    choices: Callable[[TaskSet, float, float], AssemblyLinesTaskGenerator.Config]


def engine_of(name: EngineName) -> Engine:
    """The engine of a name.

    Raises:
        ModuleNotFoundError: MettaGrid is not installed.
    """
    return BUILT_IN if name == "assembly-lines" else _mettagrid()


_TASK_SETS: dict[TaskSet, Callable[..., AssemblyLinesTaskGenerator.Config]] = {
    "default": AssemblyLinesTaskGenerator.Config,
    "long-chains": AssemblyLinesTaskGenerator.Config.long_chains,
    "published": AssemblyLinesTaskGenerator.Config.published,
}


def _built_in_choices(
    tasks: TaskSet, impossible_ratio: float, noisy_ratio: float
) -> AssemblyLinesTaskGenerator.Config:
    return _TASK_SETS[tasks](impossible_ratio=impossible_ratio, noisy_ratio=noisy_ratio)


BUILT_IN = Engine("Assembly lines", AssemblyLinesEnv, True, _built_in_choices)


def _mettagrid() -> Engine:
    from curricle.mettagrid_lines import AssemblyLinesView, MettaGridLinesEnv

    return Engine(
        "Assembly lines in MettaGrid",
        lambda task: AssemblyLinesView(MettaGridLinesEnv(task)),
        False,
        _mettagrid_choices,
    )


def _mettagrid_choices(
    tasks: TaskSet, impossible_ratio: float, noisy_ratio: float
) -> AssemblyLinesTaskGenerator.Config:
    """The published set is in rooms of the size that it was published with: 10 to 20 cells."""
    if noisy_ratio > 0.0:
        raise ValueError(
            f"MettaGrid tosses no coin for a reward: noisy_ratio must be 0, not {noisy_ratio}; "
            "train on noisy tasks with engine='assembly-lines'"
        )
    if tasks == "published":
        return AssemblyLinesTaskGenerator.Config(
            chain_lengths=(2, 3, 4),
            room_sizes=("large", "xlarge"),
            impossible_ratio=impossible_ratio,
        )
    return _built_in_choices(tasks, impossible_ratio, noisy_ratio)
