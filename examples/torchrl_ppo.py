"""PPO of TorchRL on cart-poles of many lengths, with a curriculum in two worker processes.

Run it again with the same --folder, and it goes on where it ended, tasks and agent alike.
"""

from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser
from functools import partial
from pathlib import Path

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

from curricle import Curriculum, CurriculumEnv, NoiseAwareConfig
from curricle.integrations.torchrl import TorchRLLogger

LENGTHS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
# CartPole keeps the product of mass (0.1) and length beside the length.
TASKS = {f"length {n}": {"length": n, "polemass_length": 0.1 * n} for n in LENGTHS}
CONFIG = NoiseAwareConfig(score_range=(0.0, 500.0))
WORKERS, FRAMES, EPOCHS, BATCH = 2, 1024, 4, 256


def make(curriculum: Curriculum) -> GymWrapper:
    env = CurriculumEnv(gym.make("CartPole-v1"), curriculum, apply="attributes")
    return GymWrapper(env, categorical_action_encoding=True)


def main(steps: int, folder: Path) -> None:
    """Trains for so many environment steps, from the checkpoint if there is one, and saves."""
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    curriculum = Curriculum(TASKS, CONFIG, seed=0)
    heads = (nn.Linear(64, 2), nn.Linear(64, 1))
    policy, value = (nn.Sequential(nn.Linear(4, 64), nn.Tanh(), head) for head in heads)
    policy = TensorDictModule(policy, ["observation"], ["logits"])
    sampled = {"distribution_class": torch.distributions.Categorical, "return_log_prob": True}
    actor, critic = ProbabilisticActor(policy, ["logits"], **sampled), ValueOperator(value)
    loss = ClipPPOLoss(actor, critic, normalize_advantage=True)
    advantages = GAE(gamma=0.99, lmbda=0.95, value_network=critic)
    optimizer = torch.optim.Adam(loss.parameters(), lr=2e-3)
    if (folder / "agent.ckpt").exists():
        for part, state in zip((loss, optimizer), torch.load(folder / "agent.ckpt"), strict=True):
            part.load_state_dict(state)
        curriculum.load(f"{folder}/curriculum.ckpt")
    log = CSVLogger("ppo", str(folder))
    metrics, episodes = TorchRLLogger(curriculum, log), 0
    envs = ParallelEnv(WORKERS, partial(make, curriculum))
    collector = Collector(envs, actor, frames_per_batch=FRAMES, total_frames=steps)
    for update, data in enumerate(collector, 1):
        episodes += int(data["next", "done"].sum())
        log.log_scalar("episodes", episodes, update * FRAMES)
        metrics.log(update * FRAMES)
        advantages(data)
        for rows in torch.cat([torch.randperm(FRAMES) for _ in range(EPOCHS)]).split(BATCH):
            terms = loss(data.reshape(-1)[rows])
            optimizer.zero_grad()
            (terms["loss_objective"] + terms["loss_critic"] + terms["loss_entropy"]).backward()
            optimizer.step()
        print(update * FRAMES, "steps,", episodes, "episodes")
    torch.save([part.state_dict() for part in (loss, optimizer)], folder / "agent.ckpt")
    curriculum.save(f"{folder}/curriculum.ckpt")
    collector.shutdown()
    curriculum.close()


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__, formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--steps", type=int, default=100_000, help="environment steps to take")
    parser.add_argument("--folder", type=Path, default="runs/torchrl", help="goes on from it")
    main(**vars(parser.parse_args()))
