"""The built-in environment: chains of assemblers in a grid room, its tasks and their generator."""

from curricle.assembly_lines.config import AssemblyLinesConfig
from curricle.assembly_lines.env import AssemblyLinesEnv
from curricle.assembly_lines.generator import AssemblyLinesTaskGenerator

__all__ = ["AssemblyLinesConfig", "AssemblyLinesEnv", "AssemblyLinesTaskGenerator"]
