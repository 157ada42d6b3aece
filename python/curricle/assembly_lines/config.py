"""What one task of the assembly lines is: a frozen, validated configuration."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Side = Literal["any", "north", "east", "south", "west"]
RoomSize = Literal["tiny", "small", "medium"]
Terrain = Literal["none", "walls"]

MAX_CHAIN_LENGTH = 6
MAX_SINKS = 4

#: Free cells along one side of a room.
ROOM_WIDTHS: dict[RoomSize, int] = {"tiny": 5, "small": 7, "medium": 9}

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
        room_size: "tiny" (5x5 cells), "small" (7x7) or "medium" (9x9).
        terrain: "none" (an empty room) or "walls" (an eighth of the cells is wall).
        positions: one entry an agent, and there is one agent: the side of an assembler on which
            it must stand to use it. "any" is every side.
        seed: seed of the layout; 0 or more.
        impossible: the last assembler accepts only unobtainium, so that no heart can be made.
        max_steps: steps after which an episode is truncated; ``None`` is
            ``6 * width * (chain_length + 1)``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    chain_length: int = Field(default=2, ge=1, le=MAX_CHAIN_LENGTH)
    num_sinks: int = Field(default=0, ge=0, le=MAX_SINKS)
    room_size: RoomSize = "small"
    terrain: Terrain = "none"
    positions: Annotated[tuple[Side, ...], Field(min_length=1, max_length=1, strict=False)] = (
        "any",
    )
    seed: int = Field(default=0, ge=0)
    impossible: bool = False
    max_steps: int | None = Field(default=None, ge=1)

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
        """``{room}_{chain}chain_{sinks}sinks``, with ``_IMPOSSIBLE`` where no heart can be made."""
        suffix = "_IMPOSSIBLE" if self.impossible else ""
        return f"{self.room_size}_{self.chain_length}chain_{self.num_sinks}sinks{suffix}"
