"""Prioritized level replay: frozen lakes come back by the error of the learner's value function.

Only the learner knows it, so the environments report nothing (``score=None``), and the learner
reports the mean size of the advantage estimates of each episode. Needs torch.
"""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from functools import partial

import gymnasium as gym
import numpy as np
import torch
from gymnasium.envs.toy_text.frozen_lake import generate_random_map

from curricle import Curriculum, CurriculumEnv
from curricle.algorithms import LevelReplayConfig
from curricle.envs import Rebuild, tickets

LAKES = [generate_random_map(size=4, seed=seed) for seed in range(50)]
ENVS, ROLLOUT, UPDATES = 16, 16, 201


def make(rows: list[str]) -> gym.Env:
    """A frozen lake; the observation is its whole map and where the player stands."""
    env = gym.make("FrozenLake-v1", desc=rows, is_slippery=False, max_episode_steps=50)
    cells = np.array([list(row) for row in rows]).ravel()
    lake = np.concatenate([cells == "H", cells == "G"]).astype(np.float32)
    places = np.hstack([np.tile(lake, (16, 1)), np.eye(16, dtype=np.float32)])
    return gym.wrappers.TransformObservation(env, places.__getitem__, gym.spaces.Box(0, 1, (48,)))


@torch.no_grad()
def number_crossed(net: torch.nn.Module) -> int:
    envs = gym.vector.SyncVectorEnv([partial(make, rows) for rows in LAKES])
    place, won = envs.reset()[0], np.zeros(len(LAKES), bool)
    for _ in range(16):
        place, reward, *_ = envs.step(net(torch.as_tensor(place))[:, :4].argmax(1).numpy())
        won |= reward > 0
    return won.sum()


def main() -> None:
    torch.manual_seed(0)
    curriculum = Curriculum(LAKES, LevelReplayConfig(potential="score"), seed=0)
    env = partial(CurriculumEnv, curriculum=curriculum, apply=Rebuild(make), score=None)
    envs = gym.vector.SyncVectorEnv([lambda: env(make(LAKES[0]))] * ENVS, autoreset_mode="SameStep")
    net = torch.nn.Sequential(torch.nn.Linear(48, 128), torch.nn.Tanh(), torch.nn.Linear(128, 5))
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    place, sums, lengths = envs.reset()[0], torch.zeros(ENVS), torch.zeros(ENVS)
    for update in range(UPDATES):
        rows, ends = [], []
        for _ in range(ROLLOUT):
            out = net(torch.as_tensor(place))
            action = (policy := torch.distributions.Categorical(logits=out[:, :4])).sample()
            place, reward, ended, cut, infos = envs.step(action.numpy())
            ends.append((done := ended | cut, tickets(infos)))
            outcome = torch.tensor(reward), torch.tensor(done)
            rows.append((policy.log_prob(action), policy.entropy(), out[:, 4], *outcome))
        log_probs, entropies, values, rewards, dones = map(torch.stack, zip(*rows, strict=True))
        ahead, targets = net(torch.as_tensor(place))[:, 4].detach(), torch.zeros_like(values)
        for t in reversed(range(ROLLOUT)):
            targets[t] = ahead = rewards[t] + 0.95 * ~dones[t] * ahead
        gains = targets - values
        for sizes, (done, reportable) in zip(gains.detach().abs(), ends, strict=True):
            sums, lengths = sums + sizes, lengths + 1
            if reportable:
                curriculum.report(reportable, (sums / lengths)[done].tolist())
                sums[done] = lengths[done] = 0.0
        optimizer.zero_grad()
        (0.5 * gains.square() - log_probs * gains.detach() - 0.01 * entropies).mean().backward()
        optimizer.step()
        if update % 50 == 0:
            print(update * ENVS * ROLLOUT, "steps, lakes crossed:", number_crossed(net))
    print("{scheduled} episodes, {completions} reported".format(**curriculum.tracker.totals()))
    curriculum.close()


if __name__ == "__main__":
    ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter).parse_args()
    main()
