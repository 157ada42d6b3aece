"""The assembly lines, stepped by the compiled MettaGrid engine, as a Gymnasium environment."""

from typing import Any

import gymnasium as gym
import numpy as np
from mettagrid.mettagrid_c import MettaGrid
from numpy.typing import NDArray

from curricle.assembly_lines import AssemblyLinesConfig
from curricle.assembly_lines.layout import SIDES, build_layout
from curricle.mettagrid_lines.game import (
    NUM_TOKENS,
    compiled_game,
    require_playable,
    room_map,
    shared_game,
)


class MettaGridLinesEnv(gym.Env[NDArray[np.uint8], np.int64]):
    """The tasks of `AssemblyLinesEnv` in MettaGrid: the same rooms and rules, another engine.

    Actions: ``Discrete(4)``: a step north, east, south, west.

    Observations: uint8, shape (192, 3), MettaGrid's tokens: location, feature, value. The agent
    sees what is at most 7 cells away. `AssemblyLinesView` turns them into
    what `AssemblyLinesEnv` observes.

    Reward: 1.0 for a heart, which ends the episode; 0.0 else. An episode is truncated after
    ``config.step_limit`` steps.

    Args:
        config: the first task; :meth:`set_task` changes it.

    Example:
        >>> env = MettaGridLinesEnv(AssemblyLinesConfig(chain_length=1, room_size="tiny"))
        >>> observation, info = env.reset(seed=0)
        >>> observation.shape, info["label"]
        ((192, 3), 'tiny_1chain_0sinks')
    """

    def __init__(self, config: AssemblyLinesConfig | None = None) -> None:
        self.action_space = gym.spaces.Discrete(len(SIDES))
        self.observation_space = gym.spaces.Box(0, 255, (NUM_TOKENS, 3), np.uint8)
        names = [action.name for action in shared_game().actions.actions()]
        self._action_ids = [names.index(f"move_{side}") for side in SIDES]
        self.set_task(AssemblyLinesConfig() if config is None else config)

    @property
    def config(self) -> AssemblyLinesConfig:
        """The task that is played from the next reset on."""
        return self._config

    def set_task(self, config: AssemblyLinesConfig) -> None:
        """Sets the task of the next episode; it begins with the next ``reset``.

        Raises:
            TypeError: ``config`` is no AssemblyLinesConfig.
            ValueError: the engine cannot play it, see `require_playable`.
        """
        if not isinstance(config, AssemblyLinesConfig):
            raise TypeError(f"a task must be an AssemblyLinesConfig, not {type(config).__name__}")
        require_playable(config)
        self._config = config

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Puts the empty-handed agent on a random cell of the task's room, or of a new one."""
        super().reset(seed=seed)
        task = self._config.in_a_room(self.np_random)
        starts = build_layout(task).starts
        start = starts[int(self.np_random.random() * len(starts))]
        engine = self._engine = MettaGrid(
            compiled_game(task.step_limit),
            room_map(task, start),
            int(self.np_random.integers(2**31)),
        )
        # The engine's own buffers, of one agent: it reads the one and writes the others.
        self._action = engine.actions()
        self._tokens = engine.observations()[0]
        self._rewards, self._truncations = engine.rewards(), engine.truncations()
        return self._tokens.copy(), {"label": self._config.label}

    def step(
        self, action: np.int64 | int
    ) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Moves the agent or uses the machine in its way.

        Raises:
            ValueError: ``action`` is not one of 0 to 3.
        """
        if not 0 <= action < len(SIDES):
            raise ValueError(f"an action must be 0 to 3, not {action}")
        self._action[0] = self._action_ids[action]
        self._engine.step()
        reward = float(self._rewards[0])
        terminated = reward > 0.0
        truncated = not terminated and bool(self._truncations[0])
        return self._tokens.copy(), reward, terminated, truncated, {}
