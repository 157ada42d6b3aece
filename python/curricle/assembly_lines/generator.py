"""Assembly-line tasks by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self, TypeVar

from pydantic import Field, model_validator

from curricle.assembly_lines.config import (
    MAX_AGENTS,
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
NumAgents = Annotated[int, Field(ge=1, le=MAX_AGENTS, strict=True)]
Positions = Annotated[tuple[Side, ...], Field(min_length=1, max_length=MAX_AGENTS)]


class AssemblyLinesTaskGenerator(TaskGenerator):
    """Draws chain length, sinks, room, terrain, agents and positions of a task from its id.

    The layout's seed is the id, so two ids of one label are two rooms, unless each episode of a
    task is to be in another one.

    Example:
        >>> generator = AssemblyLinesTaskGenerator()
        >>> generator.get_task(5) == AssemblyLinesTaskGenerator().get_task(5)
        True
    """

    class Config(TaskGeneratorConfig):
        """What there is to choose from; every choice is equally likely.

        Agents and positions are one choice, among the pairs that have an agent for each entry.

        Attributes:
            chain_lengths: numbers of assemblers, each 1 to 6.
            num_sinks: numbers of sinks, each 0 to 4.
            room_sizes: "tiny", "small", "medium", "large", "xlarge".
            terrains: "none", "walls".
            num_agents: numbers of agents, each 1 or 2.
            positions: values of ``AssemblyLinesConfig.positions``.
            impossible_ratio: share of tasks that need unobtainium, in [0, 1].
            noisy_ratio: share of tasks whose reward is a coin's, in [0, 1]; the two shares
                together are at most 1.
            fresh_rooms: each episode is in another room, in place of one room for each task.

        Raises:
            pydantic.ValidationError: (a ``ValueError``) an unknown field, an empty choice or a
                value out of its range, shares that exceed 1, or no agents for any positions.
        """

        chain_lengths: tuple[ChainLength, ...] = Field(default=(1, 2, 3, 4), min_length=1)
        num_sinks: tuple[NumSinks, ...] = Field(default=(0, 1), min_length=1)
        room_sizes: tuple[RoomSize, ...] = Field(default=("tiny", "small", "medium"), min_length=1)
        terrains: tuple[Terrain, ...] = Field(default=("none",), min_length=1)
        num_agents: tuple[NumAgents, ...] = Field(default=(1,), min_length=1)
        positions: tuple[Positions, ...] = Field(default=(("any",),), min_length=1)
        impossible_ratio: float = Field(default=0.1, ge=0.0, le=1.0)
        noisy_ratio: float = Field(default=0.0, ge=0.0, le=1.0)
        fresh_rooms: bool = False

        @model_validator(mode="after")
        def _shares_fit(self) -> Self:
            if self.impossible_ratio + self.noisy_ratio > 1.0:
                raise ValueError(
                    f"impossible_ratio={self.impossible_ratio} and noisy_ratio={self.noisy_ratio} "
                    "are shares of one set of tasks: together they must be at most 1"
                )
            return self

        @model_validator(mode="after")
        def _has_a_team(self) -> Self:
            if not self.teams:
                raise ValueError(
                    f"positions={self.positions} all take more agents than num_agents="
                    f"{self.num_agents}: add 2 to num_agents, or positions of one entry"
                )
            return self

        @property
        def teams(self) -> tuple[tuple[int, tuple[Side, ...]], ...]:
            """The pairs of agents and positions that have an agent for each entry."""
            return tuple(
                (agents, positions)
                for agents in self.num_agents
                for positions in self.positions
                if len(positions) <= agents
            )

        def create(self) -> AssemblyLinesTaskGenerator:
            """The generator of this configuration."""
            return AssemblyLinesTaskGenerator(self)

        @classmethod
        def published(
            cls, impossible_ratio: float = 0.1, noisy_ratio: float = 0.0
        ) -> AssemblyLinesTaskGenerator.Config:
            """The published set: 1 or 2 agents, chains of 2 to 4, small and medium rooms."""
            return cls(
                num_agents=(1, 2),
                chain_lengths=(2, 3, 4),
                num_sinks=(0, 1),
                room_sizes=("small", "medium"),
                positions=(("any",), ("any", "any")),
                impossible_ratio=impossible_ratio,
                noisy_ratio=noisy_ratio,
            )

        @classmethod
        def long_chains(
            cls, impossible_ratio: float = 0.1, noisy_ratio: float = 0.0
        ) -> AssemblyLinesTaskGenerator.Config:
            """Chains of 3 and 4 in small and medium rooms: no task of these is learned at once."""
            return cls(
                chain_lengths=(3, 4),
                room_sizes=("small", "medium"),
                impossible_ratio=impossible_ratio,
                noisy_ratio=noisy_ratio,
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

        chain_length = choose(self.config.chain_lengths)
        num_sinks = choose(self.config.num_sinks)
        room_size = choose(self.config.room_sizes)
        terrain = choose(self.config.terrains)
        num_agents, positions = choose(self.config.teams)
        config = AssemblyLinesConfig(
            chain_length=chain_length,
            num_sinks=num_sinks,
            room_size=room_size,
            terrain=terrain,
            num_agents=num_agents,
            positions=positions,
            seed=None if self.config.fresh_rooms else task_id & 0xFFFF_FFFF_FFFF_FFFF,
        )
        family = random()
        if family < self.config.impossible_ratio:
            return self.make_impossible_task(config)
        if family < self.config.impossible_ratio + self.config.noisy_ratio:
            return self.make_noisy_task(config)
        return config

    def task(self, task_id: int) -> CurriculumTask:
        """The task of an id, with the values that were chosen for it."""
        config = self.get_task(task_id)
        chosen = config.model_dump(exclude={"seed", "max_steps"})
        return CurriculumTask(task_id, config, chosen, label=self.label)

    @staticmethod
    def make_impossible_task(config: AssemblyLinesConfig) -> AssemblyLinesConfig:
        """The same task with a last assembler that accepts only unobtainium: always returns 0."""
        return config.model_copy(update={"impossible": True, "noisy": False})

    @staticmethod
    def make_noisy_task(config: AssemblyLinesConfig) -> AssemblyLinesConfig:
        """The same task with a coin for a reward: returns 0 or 1, whatever the agents do."""
        return config.model_copy(update={"noisy": True, "impossible": False})
