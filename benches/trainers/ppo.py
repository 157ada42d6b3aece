"""PPO as scripts have it, for vector environments that reset in the step that ends an episode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.distributions import Categorical

from benches.trainers.arm import LEARNING_RATE, Arm, Iteration

ROLLOUT, EPOCHS, BATCH = 128, 4, 256


class Script(Arm):
    """A learner in this process.

    Args:
        envs: with an observation and an action for each of ``players``.
        players: environments, or agents of all environments.
        sizes: entries of an observation, and number of actions.
        log: called with the number of steps after each rollout.
    """

    def __init__(
        self,
        envs: Any,
        players: int,
        sizes: tuple[int, int],
        log: Callable[[int], object] = lambda steps: None,
    ) -> None:
        entries, actions = sizes
        self.envs, self._players, self._log, self._steps = envs, players, log, 0
        heads = (nn.Linear(64, actions), nn.Linear(64, 1))
        self._actor, self._critic = (
            nn.Sequential(nn.Linear(entries, 64), nn.Tanh(), head) for head in heads
        )
        parameters = [*self._actor.parameters(), *self._critic.parameters()]
        self._optimizer = torch.optim.Adam(parameters, LEARNING_RATE)
        self._place = torch.as_tensor(envs.reset(seed=0)[0]).float()

    def train(self) -> Iteration:
        """A rollout of ``ROLLOUT`` steps of each player, and its epochs."""
        *data, advantages, targets = self._rollout()
        self._steps += ROLLOUT * self._players
        self._log(self._steps)
        columns = [column.flatten(0, 1) for column in (*data, advantages, targets)]
        orders = torch.cat([torch.randperm(ROLLOUT * self._players) for _ in range(EPOCHS)])
        for rows in orders.split(BATCH):
            loss = self._loss(*(column[rows] for column in columns))
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
        return Iteration(ROLLOUT * self._players, loss.item())

    def close(self) -> None:
        """Closes the vector environment."""
        self.envs.close()

    @torch.no_grad()
    def _rollout(self) -> list[torch.Tensor]:
        """Observations, actions, their log probabilities, advantages and targets, by step."""
        rows = []
        for _ in range(ROLLOUT):
            policy, value = Categorical(logits=self._actor(self._place)), self._value(self._place)
            action = policy.sample()
            after, reward, ended, cut, _ = self.envs.step(action.numpy())
            facts = torch.tensor(reward).float(), torch.tensor(ended | cut).float()
            rows.append((self._place, action, policy.log_prob(action), value, *facts))
            self._place = torch.as_tensor(after).float()
        *data, values, rewards, dones = map(torch.stack, zip(*rows, strict=True))
        following = torch.cat([values[1:], self._value(self._place)[None]])
        advantages, ahead = torch.zeros_like(values), torch.zeros(self._players)
        for t in reversed(range(ROLLOUT)):
            delta = rewards[t] + 0.99 * following[t] * (1 - dones[t]) - values[t]
            advantages[t] = ahead = delta + 0.99 * 0.95 * (1 - dones[t]) * ahead
        return [*data, advantages, advantages + values]

    def _loss(
        self,
        places: torch.Tensor,
        actions: torch.Tensor,
        old: torch.Tensor,
        gains: torch.Tensor,
        targets: torch.Tensor,
    ) -> torch.Tensor:
        policy = Categorical(logits=self._actor(places))
        ratio = (policy.log_prob(actions) - old).exp()
        gains = (gains - gains.mean()) / (gains.std() + 1e-8)
        surrogate = torch.min(ratio * gains, ratio.clamp(0.8, 1.2) * gains).mean()
        error = (self._value(places) - targets).square().mean()
        return 0.5 * error - surrogate - 0.01 * policy.entropy().mean()

    def _value(self, places: torch.Tensor) -> torch.Tensor:
        return self._critic(places)[:, 0]
