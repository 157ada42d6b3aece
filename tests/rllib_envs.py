"""Environments and the algorithm of the tests with RLlib."""

import os
import signal
from pathlib import Path

import gymnasium as gym
import numpy as np
from pettingzoo import ParallelEnv
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv

from curricle import CurriculumEnv
from curricle.envs import CurriculumParallelEnv
from curricle.integrations.rllib import CurriculumCallback

TASKS = {
    f"length {length}": {"length": length, "polemass_length": 0.1 * length}
    for length in (0.1, 0.5, 2.0)
}


class Noted(gym.Wrapper):
    """Notes the return of each episode in a file of its process.

    The episode that finds a file named "kill" removes it and kills its process in its second step.
    """

    def __init__(self, env, folder):
        super().__init__(env)
        self.folder = folder

    def reset(self, **options):
        self.total = self.steps = 0
        self.doomed = (self.folder / "kill").exists()
        if self.doomed:
            (self.folder / "kill").unlink()
        return super().reset(**options)

    def step(self, action):
        self.steps += 1
        if self.doomed and self.steps == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        transition = super().step(action)
        self.total += transition[1]
        if transition[2] or transition[3]:
            with open(self.folder / f"{os.getpid()}.returns", "a") as file:
                file.write(f"{self.total}\n")
        return transition


def make_env(curriculum, context):
    env = Noted(gym.make("CartPole-v1"), Path(context["folder"]))
    return CurriculumEnv(env, curriculum, apply="attributes")


class Race(ParallelEnv):
    """Two agents walk to a goal; each leaves when it is there, at the latest after 12 steps."""

    metadata = {"name": "race_v0"}  # noqa: RUF012  as PettingZoo asks for it
    possible_agents = ("ann", "bob")
    render_mode = None

    def __init__(self):
        self.set_task({"length": 1})

    def set_task(self, task):
        self.length = task["length"]

    def observation_space(self, agent):
        return gym.spaces.Box(0.0, 1.0, (1,))

    def action_space(self, agent):
        return gym.spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        self.steps = 0
        self.places = dict.fromkeys(self.possible_agents, 0)
        self.agents = list(self.possible_agents)
        return self._seen(self.agents), {agent: {} for agent in self.agents}

    def step(self, actions):
        self.steps += 1
        agents = self.agents
        for agent in agents:
            self.places[agent] += int(actions[agent])
        arrived = {agent: self.places[agent] >= self.length for agent in agents}
        late = {agent: self.steps == 12 and not arrived[agent] for agent in agents}
        self.agents = [agent for agent in agents if not (arrived[agent] or late[agent])]
        rewards = {agent: float(actions[agent]) / self.length for agent in agents}
        return self._seen(agents), rewards, arrived, late, {agent: {} for agent in agents}

    def _seen(self, agents):
        return {agent: np.array([self.places[agent] / 12], np.float32) for agent in agents}


def make_race(curriculum, context):
    return ParallelPettingZooEnv(CurriculumParallelEnv(Race(), curriculum))


def noted(folder):
    """Returns of all episodes that ended, in whichever process."""
    return [float(line) for file in folder.glob("*.returns") for line in open(file)]


def make_config(name, folder, env_runners):
    config = PPOConfig().environment(name, env_config={"folder": str(folder)})
    config.env_runners(num_env_runners=env_runners, num_envs_per_env_runner=2)
    config.env_runners(num_cpus_per_env_runner=0.5)
    config.training(train_batch_size=512, minibatch_size=256, num_epochs=1)
    config.rl_module(model_config={"fcnet_hiddens": [16]})
    return config.debugging(seed=0).callbacks(CurriculumCallback)
