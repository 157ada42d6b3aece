"""PPO in one file, after the manner of CleanRL, on cart-poles of many lengths.

Needs torch. Run again with the same --checkpoint, it goes on where it ended, tasks and agent alike.
"""

from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser
from collections import deque
from functools import partial
from pathlib import Path

import gymnasium as gym
import torch
from torch import nn
from torch.distributions import Categorical

from curricle import Curriculum, CurriculumEnv, NoiseAwareConfig

LENGTHS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
# CartPole keeps the product of mass (0.1) and length beside the length.
TASKS = {f"length {n}": {"length": n, "polemass_length": 0.1 * n} for n in LENGTHS}
CONFIG = NoiseAwareConfig(score_range=(0.0, 500.0))
ENVS, ROLLOUT, EPOCHS, BATCH = 8, 128, 4, 256


def main(steps: int, checkpoint: Path) -> None:
    """Trains for so many environment steps, from the checkpoint if it exists, and saves it."""
    torch.manual_seed(0)
    curriculum = Curriculum(TASKS, CONFIG, seed=0)
    wrapper = partial(CurriculumEnv, curriculum=curriculum, apply="attributes")
    same_step = {"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP}
    envs = gym.make_vec("CartPole-v1", ENVS, "async", same_step, [wrapper])
    heads = (nn.Linear(64, 2), nn.Linear(64, 1))
    actor, critic = (nn.Sequential(nn.Linear(4, 64), nn.Tanh(), head) for head in heads)
    optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=2e-3)
    if checkpoint.exists():
        for part, state in zip((actor, critic, optimizer), torch.load(checkpoint), strict=True):
            part.load_state_dict(state)
        curriculum.load(f"{checkpoint}.curriculum")
    place, returns = torch.as_tensor(envs.reset()[0]), deque([0.0], maxlen=50)
    for update in range(1, steps // (ENVS * ROLLOUT) + 1):
        rows = []
        for _ in range(ROLLOUT):
            with torch.no_grad():
                policy, value = Categorical(logits=actor(place)), critic(place)[:, 0]
            action = policy.sample()
            after, reward, ended, cut, infos = envs.step(action.numpy())
            if (done := ended | cut).any():
                returns.extend(infos["final_info"]["curriculum/score"][done])
            facts = torch.tensor(reward).float(), torch.tensor(done).float()
            rows.append((place, action, policy.log_prob(action), value, *facts))
            place = torch.as_tensor(after)
        *data, values, rewards, dones = map(torch.stack, zip(*rows, strict=True))
        advantages, ahead = torch.zeros_like(values), torch.zeros(ENVS)
        with torch.no_grad():
            following = torch.cat([values[1:], critic(place)[None, :, 0]])
        for t in reversed(range(ROLLOUT)):
            delta = rewards[t] + 0.99 * following[t] * (1 - dones[t]) - values[t]
            advantages[t] = ahead = delta + 0.99 * 0.95 * (1 - dones[t]) * ahead
        data = [column.flatten(0, 1) for column in (*data, advantages, advantages + values)]
        orders = torch.cat([torch.randperm(ENVS * ROLLOUT) for _ in range(EPOCHS)])
        for x, action, old, gain, target in ([c[i] for c in data] for i in orders.split(BATCH)):
            policy = Categorical(logits=actor(x))
            ratio, gain = (policy.log_prob(action) - old).exp(), (gain - gain.mean()) / gain.std()
            surrogate = torch.min(ratio * gain, ratio.clamp(0.8, 1.2) * gain).mean()
            error = (critic(x)[:, 0] - target).square().mean()
            optimizer.zero_grad()
            (0.5 * error - surrogate - 0.01 * policy.entropy().mean()).backward()
            optimizer.step()
        print(update * ENVS * ROLLOUT, "steps, mean return", round(sum(returns) / len(returns), 1))
    torch.save([part.state_dict() for part in (actor, critic, optimizer)], checkpoint)
    curriculum.save(f"{checkpoint}.curriculum")
    envs.close()
    curriculum.close()


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__, formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--steps", type=int, default=100_000, help="environment steps to take")
    parser.add_argument("--checkpoint", type=Path, default="cleanrl.ckpt", help="goes on from it")
    main(**vars(parser.parse_args()))
