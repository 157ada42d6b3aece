"""What one task of the assembly lines is: a frozen, validated configuration."""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

Side = Literal["any", "north", "east", "south", "west"]
RoomSize = Literal["tiny", "small", "medium", "large", "xlarge"]
Terrain = Literal["none", "walls"]

MAX_CHAIN_LENGTH = 6
MAX_SINKS = 4
MAX_AGENTS = 2
#: Probability that an episode of a noisy task is worth 1.
COIN = 0.5

#: Ends of the labels of tasks on which nothing can be learned.
IMPOSSIBLE_SUFFIX = "_IMPOSSIBLE"
NOISY_SUFFIX = "_NOISY"

# Seeds of rooms that are drawn are below this one.
_DRAWN_SEEDS = 2**31

#: Free cells along one side of a room.
ROOM_WIDTHS: dict[RoomSize, int] = {"tiny": 5, "small": 7, "medium": 9, "large": 12, "xlarge": 18}

#: Items by id. Assembler number i of a chain (from 1) accepts item i and yields item i + 1; the
#: last one yields the heart instead. Nothing yields unobtainium.
ITEMS = (
    "nothing",
    "ore",
    "ingot",
    "wire",
    "circuit",
    "sensor",
    "module",
    "heart",
    "unobtainium",
)
NOTHING = ITEMS.index("nothing")
ORE = ITEMS.index("ore")
HEART = ITEMS.index("heart")
UNOBTAINIUM = ITEMS.index("unobtainium")


class AssemblyLinesConfig(BaseModel):
    """One task: a room, a chain of assemblers from ore to a heart, and sinks beside them.

    Attributes:
        chain_length: assemblers between the ore and the heart, 1 to 6.
        num_sinks: objects that eat what the agent holds and give nothing, 0 to 4.
        room_size: "tiny" (5x5 cells), "small" (7x7), "medium" (9x9), "large" (12x12) or "xlarge"
            (18x18).
        terrain: "none" (an empty room) or "walls" (an eighth of the cells is wall).
        num_agents: 1 (``AssemblyLinesEnv``) or 2 (``AssemblyLinesParallelEnv``).
        positions: one entry for each agent that it takes to use an assembler, at most
            ``num_agents``: the side of the assembler on which that agent must stand. "any" is
            every side. With two entries the two agents stand as the entries say, in either
            order, and both hold what the assembler accepts; a tiny room has no layout for two
            different sides with the longest chains.
        seed: seed of the layout, 0 or more; ``None``: each episode is in another room.
        impossible: the last assembler accepts only unobtainium, so that no heart can be made.
        noisy: an episode is worth 0 or 1 by the toss of a fair coin, whatever the agents do.
        max_steps: steps after which an episode is truncated; ``None`` is
            ``6 * width * (chain_length + 1)``.

    Raises:
        pydantic.ValidationError: (a ``ValueError``) an unknown field, a value out of its range,
            more positions than agents, or a task that is both impossible and noisy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    chain_length: int = Field(default=2, ge=1, le=MAX_CHAIN_LENGTH)
    num_sinks: int = Field(default=0, ge=0, le=MAX_SINKS)
    room_size: RoomSize = "small"
    terrain: Terrain = "none"
    num_agents: int = Field(default=1, ge=1, le=MAX_AGENTS)
    positions: Annotated[
        tuple[Side, ...], Field(min_length=1, max_length=MAX_AGENTS, strict=False)
    ] = ("any",)
    seed: int | None = Field(default=0, ge=0)
    impossible: bool = False
    noisy: bool = False
    max_steps: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _agents_suffice(self) -> Self:
        if len(self.positions) > self.num_agents:
            raise ValueError(
                f"positions={self.positions} takes {len(self.positions)} agents and there is "
                f"num_agents={self.num_agents}: give one entry, or num_agents=2"
            )
        return self

    @model_validator(mode="after")
    def _one_family(self) -> Self:
        if self.impossible and self.noisy:
            raise ValueError("impossible=True and noisy=True: a task is one or the other")
        return self

    def in_a_room(self, rng: np.random.Generator) -> Self:
        """The task in its room, or in one that is drawn where it has none of its own."""
        if self.seed is not None:
            return self
        return self.model_copy(update={"seed": int(rng.integers(_DRAWN_SEEDS))})

    @property
    def width(self) -> int:
        """Free cells along one side of the room."""
        return ROOM_WIDTHS[self.room_size]

    @property
    def step_limit(self) -> int:
        """Steps after which an episode is truncated."""
        if self.max_steps is not None:
            return self.max_steps
        return 6 * self.width * (self.chain_length + 1)

    @property
    def label(self) -> str:
        """``{room}_{chain}chain_{sinks}sinks``, and what else sets the task apart.

        ``_2agents`` for two agents, then ``_IMPOSSIBLE`` where no heart can be made or ``_NOISY``
        where a coin decides.
        """
        agents = "" if self.num_agents == 1 else f"_{self.num_agents}agents"
        suffix = IMPOSSIBLE_SUFFIX if self.impossible else NOISY_SUFFIX if self.noisy else ""
        return f"{self.room_size}_{self.chain_length}chain_{self.num_sinks}sinks{agents}{suffix}"
