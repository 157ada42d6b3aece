"""A generator that chooses among others by weight."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Sequence
from typing import Any

from pydantic import model_validator

from curricle.generators.base import GeneratorOrConfig, TaskGenerator, TaskGeneratorConfig
from curricle.tasks import CurriculumTask


class TaskGeneratorSet(TaskGenerator):
    """Each task id belongs to one of several generators, in proportion to their weights.

    A label that the chosen generator or its configuration gives goes before the set's own.

    Raises:
        ValueError: no generators, as many weights as not generators, or weights that are not
            finite, negative or all zero.
    """

    class Config(TaskGeneratorConfig):
        """Attributes: ``generators`` (or their configurations) and ``weights`` (default: equal)."""

        generators: list[GeneratorOrConfig]
        weights: list[float] | None = None

        @model_validator(mode="after")
        def _weights_fit(self) -> TaskGeneratorSet.Config:
            if not self.generators:
                raise ValueError("a set needs at least one generator")
            weights = self.weights
            if weights is None:
                return self
            if len(weights) != len(self.generators):
                raise ValueError(f"{len(weights)} weights for {len(self.generators)} generators")
            if not all(math.isfinite(weight) and weight >= 0.0 for weight in weights):
                raise ValueError(f"weights must be finite and >= 0, got {weights}")
            if not math.isfinite(sum(weights)):
                raise ValueError(f"weights must have a finite sum, got {weights}")
            if not any(weights):
                raise ValueError("at least one weight must be above 0")
            return self

        def create(self) -> TaskGeneratorSet:
            """The generator of this configuration."""
            return TaskGeneratorSet(self)

    def __init__(self, config: TaskGeneratorSet.Config) -> None:
        super().__init__(config)
        self._generators: Sequence[TaskGenerator] = [
            generator if isinstance(generator, TaskGenerator) else generator.create()
            for generator in config.generators
        ]
        weights = config.weights or [1.0] * len(self._generators)
        self._bounds = list(itertools.accumulate(weights))
        nested = [g._depth for g in self._generators if isinstance(g, TaskGeneratorSet)]
        # The salt of the choice: with its child's stream, the choice would decide what the
        # child draws first.
        self._depth: int = 1 + max(nested, default=0)

    def get_task(self, task_id: int) -> Any:
        """The configuration that the task's generator makes."""
        return self._choose(task_id).get_task(task_id)

    def task(self, task_id: int) -> CurriculumTask:
        """The task that its generator makes."""
        task = self._choose(task_id).task(task_id)
        label = task.get_label()
        return CurriculumTask(
            task_id, task.env_cfg, task.slice_values, label=self.label if label is None else label
        )

    def _choose(self, task_id: int) -> TaskGenerator:
        point = self.rng(task_id, salt=self._depth).random() * self._bounds[-1]
        chosen = bisect.bisect(self._bounds, point, hi=len(self._bounds) - 1)
        return self._generators[chosen]
