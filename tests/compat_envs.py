"""Environments as trainers of the earlier curriculum have them, and curricula for them."""

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete

from curricle.compat.curriculum import Curriculum, CurriculumConfig
from curricle.compat.learning_progress_algorithm import LearningProgressConfig
from curricle.compat.task_generator import BucketedTaskGenerator, TaskGeneratorSet


class PufferCorridor:
    """Agents that walk ``length`` steps; arrays over agents, infos in a list, resets by itself.

    Each agent is paid 1/length a step, agent k k-times as much; all begin anew in the step after
    the first of them has ended. ``played`` says what was really played.
    """

    def __init__(self, num_agents: int = 2, ends: int = 1) -> None:
        self.num_agents = num_agents
        self.ends = ends
        self.single_observation_space = Discrete(100)
        self.single_action_space = Discrete(2)
        self.length = 3
        self.played: list[int] = []
        self.resets = 0
        self.over = True
        self.infos: list[dict[str, Any]] = []

    def set_mg_config(self, config: dict[str, Any]) -> None:
        if config["length"] < 0:
            raise ValueError(f"length {config['length']} is below 0")
        self.next_length = config["length"]

    def get_episode_rewards(self) -> np.ndarray:
        return self.rewards_so_far

    def reset(self, seed: int | None = None) -> tuple[np.ndarray, list[dict[str, Any]]]:
        self.resets += 1
        self._begin()
        return np.zeros(self.num_agents), []

    def _begin(self) -> None:
        self.length = getattr(self, "next_length", self.length)
        self.played.append(self.length)
        self.steps, self.over = 0, False
        self.rewards_so_far = np.zeros(self.num_agents)

    def step(self, actions: Any) -> tuple[Any, ...]:
        if self.over:
            self._begin()
        self.steps += 1
        rewards = np.arange(self.num_agents) / self.length
        self.rewards_so_far = self.rewards_so_far + rewards
        self.over = self.steps >= self.length
        terminals = np.zeros(self.num_agents, np.bool_)
        terminals[: self.ends] = self.over
        truncations = np.zeros(self.num_agents, np.bool_)
        infos = [{"length": self.length}] if self.over else []
        return np.full(self.num_agents, self.steps), rewards, terminals, truncations, infos

    def async_reset(self, seed: int | None = None) -> None:
        _, self.infos = self.reset(seed=seed)

    def send(self, actions: Any) -> None:
        *self.data, self.infos = self.step(actions)

    def recv(self) -> tuple[Any, ...]:
        return (*self.data, self.infos)


class GymCorridor(gym.Env[int, int]):
    """A Gymnasium environment of the same corridor, one agent, with a dict of infos."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(self) -> None:
        self.observation_space = Discrete(100)
        self.action_space = Discrete(2)
        self.length = 3

    def set_mg_config(self, config: dict[str, Any]) -> None:
        self.length = config["length"]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return 0, {"length": self.length}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return self.steps, 1.0, self.steps >= self.length, False, {"length": self.length}


def corridors(low: int = 2, high: int = 5, label: str | None = None, **base: Any) -> Any:
    """Corridors of several lengths."""
    return BucketedTaskGenerator.Config(
        base={"length": 0, **base},
        buckets={"length": list(range(low, high + 1))},
        label=label,
    )


def short_and_long() -> Any:
    """Corridors of two labels."""
    kinds = [corridors(2, 3, "short"), corridors(4, 6, "long")]
    return TaskGeneratorSet.Config(generators=kinds)


def learning(**fields: Any) -> LearningProgressConfig:
    """A configuration without a session."""
    return LearningProgressConfig(use_shared_memory=False, **fields)


def make(generator: Any = None, *, hypers: Any = None, size: int = 8, seed: int = 0, **fields: Any):
    """A curriculum over corridors; random where there are no hypers."""
    generator = corridors() if generator is None else generator
    config = CurriculumConfig(
        task_generator=generator, num_active_tasks=size, algorithm_config=hypers, **fields
    )
    return Curriculum(config, seed=seed)


def play(curriculum, episodes, score=lambda task: 0.5):
    """Plays episodes; the ids of the tasks that were drawn."""
    ids = []
    for _ in range(episodes):
        task = curriculum.get_task()
        curriculum.update_task_performance(task._task_id, score(task))
        ids.append(task._task_id)
    return ids
