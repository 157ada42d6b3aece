"""PPO of RLlib, the new API stack, with env runners as workers."""

from __future__ import annotations

import os
import sys
from typing import Any

import gymnasium as gym
import ray
from ray.rllib.algorithms.ppo import PPOConfig
from ray.tune.registry import register_env

from benches.trainers.arm import LEARNING_RATE, WORKERS, Arm, Iteration, cart_poles
from curricle import Curriculum, CurriculumEnv
from curricle.integrations.rllib import CurriculumCallback, register_curriculum_env

make_curriculum = cart_poles


def make_env(curriculum: Curriculum, context: dict[str, Any]) -> gym.Env[Any, Any]:
    """What an env runner makes."""
    return CurriculumEnv(gym.make("CartPole-v1"), curriculum, apply="attributes")


class Trainer(Arm):
    """As `examples/rllib_ppo.py`; Ray ends with this process."""

    def __init__(self, curriculum: Curriculum | None) -> None:
        if not ray.is_initialized():
            # Env runners import this file.
            paths = {"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}}
            quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
            ray.init(num_cpus=2 * (WORKERS + 1), runtime_env=paths, **quiet)
        # By its own name Gymnasium would wrap it once, and not twice as what RLlib has registered.
        register_env("plain", lambda context: gym.make("CartPole-v1"))
        config = PPOConfig().environment("plain")
        if curriculum is not None:
            register_curriculum_env("cart-poles", make_env, curriculum)
            config.environment("cart-poles").callbacks(CurriculumCallback)
        config.env_runners(num_env_runners=WORKERS).debugging(seed=0, log_level="ERROR")
        config.training(train_batch_size=2048, minibatch_size=256, num_epochs=4, lr=LEARNING_RATE)
        self._algorithm = config.build_algo()
        self._steps = 0

    def train(self) -> Iteration:
        """An iteration of the algorithm."""
        result = self._algorithm.train()
        before, self._steps = self._steps, int(result["num_env_steps_sampled_lifetime"])
        loss = result["learners"]["default_policy"]["total_loss"]
        return Iteration(self._steps - before, float(loss))

    def workers(self) -> list[int]:
        """Those of the env runners."""
        runners = self._algorithm.env_runner_group
        return runners.foreach_env_runner(lambda runner: os.getpid(), local_env_runner=False)

    def close(self) -> None:
        """Stops the algorithm."""
        self._algorithm.stop()
