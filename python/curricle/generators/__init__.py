"""Task generators: the same id gives the same task, everywhere."""

from curricle.generators.base import TaskGenerator, TaskGeneratorConfig
from curricle.generators.bucketed import BucketedTaskGenerator, Span
from curricle.generators.single import SingleTaskGenerator
from curricle.generators.weighted import TaskGeneratorSet

__all__ = [
    "BucketedTaskGenerator",
    "SingleTaskGenerator",
    "Span",
    "TaskGenerator",
    "TaskGeneratorConfig",
    "TaskGeneratorSet",
]
