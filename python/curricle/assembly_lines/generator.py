"""Assembly-line tasks by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeVar

from pydantic import Field

from curricle.assembly_lines.config import (
    MAX_CHAIN_LENGTH,
    MAX_SINKS,
    AssemblyLinesConfig,
    RoomSize,
    Side,
    Terrain,
)
from curricle.generators.base import TaskGenerator, TaskGeneratorConfig
from curricle.tasks import CurriculumTask

T = TypeVar("T")
ChainLength = Annotated[int, Field(ge=1, le=MAX_CHAIN_LENGTH, strict=True)]
NumSinks = Annotated[int, Field(ge=0, le=MAX_SINKS, strict=True)]


class AssemblyLinesTaskGenerator(TaskGenerator):
    """Draws chain length, sinks, room, terrain and positions of a task from its id.

    The layout's seed is the id, so two ids of one label are two rooms.

    Example:
        >>> generator = AssemblyLinesTaskGenerator()
        >>> generator.get_task(5) == AssemblyLinesTaskGenerator().get_task(5)
        True
    """

    class Config(TaskGeneratorConfig):
        """What there is to choose from; every choice is equally likely.

        Attributes:
            chain_lengths: numbers of assemblers, each 1 to 6.
            num_sinks: numbers of sinks, each 0 to 4.
            room_sizes: "tiny", "small", "medium".
            terrains: "none", "walls".
            positions: entries of ``AssemblyLinesConfig.positions``.
            impossible_ratio: share of tasks that need unobtainium, in [0, 1].
        """

        chain_lengths: tuple[ChainLength, ...] = Field(default=(1, 2, 3, 4), min_length=1)
        num_sinks: tuple[NumSinks, ...] = Field(default=(0, 1), min_length=1)
        room_sizes: tuple[RoomSize, ...] = Field(default=("tiny", "small", "medium"), min_length=1)
        terrains: tuple[Terrain, ...] = Field(default=("none",), min_length=1)
        positions: tuple[tuple[Side, ...], ...] = Field(default=(("any",),), min_length=1)
        impossible_ratio: float = Field(default=0.1, ge=0.0, le=1.0)

        def create(self) -> AssemblyLinesTaskGenerator:
            """The generator of this configuration."""
            return AssemblyLinesTaskGenerator(self)

        @classmethod
        def published(cls, impossible_ratio: float = 0.1) -> AssemblyLinesTaskGenerator.Config:
            """The published set: chains of 2 to 4, 0 or 1 sinks, small and medium rooms."""
            return cls(
                chain_lengths=(2, 3, 4),
                room_sizes=("small", "medium"),
                impossible_ratio=impossible_ratio,
            )

    config: Config

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(self.Config() if config is None else config)

    def get_task(self, task_id: int) -> AssemblyLinesConfig:
        """The task of an id."""
        # Only random() is used: it alone promises the same numbers in every version of Python.
        random = self.rng(task_id).random

        def choose(choices: Sequence[T]) -> T:
            return choices[int(random() * len(choices))]

        config = AssemblyLinesConfig(
            chain_length=choose(self.config.chain_lengths),
            num_sinks=choose(self.config.num_sinks),
            room_size=choose(self.config.room_sizes),
            terrain=choose(self.config.terrains),
            positions=choose(self.config.positions),
            seed=task_id & 0xFFFF_FFFF_FFFF_FFFF,
        )
        if random() < self.config.impossible_ratio:
            return self.make_impossible_task(config)
        return config

    def task(self, task_id: int) -> CurriculumTask:
        """The task of an id, with the values that were chosen for it."""
        config = self.get_task(task_id)
        chosen = config.model_dump(exclude={"seed", "max_steps"})
        return CurriculumTask(task_id, config, chosen, label=self.label)

    @staticmethod
    def make_impossible_task(config: AssemblyLinesConfig) -> AssemblyLinesConfig:
        """The same task with a last assembler that accepts only unobtainium: always returns 0."""
        return config.model_copy(update={"impossible": True})
