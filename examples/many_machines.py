"""Several machines, one curriculum: each node draws by what all have learned.

torchrun --nproc-per-node 3 examples/many_machines.py

Every rank stands for a machine with a session of its own. The task is the length of a corridor, in
which a logistic policy learns to walk right. Needs: pip install 'curricle[torch]'.
"""

from argparse import ArgumentParser, RawDescriptionHelpFormatter

import gymnasium as gym
import numpy as np
import torch
import torch.distributed as dist

from curricle import Curriculum, CurriculumEnv, NoiseAwareConfig

LENGTHS, ROLLOUTS, EPISODES = (1, 2, 4, 8, 16), 12, 25


class Corridor(gym.Env):
    observation_space = gym.spaces.Box(0.0, 1.0, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def set_task(self, length):
        self.length = length

    def reset(self, *, seed=None, options=None):
        self.position = self.steps = 0
        return np.array([1.0, 0.0], np.float32), {}

    def step(self, action):
        self.steps += 1
        self.position = max(0, self.position + 2 * action - 1)
        won = self.position == self.length
        seen = np.array([1.0, self.position / self.length], np.float32)
        return seen, float(won), won, self.steps >= 2 * self.length, {}


def play(env, policy):
    """One episode: its log-probabilities and its score."""
    seen, _ = env.reset()
    logs, score, over = [], 0.0, False
    while not over:
        choice = torch.distributions.Bernoulli(logits=policy(torch.from_numpy(seen)))
        action = choice.sample()
        logs.append(choice.log_prob(action))
        seen, reward, terminated, truncated, _ = env.step(int(action))
        score, over = score + float(reward), terminated or truncated
    return torch.cat(logs).sum(), score


def main():
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    config = NoiseAwareConfig(score_range=(0.0, 1.0), sync_episodes=10_000)
    with Curriculum({f"length {n}": n for n in LENGTHS}, config) as curriculum:
        curriculum.sync()
        torch.manual_seed(0)  # the same policy everywhere
        policy = torch.nn.Linear(2, 1)
        torch.manual_seed(rank)
        optimizer = torch.optim.Adam(policy.parameters(), lr=0.1)
        env = CurriculumEnv(Corridor(), curriculum)
        for _ in range(ROLLOUTS):
            logs, scores = zip(*(play(env, policy) for _ in range(EPISODES)), strict=True)
            advantages = torch.tensor(scores) - np.mean(scores)
            optimizer.zero_grad()
            (-torch.stack(logs) * advantages).mean().backward()
            for parameter in policy.parameters():
                dist.all_reduce(parameter.grad)
            optimizer.step()
            synced = curriculum.sync()
            print(f"rank {rank}: {np.mean(scores):.2f}, {synced.episodes} episodes of all synced")
        completed = curriculum.tracker.totals()["completions"]
        print(f"rank {rank}: {completed:.0f} in all, table {curriculum.tracker.digest()}")


if __name__ == "__main__":
    ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter).parse_args()
    main()
