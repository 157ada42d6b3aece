"""Generators of tasks, under the module name of the earlier curriculum."""

from curricle.generators import (
    BucketedTaskGenerator,
    SingleTaskGenerator,
    Span,
    TaskGenerator,
    TaskGeneratorSet,
)
from curricle.generators.base import TaskGeneratorConfig

__all__ = [
    "BucketedTaskGenerator",
    "SingleTaskGenerator",
    "Span",
    "TaskGenerator",
    "TaskGeneratorConfig",
    "TaskGeneratorSet",
]
