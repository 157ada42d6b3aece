"""Lakes for the family of frozen lakes, and what can be achieved on them."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.toy_text.frozen_lake import is_valid
from numpy.typing import NDArray

SIZES = (4, 5, 6, 7, 8)
LARGEST = SIZES[-1]
TIME_LIMIT = 100

Lake = list[str]
"""Rows of F (frozen) and H (hole), 8 x 8; the goal is the last cell."""


def make_lakes(shares: tuple[float, ...], rng: np.random.Generator) -> list[Lake]:
    """A lake for each share of holes, with the holes of the smaller shares among its own.

    All their corners can be crossed: a path without holes leads from the start to the goal.

    Args:
        shares: of the cells that are holes, ascending, each in [0, 1).
        rng: of the places of the holes.
    """
    while True:
        height = rng.random((LARGEST, LARGEST))
        lakes = [["".join(row) for row in np.where(height < share, "H", "F")] for share in shares]
        corners = (corner(lakes[-1], size) for size in SIZES)
        if all(is_valid([list(row) for row in rows], len(rows)) for rows in corners):
            return lakes


def blocked_lake() -> Lake:
    """A lake without a way to its goal, and with no other holes than those around it."""
    lake = ["F" * LARGEST] * LARGEST
    lake[-2] = lake[-1] = "F" * (LARGEST - 1) + "H"
    lake[-1] = "F" * (LARGEST - 2) + "HF"
    return lake


def corner(lake: Lake, size: int) -> list[str]:
    """The rows of the corner at the goal, with start and goal."""
    rows = [list(row[-size:]) for row in lake[-size:]]
    rows[0][0], rows[-1][-1] = "S", "G"
    return ["".join(row) for row in rows]


def corner_cells(size: int) -> list[int]:
    """Cells of the whole lake, by the cells of its corner."""
    first = LARGEST - size
    return [(first + cell // size) * LARGEST + first + cell % size for cell in range(size**2)]


def make_env(lake: Lake, size: int, control: float) -> gym.Env[Any, Any]:
    """FrozenLake-v1 on the corner of a lake.

    Args:
        lake: the whole lake.
        size: of the corner, in cells a side.
        control: probability that a step goes where it was meant to, and not to one of the sides.
    """
    return gym.make(
        "FrozenLake-v1",
        desc=corner(lake, size),
        is_slippery=True,
        success_rate=control,
        max_episode_steps=TIME_LIMIT,
        disable_env_checker=True,
    )


class Crossings:
    """How likely a policy gets to the goal of each lake within the time limit; not sampled.

    Args:
        envs: n environments of FrozenLake-v1, of at most 8 x 8 cells.
    """

    def __init__(self, envs: list[gym.Env[Any, Any]]) -> None:
        # Probabilities of going from cell to cell, and of reaching the goal from there at once.
        self._moves = np.zeros((len(envs), LARGEST**2, 4, LARGEST**2))
        self._arrivals = np.zeros((len(envs), LARGEST**2, 4))
        for lake, env in enumerate(envs):
            for cell, actions in env.unwrapped.P.items():  # type: ignore[attr-defined]
                for action, outcomes in actions.items():
                    for chance, following, reward, ends in outcomes:
                        self._arrivals[lake, cell, action] += chance * reward
                        self._moves[lake, cell, action, following] += chance * (not ends)

    def of_policy(self, actions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Probabilities for actions of shape (n, 64), by cell; shape (n,)."""
        lakes, cells = np.indices(actions.shape)
        moves, arrivals = self._moves[lakes, cells, actions], self._arrivals[lakes, cells, actions]
        success = np.zeros(actions.shape)
        for _ in range(TIME_LIMIT):
            success = arrivals + (moves @ success[..., None])[..., 0]
        return success[:, 0]

    def of_best_policy(self) -> NDArray[np.float64]:
        """Probabilities for the best action with each number of steps left; shape (n,)."""
        success = np.zeros(self._arrivals.shape[:2])
        for _ in range(TIME_LIMIT):
            success = (self._arrivals + np.einsum("lcaf,lf->lca", self._moves, success)).max(axis=2)
        return success[:, 0]
