"""A team of agents as one Gymnasium environment, so that vector environments can hold it."""

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from pettingzoo import ParallelEnv  # type: ignore[import-untyped]


class TeamEnv(gym.Env[NDArray[Any], NDArray[np.int64]]):
    """Steps all agents of a ``ParallelEnv`` at once; the reward is the mean over agents.

    Observations are those of ``env.possible_agents``, stacked; an agent that the task does not
    have sees zeros, and its action goes nowhere. All agents must have equal spaces, and end with
    the same step. The info is that of the first agent.

    Args:
        env: the environment of the agents.
    """

    def __init__(self, env: ParallelEnv[str, Any, Any]) -> None:
        self._env = env
        self._seats: list[str] = env.possible_agents
        seen = env.observation_space(self._seats[0])
        assert isinstance(seen, gym.spaces.Box)
        done = env.action_space(self._seats[0])
        assert isinstance(done, gym.spaces.Discrete)
        low, high = (np.stack([bound] * len(self._seats)) for bound in (seen.low, seen.high))
        self.observation_space = gym.spaces.Box(low, high, dtype=np.int8)
        self.action_space = gym.spaces.MultiDiscrete([done.n] * len(self._seats))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Resets the agents."""
        observations, infos = self._env.reset(seed=seed, options=options)
        return self._stack(observations), infos[self._seats[0]]

    def step(
        self, action: NDArray[np.int64]
    ) -> tuple[NDArray[Any], float, bool, bool, dict[str, Any]]:
        """Steps the agents; ``action`` has shape (len(env.possible_agents),)."""
        chosen = zip(self._seats, action.tolist(), strict=True)
        live = self._env.agents
        observations, rewards, terminations, truncations, infos = self._env.step(
            {agent: one for agent, one in chosen if agent in live}
        )
        return (
            self._stack(observations),
            sum(rewards.values()) / len(rewards),
            any(terminations.values()),
            any(truncations.values()),
            infos[self._seats[0]],
        )

    def _stack(self, observations: dict[str, NDArray[Any]]) -> NDArray[Any]:
        stacked = np.zeros(self.observation_space.shape or (), np.int8)
        for seat, agent in enumerate(self._seats):
            if agent in observations:
                stacked[seat] = observations[agent]
        return stacked
