"""The assembly lines as a Gymnasium environment."""

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from curricle.assembly_lines.config import HEART, NOTHING, AssemblyLinesConfig
from curricle.assembly_lines.layout import Layout, build_layout
from curricle.assembly_lines.reward import EpisodeReward
from curricle.assembly_lines.room_text import draw_room
from curricle.assembly_lines.spaces import observation_bounds

Observation = NDArray[Any]


class AssemblyLinesEnv(gym.Env[Observation, np.int64]):
    """An agent carries items from machine to machine until one of them hands out a heart.

    The agent holds one item or nothing. Moving into a machine uses it: the extractor gives ore to
    empty hands, an assembler takes the one item that it accepts and gives another, a sink eats
    whatever is held. What a machine does not accept stays in the hand.

    Actions: ``Discrete(4)``: a step north, east, south, west.

    Observations: int8, shape (61,), the same for every task: the held item (an index into
    ``ITEMS``), the side from which assemblers must be used (0 any, 1 to 4 north to west), four
    flags for a wall to the north, east, south and west, and for each of up to 11 machines its
    kind (0 absent, 1 extractor, 2 assembler, 3 sink), row and column offset from the agent (in
    cells), accepted and yielded item.

    Reward: 1.0 for a heart, which ends the episode; 0.0 else. So a return is 0 or 1. An episode
    is truncated after ``config.step_limit`` steps. In a noisy task the episode's last step, with
    or without a heart, has the reward 1.0 or 0.0 by the toss of a fair coin, which the random
    numbers of the environment make at the reset.

    Tasks with two agents are for ``AssemblyLinesParallelEnv``.

    Args:
        config: the first task; :meth:`set_task` changes it.
        render_mode: ``None`` or "ansi" (``render()`` returns the room as text).

    Raises:
        ValueError: a task with two agents, or another render mode.

    Example:
        >>> env = AssemblyLinesEnv(AssemblyLinesConfig(chain_length=1, room_size="tiny"))
        >>> observation, info = env.reset(seed=0)
        >>> observation.shape, info["label"]
        ((61,), 'tiny_1chain_0sinks')
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - as gym.Env declares it
        "render_modes": ["ansi"],
        "render_fps": 4,
    }

    def __init__(
        self, config: AssemblyLinesConfig | None = None, *, render_mode: str | None = None
    ) -> None:
        if render_mode not in (None, "ansi"):
            raise ValueError(f"render_mode must be None or 'ansi', not {render_mode!r}")
        self.render_mode = render_mode
        self.action_space = gym.spaces.Discrete(4)
        low, high = observation_bounds()
        self.observation_space = gym.spaces.Box(low, high, dtype=np.int8)
        self.set_task(AssemblyLinesConfig() if config is None else config)
        self._layout: Layout = build_layout(self._config.in_a_room(self.np_random))
        self._cell = self._layout.starts[0]
        self._held = NOTHING
        self._steps = 0
        self._step_limit = self._config.step_limit
        self._reward = EpisodeReward(self._config, self.np_random)

    @property
    def config(self) -> AssemblyLinesConfig:
        """The task that is played from the next reset on."""
        return self._config

    def set_task(self, config: AssemblyLinesConfig) -> None:
        """Sets the task of the next episode; it begins with the next ``reset``.

        Raises:
            TypeError: ``config`` is no AssemblyLinesConfig.
            ValueError: the task has two agents.
        """
        if not isinstance(config, AssemblyLinesConfig):
            raise TypeError(f"a task must be an AssemblyLinesConfig, not {type(config).__name__}")
        if config.num_agents != 1:
            raise ValueError(
                f"a task with num_agents={config.num_agents} and this environment has one agent: "
                "play it in AssemblyLinesParallelEnv"
            )
        self._config = config

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Puts the empty-handed agent on a random cell of the task's room, or of a new one."""
        super().reset(seed=seed)
        config = self._config
        layout = self._layout = build_layout(config.in_a_room(self.np_random))
        self._cell = layout.starts[int(self.np_random.random() * len(layout.starts))]
        self._held = NOTHING
        self._steps = 0
        self._step_limit = config.step_limit
        self._reward = EpisodeReward(config, self.np_random)
        return self._observe(), {"label": config.label}

    def step(self, action: np.int64 | int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Moves the agent or uses the machine in its way.

        Raises:
            ValueError: ``action`` is not one of 0 to 3.
        """
        if not 0 <= action < 4:
            raise ValueError(f"an action must be 0 to 3, not {action}")
        target = self._layout.targets[self._cell][action]
        if target >= 0:
            self._cell = target
        else:
            self._held = self._layout.machines[-1 - target].serve(self._held)
        self._steps += 1
        terminated = self._held == HEART
        truncated = not terminated and self._steps >= self._step_limit
        reward = self._reward.of_step(terminated, truncated)
        return self._observe(), reward, terminated, truncated, {}

    def render(self) -> str | None:
        """The room as text, and what the agent holds.

        ``@`` agent, ``#`` wall, ``E`` extractor, ``S`` sink, an assembler by the id of the item
        that it accepts (``X`` for unobtainium). ``None`` without a render mode.
        """
        if self.render_mode is None:
            return None
        return draw_room(self._layout, [self._cell], [self._held])

    def _observe(self) -> Observation:
        observation: Observation = self._layout.observations[self._cell].copy()
        observation[0] = self._held
        return observation
