"""PuffeRL, the trainer of PufferLib 3, on its `Multiprocessing`."""

from __future__ import annotations

import signal
import sys
from functools import partial

import gymnasium as gym
import pufferlib
import pufferlib.emulation
import pufferlib.models
import pufferlib.vector
from pufferlib import pufferl

from benches.trainers.arm import LEARNING_RATE, WORKERS, Arm, Iteration, cart_poles
from curricle import Curriculum, CurriculumEnv
from curricle.integrations.pufferlib import EpisodeInfos
from curricle.loggers import JsonlLogger

# PuffeRL would end the process at once.
signal.signal(signal.SIGINT, signal.default_int_handler)
ENVS = 16
SETTINGS = {
    "env": "cart-poles",
    "device": "cpu",
    "optimizer": "adam",
    "learning_rate": LEARNING_RATE,
    "minibatch_size": 256,
    "update_epochs": 4,
    "bptt_horizon": 32,
    # It neither ends nor saves.
    "total_timesteps": 10**12,
    "checkpoint_interval": 10**9,
}
make_curriculum = cart_poles


def make(curriculum: Curriculum | None, buf: object = None, seed: int = 0) -> gym.Env:
    """What a worker makes."""
    env = pufferlib.EpisodeStats(gym.make("CartPole-v1"))
    if curriculum is not None:
        env = EpisodeInfos(CurriculumEnv(env, curriculum, apply="attributes"))
    return pufferlib.emulation.GymnasiumPufferEnv(env, buf=buf, seed=seed)


class Trainer(Arm):
    """As `examples/pufferlib_ppo.py`."""

    def __init__(self, curriculum: Curriculum | None) -> None:
        # It reads its settings from the command line, which is the bench's.
        del sys.argv[1:]
        settings = pufferl.load_config("default")["train"] | SETTINGS
        how = {"backend": pufferlib.vector.Multiprocessing, "num_workers": WORKERS}
        envs = pufferlib.vector.make(
            partial(make, curriculum), num_envs=ENVS, batch_size=ENVS, overwork=True, **how
        )
        policy = pufferlib.models.Default(envs.driver_env, hidden_size=64)
        self._envs, self._trainer = envs, pufferl.PuffeRL(settings, envs, policy)
        self._logger = None if curriculum is None else JsonlLogger(curriculum, "curriculum.jsonl")
        # It tells its losses four times a second.
        while not self._trainer.losses:
            self.train()

    def train(self) -> Iteration:
        """A rollout and its training."""
        before = self._trainer.global_step
        self._trainer.evaluate()
        self._trainer.train()
        if self._logger is not None:
            self._logger.log(self._trainer.global_step)
        losses = self._trainer.losses
        return Iteration(self._trainer.global_step - before, sum(losses.values()))

    def workers(self) -> list[int]:
        """Those of `Multiprocessing`."""
        return [process.pid for process in self._envs.processes]

    def close(self) -> None:
        """Ends the workers, and waits for it."""
        self._trainer.utilization.stop()
        self._envs.close()
        for process in self._envs.processes:
            process.join()
