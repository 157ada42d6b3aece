"""Where things stand in a room: a layout drawn from the seed of a task, with look-up tables.

All that a step needs is worked out here once per task, so that a step is a few look-ups.
"""

import random
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from curricle.assembly_lines.config import (
    HEART,
    MAX_CHAIN_LENGTH,
    MAX_SINKS,
    NOTHING,
    ORE,
    UNOBTAINIUM,
    AssemblyLinesConfig,
    Side,
)

ABSENT, EXTRACTOR, ASSEMBLER, SINK = range(4)

SIDES = ("north", "east", "south", "west")
#: (row, column) step of each action; action i moves towards side i.
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))

MAX_OBJECTS = 1 + MAX_CHAIN_LENGTH + MAX_SINKS
#: Before the objects an observation holds: held item, required side, wall on each of four sides.
HEADER_SIZE = 6
#: Per object: kind, row offset, column offset, accepted item, yielded item.
OBJECT_SIZE = 5
OBSERVATION_SIZE = HEADER_SIZE + OBJECT_SIZE * MAX_OBJECTS

_WALL_SHARE = 1 / 8
_ATTEMPTS = 1000


@dataclass(frozen=True, slots=True)
class Machine:
    """An object of the room: what it is, where it stands, what it takes and gives."""

    kind: int
    row: int
    column: int
    accepts: int
    yields: int

    def serve(self, held: int) -> int:
        """What a hand that holds ``held`` holds after using the machine."""
        if self.kind == SINK:
            return NOTHING
        return self.yields if held == self.accepts else held


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A room ready to be stepped.

    Attributes:
        width: cells along one side.
        walls: cells (``row * width + column``) that are wall.
        machines: extractor, assemblers in the order of the chain, sinks.
        stands: per machine a set of cells for each agent that using it takes, on which that
            agent must stand.
        starts: cells on which an agent may start; all of them reach every machine.
        targets: per cell and action: the cell that the move leads to; the cell itself if the way
            is blocked; ``-1 - index`` if the move uses machine ``index``.
        observations: int8, shape (cells, OBSERVATION_SIZE): what an empty-handed agent sees.
    """

    width: int
    walls: frozenset[int]
    machines: tuple[Machine, ...]
    stands: tuple[tuple[frozenset[int], ...], ...]
    starts: tuple[int, ...]
    targets: tuple[tuple[int, int, int, int], ...]
    observations: NDArray[np.int8]


@lru_cache(maxsize=1024)
def build_layout(config: AssemblyLinesConfig) -> Layout:
    """The layout of a task: the same for the same configuration, in every process.

    Raises:
        ValueError: the task has no room of its own, or none was found in which the agent reaches
            every machine.
    """
    if config.seed is None:
        raise ValueError(
            f"{config.label} with seed=None has another room each episode: give it a seed, or take "
            "the task of in_a_room()"
        )
    # Only random() is used: it alone promises the same numbers in every version of Python.
    rng = random.Random(config.seed)
    for _ in range(_ATTEMPTS):
        placed = _place(config, rng)
        if placed is not None:
            return _finish(config, *placed)
    raise ValueError(
        f"no layout in which every machine can be reached was found in {_ATTEMPTS} attempts for "
        f"{config.label} with terrain {config.terrain!r}, positions {config.positions!r} and seed "
        f"{config.seed}; take a larger room, fewer machines or terrain 'none'"
    )


def _place(
    config: AssemblyLinesConfig, rng: random.Random
) -> tuple[tuple[Machine, ...], frozenset[int]] | None:
    """Machines, then walls, one after the other; each on the first cell that cuts nothing off."""
    width = config.width
    cells = list(range(width * width))
    _shuffle(cells, rng)
    machines: list[Machine] = []
    free = set(cells)
    stands: list[frozenset[int]] = []
    for kind, accepts, yields in _roles(config):
        for cell in cells:
            needed = _stands(config, kind, cell)
            if cell in free and _is_connected(width, free - {cell}, [*stands, *needed]):
                break
        else:
            return None
        free.remove(cell)
        stands.extend(needed)
        machines.append(Machine(kind, *divmod(cell, width), accepts, yields))
    num_walls = int(len(cells) * _WALL_SHARE) if config.terrain == "walls" else 0
    walls: set[int] = set()
    for cell in cells:
        if len(walls) == num_walls:
            break
        if cell in free and _is_connected(width, free - {cell}, stands):
            free.remove(cell)
            walls.add(cell)
    return (tuple(machines), frozenset(walls)) if len(walls) == num_walls else None


def _shuffle(cells: list[int], rng: random.Random) -> None:
    for last in range(len(cells) - 1, 0, -1):
        other = int(rng.random() * (last + 1))
        cells[last], cells[other] = cells[other], cells[last]


def _roles(config: AssemblyLinesConfig) -> list[tuple[int, int, int]]:
    roles: list[tuple[int, int, int]] = [(EXTRACTOR, NOTHING, ORE)]
    for item in range(ORE, ORE + config.chain_length):
        is_last = item == config.chain_length
        accepts = UNOBTAINIUM if is_last and config.impossible else item
        roles.append((ASSEMBLER, accepts, HEART if is_last else item + 1))
    return roles + [(SINK, NOTHING, NOTHING)] * config.num_sinks


@cache
def _neighbours(width: int) -> tuple[tuple[int | None, ...], ...]:
    """Per cell the cell on each side; ``None`` outside of the room."""

    def neighbour(cell: int, down: int, right: int) -> int | None:
        row, column = cell // width + down, cell % width + right
        return row * width + column if 0 <= row < width and 0 <= column < width else None

    return tuple(tuple(neighbour(cell, *move) for move in MOVES) for cell in range(width * width))


def _stands(config: AssemblyLinesConfig, kind: int, cell: int) -> tuple[frozenset[int], ...]:
    """For each agent that using a machine on ``cell`` takes, the cells from which it does."""
    around = _neighbours(config.width)[cell]
    sides: tuple[Side, ...] = config.positions if kind == ASSEMBLER else ("any",)
    return tuple(
        frozenset(
            stand
            for stand in (around if side == "any" else (around[SIDES.index(side)],))
            if stand is not None
        )
        for side in sides
    )


def _is_connected(width: int, free: set[int], stands: list[frozenset[int]]) -> bool:
    """Whether every free cell reaches every other one and a stand cell of every machine."""
    if any(free.isdisjoint(stand) for stand in stands):
        return False
    neighbours = _neighbours(width)
    frontier = [next(iter(free))]
    unseen = set(free)
    unseen.discard(frontier[0])
    while frontier and unseen:
        for cell in neighbours[frontier.pop()]:
            if cell in unseen:
                unseen.discard(cell)
                frontier.append(cell)
    return not unseen


def _finish(
    config: AssemblyLinesConfig, machines: tuple[Machine, ...], walls: frozenset[int]
) -> Layout:
    width = config.width
    index_at = {m.row * width + m.column: index for index, m in enumerate(machines)}
    stands = tuple(_stands(config, machines[index].kind, cell) for cell, index in index_at.items())

    def target(cell: int, action: int) -> int:
        neighbour = _neighbours(width)[cell][action]
        if neighbour is None or neighbour in walls:
            return cell
        index = index_at.get(neighbour)
        if index is None:
            return neighbour
        return -1 - index if any(cell in stand for stand in stands[index]) else cell

    cells = range(width * width)
    return Layout(
        width=width,
        walls=walls,
        machines=machines,
        stands=stands,
        starts=tuple(cell for cell in cells if cell not in index_at and cell not in walls),
        targets=tuple(
            (target(cell, 0), target(cell, 1), target(cell, 2), target(cell, 3)) for cell in cells
        ),
        observations=_observe_cells(width, walls, machines, config.positions[0]),
    )


def _observe_cells(
    width: int, walls: frozenset[int], machines: tuple[Machine, ...], side: Side
) -> NDArray[np.int8]:
    rows, columns = np.divmod(np.arange(width * width), width)
    blocked = np.ones((width + 2, width + 2), np.int8)
    blocked[1:-1, 1:-1] = 0
    for cell in walls:
        blocked[cell // width + 1, cell % width + 1] = 1
    table = np.zeros((width * width, OBSERVATION_SIZE), np.int8)
    table[:, 1] = 0 if side == "any" else 1 + SIDES.index(side)
    for action, (down, right) in enumerate(MOVES):
        table[:, 2 + action] = blocked[rows + 1 + down, columns + 1 + right]
    for index, machine in enumerate(machines):
        at = HEADER_SIZE + OBJECT_SIZE * index
        table[:, at] = machine.kind
        table[:, at + 1] = machine.row - rows
        table[:, at + 2] = machine.column - columns
        table[:, at + 3] = machine.accepts
        table[:, at + 4] = machine.yields
    return table
