"""PPO of TorchRL's parts: `Collector` over `ParallelEnv`."""

from __future__ import annotations

from functools import partial

import gymnasium as gym
import torch
from tensordict.nn import TensorDictModule
from torch import nn
from torchrl.collectors import Collector
from torchrl.envs import GymWrapper, ParallelEnv
from torchrl.modules import ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE
from torchrl.record.loggers import CSVLogger

from benches.trainers.arm import LEARNING_RATE, WORKERS, Arm, Iteration, cart_poles
from curricle import Curriculum, CurriculumEnv
from curricle.integrations.torchrl import TorchRLLogger

FRAMES, EPOCHS, BATCH = 1024, 4, 256
make_curriculum = cart_poles


def make(curriculum: Curriculum | None) -> GymWrapper:
    """What a worker makes."""
    env = gym.make("CartPole-v1")
    if curriculum is not None:
        env = CurriculumEnv(env, curriculum, apply="attributes")
    return GymWrapper(env, categorical_action_encoding=True)


class Trainer(Arm):
    """As `examples/torchrl_ppo.py`."""

    def __init__(self, curriculum: Curriculum | None) -> None:
        heads = (nn.Linear(64, 2), nn.Linear(64, 1))
        policy, value = (nn.Sequential(nn.Linear(4, 64), nn.Tanh(), head) for head in heads)
        policy = TensorDictModule(policy, ["observation"], ["logits"])
        sampled = {"distribution_class": torch.distributions.Categorical, "return_log_prob": True}
        actor, critic = ProbabilisticActor(policy, ["logits"], **sampled), ValueOperator(value)
        self._loss = ClipPPOLoss(actor, critic, normalize_advantage=True)
        self._advantages = GAE(gamma=0.99, lmbda=0.95, value_network=critic)
        self._optimizer = torch.optim.Adam(self._loss.parameters(), LEARNING_RATE)
        self._envs = ParallelEnv(WORKERS, partial(make, curriculum))
        self._collector = Collector(self._envs, actor, frames_per_batch=FRAMES, total_frames=-1)
        self._batches, self._frames = iter(self._collector), 0
        self._metrics = None
        self._log = CSVLogger("off" if curriculum is None else "on", "log")
        if curriculum is not None:
            self._metrics = TorchRLLogger(curriculum, self._log)

    def train(self) -> Iteration:
        """A batch of the collector and its epochs."""
        data = next(self._batches)
        self._frames += data.numel()
        self._log.log_scalar("episodes", int(data["next", "done"].sum()), self._frames)
        if self._metrics is not None:
            self._metrics.log(self._frames)
        self._advantages(data)
        for rows in torch.cat([torch.randperm(FRAMES) for _ in range(EPOCHS)]).split(BATCH):
            terms = self._loss(data.reshape(-1)[rows])
            self._optimizer.zero_grad()
            loss = terms["loss_objective"] + terms["loss_critic"] + terms["loss_entropy"]
            loss.backward()
            self._optimizer.step()
        return Iteration(data.numel(), loss.item())

    def workers(self) -> list[int]:
        """Those of `ParallelEnv`."""
        return [process.pid for process in self._envs._workers]

    def close(self) -> None:
        """Ends the collector, which closes the environments."""
        self._collector.shutdown()
