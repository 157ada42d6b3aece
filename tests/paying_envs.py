"""Environments that pay by the task that they play, and keep an account of what they were handed.

A step of a task pays `wage`, so that the sum of a task's scores tells whether all of them are its
own. The last info of an episode says what was played, paid and stepped, whatever a wrapper says.
"""

from __future__ import annotations

import pickle
import uuid
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete, Space
from gymnasium.vector import AutoresetMode
from pettingzoo import ParallelEnv

from accounts import Account
from curricle.generators import TaskGenerator
from small_envs import VectorCorridor

AGENTS = ["ann", "bob"]


class Breakdown(Exception):
    """What an environment raises in the middle of an episode."""


def wage(task_id: int) -> float:
    """The reward of a step: a multiple of 1/64, so that sums are exact."""
    return (task_id % 61 + 1) / 64


def label_of(task_id: int) -> str:
    return f"label-{task_id % 3}"


def config_of(task_id: int, steps: int) -> dict[str, Any]:
    return {"task": task_id, "label": label_of(task_id), "steps": steps}


class Endless(TaskGenerator):
    """Any id is a task; episodes of 10 to 16 steps, by the id."""

    def get_task(self, task_id: int) -> dict[str, Any]:
        return config_of(task_id, 10 + task_id % 7)


class Books:
    """The task, the pay and the steps of the episode, and when to break down."""

    def __init__(self) -> None:
        self.account = Account()
        self.task = -1
        self.steps = self.limit = 0
        self.paid = 0.0
        self.breaks_at: int | None = None

    def hand_over(self, config: dict[str, Any]) -> None:
        self.task, self.limit = config["task"], config["steps"]
        self.account.drew(self.task)

    def restart(self) -> None:
        self.steps, self.paid = 0, 0.0
        self._break_down()

    def work(self, hands: float = 1.0) -> float:
        """One step of some hands; returns the pay of one."""
        self.steps += 1
        self._break_down()
        self.paid += hands * wage(self.task)
        return wage(self.task)

    def _break_down(self) -> None:
        if self.breaks_at == self.steps:
            self.breaks_at = None
            raise Breakdown

    def info(self) -> dict[str, Any]:
        return {"played": self.task, "paid": self.paid, "steps": self.steps}


class Paying(gym.Env[Any, Any]):
    """One agent. Even tasks end by themselves, odd ones are cut off.

    Args:
        folder: where `close` leaves the account; None for nowhere.
    """

    observation_space: Space[Any] = Discrete(2)
    action_space: Space[Any] = Discrete(2)

    def __init__(self, folder: Path | None = None) -> None:
        self.books = Books()
        self.folder = folder

    def set_task(self, config: dict[str, Any]) -> None:
        self.books.hand_over(config)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self.books.restart()
        return 0, self.books.info()

    def step(self, action: Any) -> Any:
        reward = self.books.work()
        over = self.books.steps == self.books.limit
        odd = bool(self.books.task % 2)
        return 0, reward, over and not odd, over and odd, self.books.info()

    def close(self) -> None:
        # A vector environment also makes one to look at, which it never plays.
        if self.folder is not None and self.books.account.tasks:
            Path(self.folder, uuid.uuid4().hex).write_bytes(pickle.dumps(self.books.account))
            self.folder = None


class PayingTeam(Paying):
    """Two agents by arrays; the second is done after half the steps. ``paid`` is their mean."""

    def step(self, action: Any) -> Any:
        half = self.books.steps >= self.books.limit // 2
        reward = self.books.work(0.5 if half else 1.0)
        steps, limit = self.books.steps, self.books.limit
        ended = np.array([steps == limit, steps >= limit // 2])
        rewards = np.array([reward, 0.0 if half else reward])
        return 0, rewards, ended, np.zeros(2, np.bool_), self.books.info()


class PayingRace(ParallelEnv):  # type: ignore[misc]
    """The same two agents in PettingZoo; bob leaves after half the steps."""

    metadata: ClassVar[dict[str, Any]] = {"name": "paying_race_v0"}

    def __init__(self) -> None:
        self.books = Books()
        self.possible_agents = list(AGENTS)
        self.agents: list[str] = []

    def observation_space(self, agent: str) -> Space[Any]:
        return Paying.observation_space

    def action_space(self, agent: str) -> Space[Any]:
        return Paying.action_space

    def set_task(self, config: dict[str, Any]) -> None:
        self.books.hand_over(config)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.books.restart()
        self.agents = list(AGENTS)
        return dict.fromkeys(AGENTS, 0), {agent: self.books.info() for agent in AGENTS}

    def step(self, actions: dict[str, int]) -> Any:
        live = self.agents
        reward = self.books.work(len(live) / 2)
        goals = {"ann": self.books.limit, "bob": self.books.limit // 2}
        over = {agent: self.books.steps == goals[agent] for agent in live}
        self.agents = [agent for agent in live if not over[agent]]
        infos = {agent: self.books.info() for agent in live}
        rewards = dict.fromkeys(live, reward)
        return dict.fromkeys(live, 0), rewards, over, dict.fromkeys(live, False), infos


class PayingCorridors(VectorCorridor):
    """Corridors in arrays that pay every step by the task. The account is that of all of them."""

    def __init__(self, num_envs: int, mode: AutoresetMode) -> None:
        super().__init__(num_envs, mode)
        self.account = Account()
        self.task = np.full(num_envs, -1)
        self.pending_task = np.full(num_envs, -1)

    def set_task(self, index: int, config: dict[str, Any]) -> None:
        super().set_task(index, {"length": config["steps"]})
        self.pending_task[index] = config["task"]

    def _restart(self, mask: np.ndarray) -> None:
        super()._restart(mask)
        for task_id in self.pending_task[mask].tolist():
            self.account.drew(task_id)
        self.task[mask] = self.pending_task[mask]
        self.pending_task[mask] = -1

    def put_back(self) -> None:
        """Enters the tasks that were handed over for a next reset that does not come."""
        for task_id in self.pending_task[self.pending_task >= 0].tolist():
            self.account.drew(task_id)

    def _wages(self) -> np.ndarray:
        return np.array([wage(task_id) for task_id in self.task.tolist()])

    def _infos(self) -> dict[str, Any]:
        steps = self.steps.copy()
        return {"played": self.task.copy(), "paid": steps * self._wages(), "steps": steps}

    def step(self, actions: Any) -> Any:
        rewards = np.where(self.over, 0.0, self._wages())
        observations, _, terminated, truncated, infos = super().step(actions)
        return observations, rewards, terminated, truncated, infos
