"""Small environments as users write them: a corridor to walk, in the shapes that trainers meet."""

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete, MultiDiscrete
from gymnasium.vector import AutoresetMode, VectorEnv

LONGEST = 8
STEP_LIMIT = 12
TASKS = {f"length-{length}": {"length": length} for length in (1, 2, 3, 5)}


class Corridor(gym.Env[int, int]):
    """Action 1 walks on, action 0 stands still; the goal is ``length`` steps away.

    Reward 1/length a step forward, so that the return of a success is 1. ``info`` tells what was
    really played, whoever may have asked for something else.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(self, length: int = LONGEST) -> None:
        self.observation_space = Discrete(LONGEST + 1)
        self.action_space = Discrete(2)
        self.length = length
        self.position = 0
        self.steps = 0

    def _info(self) -> dict[str, Any]:
        return {"played": self.length, "is_success": self.position >= self.length}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self.position = self.steps = 0
        return 0, self._info()

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        self.position += int(action)
        terminated = self.position >= self.length
        truncated = not terminated and self.steps >= STEP_LIMIT
        return self.position, float(action) / self.length, terminated, truncated, self._info()


class TaskCorridor(Corridor):
    """Takes its task by ``set_task``."""

    def set_task(self, task: dict[str, int]) -> None:
        self.length = task["length"]


class MgCorridor(Corridor):
    """Takes its task by ``set_mg_config``."""

    def set_mg_config(self, config: dict[str, int]) -> None:
        self.length = config["length"]


class OptionsCorridor(Corridor):
    """Takes its task from the options of ``reset``."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        options = options or {}
        self.length = options.get("task", options).get("length", LONGEST)
        return super().reset(seed=seed, options=options)


class TeamCorridor(TaskCorridor):
    """Two agents in one environment: rewards, ends and actions are arrays, one entry an agent.

    The second agent has one step more to go.
    """

    def __init__(self) -> None:
        super().__init__()
        self.action_space = MultiDiscrete([2, 2])

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        self.positions = np.zeros(2, dtype=np.int64)
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        goals = self.length + np.arange(2)
        moved = np.asarray(action) * (self.positions < goals)
        self.positions += moved
        ended = self.positions >= goals
        rewards = moved.astype(np.float32) / np.float32(self.length)
        return 0, rewards, ended, np.zeros(2, dtype=np.bool_), self._info()


class VectorCorridor(VectorEnv[Any, Any, Any]):
    """``num_envs`` corridors in arrays; ``set_task`` is for the next reset of a sub-environment."""

    def __init__(self, num_envs: int, mode: AutoresetMode) -> None:
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": mode}
        self.mode = mode
        self.single_observation_space = Discrete(LONGEST + 1)
        self.single_action_space = Discrete(2)
        self.observation_space = MultiDiscrete([LONGEST + 1] * num_envs)
        self.action_space = MultiDiscrete([2] * num_envs)
        self.length = np.full(num_envs, LONGEST)
        self.pending = np.full(num_envs, LONGEST)
        self.position = np.zeros(num_envs, dtype=np.int64)
        self.steps = np.zeros(num_envs, dtype=np.int64)
        self.over = np.zeros(num_envs, dtype=np.bool_)

    def set_task(self, index: int, task: dict[str, int]) -> None:
        self.pending[index] = task["length"]

    def _restart(self, mask: np.ndarray) -> None:
        self.length[mask] = self.pending[mask]
        self.position[mask] = self.steps[mask] = 0
        self.over[mask] = False

    def _infos(self) -> dict[str, Any]:
        return {"played": self.length.copy(), "is_success": self.position >= self.length}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        mask = (options or {}).get("reset_mask", np.ones(self.num_envs, dtype=np.bool_))
        self._restart(mask)
        return self.position.copy(), self._infos()

    def step(self, actions: Any) -> Any:
        resetting = self.over.copy() if self.mode is AutoresetMode.NEXT_STEP else self.over & False
        moving = ~resetting
        assert not (self.over & moving).any(), "stepped after the end"
        self.position += np.asarray(actions) * moving
        self.steps += moving
        rewards = np.asarray(actions) / self.length * moving
        terminated = (self.position >= self.length) & moving
        truncated = ~terminated & (self.steps >= STEP_LIMIT) & moving
        self._restart(resetting)
        ended = terminated | truncated
        self.over |= ended
        infos = self._infos()
        if self.mode is AutoresetMode.SAME_STEP and ended.any():
            final = self._infos()
            self._restart(ended)
            infos = {**self._infos(), "final_info": final, "_final_info": ended.copy()}
        return self.position.copy(), rewards, terminated, truncated, infos


class BatchCorridor(VectorCorridor):
    """Takes the tasks of several sub-environments at once."""

    def set_tasks(self, indices: np.ndarray, tasks: list[dict[str, int]]) -> None:
        self.pending[indices] = [task["length"] for task in tasks]
