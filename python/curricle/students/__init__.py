"""Synthetic students: what a curriculum is tried on before an agent is trained with it."""

from curricle.students.base import Student, episode_steps
from curricle.students.hypercube import HypercubeStudent
from curricle.students.noisy_chain import NoisyChainStudent

__all__ = ["HypercubeStudent", "NoisyChainStudent", "Student", "episode_steps"]
