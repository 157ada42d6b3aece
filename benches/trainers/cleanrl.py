"""A script after the manner of CleanRL on Gymnasium's `AsyncVectorEnv`."""

from __future__ import annotations

from functools import partial

import gymnasium as gym

from benches.trainers.arm import WORKERS, cart_poles
from benches.trainers.ppo import Script
from curricle import Curriculum, CurriculumEnv

make_curriculum = cart_poles


class Trainer(Script):
    """As `examples/cleanrl_ppo.py`."""

    def __init__(self, curriculum: Curriculum | None) -> None:
        wrappers = []
        if curriculum is not None:
            wrappers = [partial(CurriculumEnv, curriculum=curriculum, apply="attributes")]
        same_step = {"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP}
        envs = gym.make_vec("CartPole-v1", WORKERS, "async", same_step, wrappers)
        super().__init__(envs, WORKERS, (4, 2))

    def workers(self) -> list[int]:
        """Those of Gymnasium."""
        return [process.pid for process in self.envs.unwrapped.processes]
