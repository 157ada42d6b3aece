"""PPO for teams of two: a PettingZoo environment in SuperSuit's vector environment of processes.

Needs torch and 'curricle[supersuit]'. Run again with the same --checkpoint, it goes on.
"""

from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser
from pathlib import Path

import supersuit
import torch
from torch import nn
from torch.distributions import Categorical

from curricle import Curriculum, NoiseAwareConfig
from curricle.assembly_lines import AssemblyLinesParallelEnv, AssemblyLinesTaskGenerator
from curricle.envs import CurriculumParallelEnv
from curricle.integrations.supersuit import FinalInfos
from curricle.loggers import JsonlLogger

TEAMS = {"num_agents": (2,), "positions": (("any",), ("any", "any")), "chain_lengths": (1, 2)}
TASKS = AssemblyLinesTaskGenerator.Config(room_sizes=("tiny",), **TEAMS).create()
CONFIG = NoiseAwareConfig(score_range=(0.0, 1.0), num_active_tasks=100)
ENVS, PROCESSES, ROLLOUT, EPOCHS, BATCH = 16, 2, 64, 8, 512
# Each of 40 values of each of the 66 entries of an observation has a row of weights of its own.
OFFSETS = torch.arange(66) * 40 + 20


def main(steps: int, checkpoint: Path) -> None:
    """Trains for so many steps of all agents, from the checkpoint if it exists, and saves it."""
    torch.manual_seed(0)
    curriculum = Curriculum(TASKS, CONFIG, seed=0)
    env = CurriculumParallelEnv(AssemblyLinesParallelEnv(TASKS.get_task(0)), curriculum)
    envs = supersuit.pettingzoo_env_to_vec_env_v1(FinalInfos(env))
    envs = supersuit.concat_vec_envs_v1(envs, ENVS, PROCESSES)
    net = nn.Sequential(nn.EmbeddingBag(66 * 40, 64), nn.Tanh(), nn.Linear(64, 5))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    if checkpoint.exists():
        for part, state in zip((net, optimizer), torch.load(checkpoint), strict=True):
            part.load_state_dict(state)
        curriculum.load(f"{checkpoint}.curriculum")
    logger, scores, place = JsonlLogger(curriculum, f"{checkpoint}.jsonl"), [], envs.reset()[0]
    for step in range(0, steps, 2 * ENVS * ROLLOUT):
        rows = []
        for _ in range(ROLLOUT):
            with torch.no_grad():
                out = net(x := torch.as_tensor(place) + OFFSETS)
            action = (policy := Categorical(logits=out[:, :4])).sample()
            place, reward, ended, cut, infos = envs.step(action.numpy())
            finals = [info["final_info"] for info in infos if "final_info" in info]
            scores += [info["curriculum/score"] for info in finals]
            facts = torch.tensor(reward), torch.tensor(ended | cut).float()
            rows.append((x, action, policy.log_prob(action), out[:, 4], *facts))
        *data, values, rewards, dones = map(torch.stack, zip(*rows, strict=True))
        targets, ahead = torch.zeros_like(values), net(torch.as_tensor(place) + OFFSETS)[:, 4]
        for t in reversed(range(ROLLOUT)):
            targets[t] = ahead = rewards[t] + 0.97 * (1 - dones[t]) * ahead.detach()
        data = [column.flatten(0, 1) for column in (*data, targets - values, targets)]
        orders = torch.cat([torch.randperm(len(data[0])) for _ in range(EPOCHS)])
        for x, action, old, gain, target in ([c[i] for c in data] for i in orders.split(BATCH)):
            policy = Categorical(logits=(out := net(x))[:, :4])
            ratio, gain = (policy.log_prob(action) - old).exp(), (gain - gain.mean()) / gain.std()
            surrogate = torch.min(ratio * gain, ratio.clamp(0.8, 1.2) * gain).mean()
            optimizer.zero_grad()
            error = (out[:, 4] - target).square().mean()
            (0.5 * error - surrogate - 0.01 * policy.entropy().mean()).backward()
            optimizer.step()
        mean = sum(scores[-200:]) / 200
        print(step, "steps,", len(scores), "episodes, mean score", round(mean, 2))
        logger.log(step)
    torch.save([part.state_dict() for part in (net, optimizer)], checkpoint)
    curriculum.save(f"{checkpoint}.curriculum")
    envs.close()
    curriculum.close()


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__, formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--steps", type=int, default=400_000, help="steps of all agents")
    parser.add_argument("--checkpoint", type=Path, default="team.ckpt", help="goes on from it")
    main(**vars(parser.parse_args()))
