"""The built-in environment: chains of assemblers in a grid room, its tasks and their generator."""

from typing import TYPE_CHECKING, Any

from curricle.assembly_lines.config import AssemblyLinesConfig
from curricle.assembly_lines.env import AssemblyLinesEnv
from curricle.assembly_lines.generator import AssemblyLinesTaskGenerator

if TYPE_CHECKING:
    from curricle.assembly_lines.parallel_env import AssemblyLinesParallelEnv

__all__ = [
    "AssemblyLinesConfig",
    "AssemblyLinesEnv",
    "AssemblyLinesParallelEnv",
    "AssemblyLinesTaskGenerator",
]


def __getattr__(name: str) -> Any:
    # PettingZoo is an extra: it is imported when the environment is first asked for.
    if name != "AssemblyLinesParallelEnv":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from curricle.assembly_lines.parallel_env import AssemblyLinesParallelEnv
    except ModuleNotFoundError as error:
        raise ImportError(
            "AssemblyLinesParallelEnv needs PettingZoo: pip install 'curricle[pettingzoo]'"
        ) from error
    return AssemblyLinesParallelEnv
