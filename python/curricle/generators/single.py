"""A generator of one task."""

from __future__ import annotations

import copy
from typing import Any

from curricle.generators.base import TaskGenerator, TaskGeneratorConfig


class SingleTaskGenerator(TaskGenerator):
    """Every id is the same configuration; each task gets a copy of its own."""

    class Config(TaskGeneratorConfig):
        """Attributes: ``env``, the configuration."""

        env: Any

        def create(self) -> SingleTaskGenerator:
            """The generator of this configuration."""
            return SingleTaskGenerator(self)

    def __init__(self, config: SingleTaskGenerator.Config) -> None:
        super().__init__(config)
        self._env = config.env

    def get_task(self, task_id: int) -> Any:
        """A copy of the configuration."""
        return copy.deepcopy(self._env)
