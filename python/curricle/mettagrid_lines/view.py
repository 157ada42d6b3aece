"""MettaGrid's tokens as the observation that the built-in engine would make of them."""

from functools import cache

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from curricle.assembly_lines import AssemblyLinesEnv
from curricle.assembly_lines.config import ITEMS, ORE
from curricle.assembly_lines.layout import HEADER_SIZE, MOVES, OBJECT_SIZE, OBSERVATION_SIZE
from curricle.mettagrid_lines.game import MACHINES, OBSERVATION_WIDTH, machine_name, shared_game

_RADIUS = OBSERVATION_WIDTH // 2

# What a token tells: nothing of use, a wall, a held item (by its id), a machine (by its index).
_WALL = 1
_ITEM = 2
_MACHINE = _ITEM + len(ITEMS)


def _packed(row: int, column: int) -> int:
    """MettaGrid's byte for a cell at an offset from the agent: a nibble each."""
    return (_RADIUS + row) << 4 | (_RADIUS + column)


_BESIDE = [_packed(*move) for move in MOVES]


@cache
def _meanings() -> NDArray[np.uint8]:
    """What a token tells, by feature and value; shape (256, 256)."""
    ids = shared_game().id_map()
    tags = ids.tag_names()
    meanings = np.zeros((256, 256), np.uint8)
    # An inventory's token has its amount as value; only the agent has an inventory.
    for item, name in enumerate(ITEMS[ORE:], ORE):
        meanings[ids.feature_id(f"inv:{name}"), 1:] = _ITEM + item
    by_tag = meanings[ids.feature_id("tag")]
    by_tag[tags.index("type:wall")] = _WALL
    for index, machine in enumerate(MACHINES):
        by_tag[tags.index(f"type:{machine_name(*machine)}")] = _MACHINE + index
    return meanings


class AssemblyLinesView(gym.ObservationWrapper[NDArray[np.int8], np.int64, NDArray[np.uint8]]):
    """Shows the tokens of `MettaGridLinesEnv` as `AssemblyLinesEnv` shows its rooms.

    So one agent plays both. Observations: int8, shape (61,), see there; machines out of sight are
    absent, the others are in the order of their tokens.

    Args:
        env: a `MettaGridLinesEnv`.
    """

    def __init__(self, env: gym.Env[NDArray[np.uint8], np.int64]) -> None:
        super().__init__(env)
        self.observation_space = AssemblyLinesEnv().observation_space

    def observation(self, observation: NDArray[np.uint8]) -> NDArray[np.int8]:
        """The tokens, shape (tokens, 3), in the other form."""
        places, features, values = observation.T
        told = _meanings()[features, values]
        seen = np.zeros(OBSERVATION_SIZE, np.int8)
        walls = places[told == _WALL].tobytes()
        seen[2:HEADER_SIZE] = [place in walls for place in _BESIDE]
        at = HEADER_SIZE
        things = np.flatnonzero(told >= _ITEM)
        for thing, place in zip(told[things].tolist(), places[things].tolist(), strict=True):
            if thing < _MACHINE:
                seen[0] = thing - _ITEM
                continue
            kind, accepts, yields = MACHINES[thing - _MACHINE]
            row, column = divmod(place, 16)
            seen[at : at + OBJECT_SIZE] = kind, row - _RADIUS, column - _RADIUS, accepts, yields
            at += OBJECT_SIZE
        return seen
