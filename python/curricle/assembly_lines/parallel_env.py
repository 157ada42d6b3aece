"""The assembly lines for one or two agents, as a PettingZoo environment."""

from itertools import permutations
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from numpy.typing import NDArray
from pettingzoo import ParallelEnv  # type: ignore[import-untyped]

from curricle.assembly_lines.config import (
    HEART,
    ITEMS,
    MAX_AGENTS,
    NOTHING,
    AssemblyLinesConfig,
)
from curricle.assembly_lines.layout import OBSERVATION_SIZE, SIDES, Layout, build_layout
from curricle.assembly_lines.reward import EpisodeReward
from curricle.assembly_lines.room_text import draw_room
from curricle.assembly_lines.spaces import FARTHEST, observation_bounds

#: After the entries for one agent: whether there is another agent, its row and column offset,
#: what it holds, and the second position (0 for none, then any, north, east, south, west).
PARTNER_SIZE = 5

Observation = NDArray[np.int8]


class AssemblyLinesParallelEnv(ParallelEnv):  # type: ignore[misc]
    """Agents of one team carry items from machine to machine until a heart is made.

    Machines, actions and episodes are those of ``AssemblyLinesEnv``; both agents get the reward
    of 1.0 when either of them holds a heart, and the coin of a noisy task is one for both. So
    returns are 0 or 1, the same for all agents.

    Where ``config.positions`` has one entry, each agent uses assemblers by itself. Where it has
    two, an assembler works for two: one agent uses it while both stand as the entries say (in
    either order) and both hold the item that it accepts; then it serves both. Agents pass through
    each other, so that two may stand on one cell, and act one after the other, agent_0 first.

    ``possible_agents`` are "agent_0" and "agent_1"; a task with one agent is played by the first.

    Observations: int8, shape (66,), for each agent: the 61 entries of ``AssemblyLinesEnv``, then
    1 if there is another agent, its row and column offset (in cells), the item that it holds, and
    the side that the second entry of the positions asks for (0 no second entry, 1 any, 2 to 5
    north to west).

    Args:
        config: the first task; :meth:`set_task` changes it.
        render_mode: ``None`` or "ansi" (``render()`` returns the room as text).

    Raises:
        ValueError: another render mode, or no layout was found for the task.

    Example:
        >>> config = AssemblyLinesConfig(num_agents=2, positions=("any", "any"))
        >>> env = AssemblyLinesParallelEnv(config)
        >>> observations, infos = env.reset(seed=0)
        >>> observations["agent_1"].shape, infos["agent_1"]["label"]
        ((66,), 'small_2chain_0sinks_2agents')
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "assembly_lines_v0",
        "render_modes": ["ansi"],
        "render_fps": 4,
    }

    def __init__(
        self, config: AssemblyLinesConfig | None = None, *, render_mode: str | None = None
    ) -> None:
        if render_mode not in (None, "ansi"):
            raise ValueError(f"render_mode must be None or 'ansi', not {render_mode!r}")
        self.render_mode = render_mode
        self.possible_agents = [f"agent_{index}" for index in range(MAX_AGENTS)]
        self.observation_spaces = {agent: _observation_space() for agent in self.possible_agents}
        self.action_spaces = {agent: spaces.Discrete(4) for agent in self.possible_agents}
        self.set_task(AssemblyLinesConfig() if config is None else config)
        self._rng, _ = seeding.np_random()
        self._begin()
        # PettingZoo's agents come with the first reset.
        self.agents: list[str] = []

    @property
    def config(self) -> AssemblyLinesConfig:
        """The task that is played from the next reset on."""
        return self._config

    def observation_space(self, agent: str) -> spaces.Box:
        """What an agent sees, the same object at every call."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Discrete:
        """What an agent does, the same object at every call."""
        return self.action_spaces[agent]

    def set_task(self, config: AssemblyLinesConfig) -> None:
        """Sets the task of the next episode; it begins with the next ``reset``.

        Raises:
            TypeError: ``config`` is no AssemblyLinesConfig.
        """
        if not isinstance(config, AssemblyLinesConfig):
            raise TypeError(f"a task must be an AssemblyLinesConfig, not {type(config).__name__}")
        self._config = config

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Puts the empty-handed agents on random cells of the task's room, or of a new one."""
        if seed is not None:
            self._rng, _ = seeding.np_random(seed)
        self._begin()
        infos = {agent: {"label": self._config.label} for agent in self.agents}
        return self._observe(), infos

    def _begin(self) -> None:
        config = self._config
        layout: Layout = build_layout(config.in_a_room(self._rng))
        starts = layout.starts
        self._layout = layout
        self._second_side = _second_side(config)
        self._step_limit = config.step_limit
        self._steps = 0
        self.agents = self.possible_agents[: config.num_agents]
        self._cells = [starts[int(self._rng.random() * len(starts))] for _ in self.agents]
        self._held = [NOTHING] * config.num_agents
        self._reward = EpisodeReward(config, self._rng)

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[
        dict[str, Observation],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Moves each agent, or uses the machine in its way.

        Raises:
            ValueError: there is no action for each live agent, or one that is not 0 to 3.
        """
        agents = self.agents
        if actions.keys() != set(agents):
            raise ValueError(f"step takes an action for each of {agents}, not for {list(actions)}")
        for agent, action in actions.items():
            if not 0 <= action < 4:
                raise ValueError(f"the action of {agent} must be 0 to 3, not {action}")
        for index, agent in enumerate(agents):
            target = self._layout.targets[self._cells[index]][actions[agent]]
            if target >= 0:
                self._cells[index] = target
            else:
                self._use(index, -1 - target)
        self._steps += 1
        terminated = HEART in self._held
        truncated = not terminated and self._steps >= self._step_limit
        observations = self._observe()
        reward = self._reward.of_step(terminated, truncated)
        if terminated or truncated:
            self.agents = []
        return (
            observations,
            dict.fromkeys(agents, reward),
            dict.fromkeys(agents, terminated),
            dict.fromkeys(agents, truncated),
            {agent: {} for agent in agents},
        )

    def render(self) -> str | None:
        """The room as text and what each agent holds; ``None`` without a render mode."""
        if self.render_mode is None:
            return None
        return draw_room(self._layout, self._cells, self._held)

    def _use(self, user: int, index: int) -> None:
        machine = self._layout.machines[index]
        stands = self._layout.stands[index]
        if len(stands) == 1:
            self._held[user] = machine.serve(self._held[user])
        elif all(held == machine.accepts for held in self._held) and any(
            all(cell in stand for cell, stand in zip(cells, stands, strict=True))
            for cells in permutations(self._cells)
        ):
            self._held = [machine.yields] * len(self._held)

    def _observe(self) -> dict[str, Observation]:
        width = self._layout.width
        observations = {}
        for index, agent in enumerate(self.agents):
            cell = self._cells[index]
            observation = np.zeros(OBSERVATION_SIZE + PARTNER_SIZE, np.int8)
            observation[:OBSERVATION_SIZE] = self._layout.observations[cell]
            observation[0] = self._held[index]
            for other in range(len(self.agents)):
                if other != index:
                    there = self._cells[other]
                    observation[OBSERVATION_SIZE:] = (
                        1,
                        there // width - cell // width,
                        there % width - cell % width,
                        self._held[other],
                        self._second_side,
                    )
            observations[agent] = observation
        return observations


def _second_side(config: AssemblyLinesConfig) -> int:
    if len(config.positions) == 1:
        return 0
    side = config.positions[1]
    return 1 if side == "any" else 2 + SIDES.index(side)


def _observation_space() -> spaces.Box:
    low, high = observation_bounds()
    return spaces.Box(
        np.append(low, (0, -FARTHEST, -FARTHEST, 0, 0)).astype(np.int8),
        np.append(high, (1, FARTHEST, FARTHEST, len(ITEMS) - 1, 1 + len(SIDES))).astype(np.int8),
        dtype=np.int8,
    )
