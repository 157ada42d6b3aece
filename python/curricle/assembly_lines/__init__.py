"""The built-in environment: chains of assemblers in a grid room, its tasks and their generator."""

import gymnasium

from curricle.assembly_lines.config import AssemblyLinesConfig
from curricle.assembly_lines.env import AssemblyLinesEnv
from curricle.assembly_lines.generator import AssemblyLinesTaskGenerator

__all__ = ["AssemblyLinesConfig", "AssemblyLinesEnv", "AssemblyLinesTaskGenerator"]

gymnasium.register(
    id="curricle/AssemblyLines-v0", entry_point="curricle.assembly_lines.env:AssemblyLinesEnv"
)
