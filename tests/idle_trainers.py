"""Trainers without a learner, for the bench of trainers: what it starts imports this file."""

import math
import os
import signal
import sys
from dataclasses import dataclass

from benches.idle_env import Idle
from benches.trainers.arm import Arm, Iteration
from benches.trainers.catalogue import Entry
from curricle import Curriculum, CurriculumEnv

EPISODE_STEPS = 4


def make_curriculum():
    return Curriculum(10)


class Trainer(Arm):
    """Plays one episode, in the process of the bench."""

    loss = 0.0

    def __init__(self, curriculum):
        env = Idle(EPISODE_STEPS)
        self._env = env if curriculum is None else CurriculumEnv(env, curriculum)

    def train(self):
        self._env.reset()
        ended = False
        while not ended:
            ended = self._env.step(0)[2]
        return Iteration(EPISODE_STEPS, self.loss)

    def workers(self):
        return []

    def close(self):
        self._env.close()


class Diverged:
    make_curriculum = staticmethod(make_curriculum)

    class Trainer(Trainer):
        loss = math.nan


class Killed:
    def make_curriculum():
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class IdleEntry(Entry):
    """A name of this file in place of a module of the bench."""

    title: str = "Idle"
    package: str = "numpy"
    module: str = ""
    example: str = "cleanrl_ppo.py"

    def load(self):
        here = sys.modules[__name__]
        return getattr(here, self.module) if self.module else here
