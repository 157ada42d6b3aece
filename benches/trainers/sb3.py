"""PPO of Stable-Baselines3 on its `SubprocVecEnv`."""

from __future__ import annotations

from typing import Any

from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import SubprocVecEnv

from benches.trainers.arm import LEARNING_RATE, WORKERS, Arm, Iteration, cart_poles
from curricle import Curriculum, CurriculumEnv
from curricle.integrations.sb3 import CurriculumCallback

STEPS = 512
make_curriculum = cart_poles


class Trainer(Arm):
    """As `examples/sb3_ppo.py`."""

    def __init__(self, curriculum: Curriculum | None) -> None:
        wrapping: dict[str, Any] = {}
        self._callback = None
        if curriculum is not None:
            wrapped = {"curriculum": curriculum, "apply": "attributes"}
            wrapping = {"wrapper_class": CurriculumEnv, "wrapper_kwargs": wrapped}
            self._callback = CurriculumCallback(curriculum)
        self._envs = make_vec_env(
            "CartPole-v1",
            WORKERS,
            vec_env_cls=SubprocVecEnv,
            vec_env_kwargs={"start_method": "forkserver"},
            **wrapping,
        )
        how = {"n_steps": STEPS, "batch_size": STEPS, "learning_rate": LEARNING_RATE, "seed": 0}
        self._model = PPO("MlpPolicy", self._envs, device="cpu", **how)

    def train(self) -> Iteration:
        """A rollout and its training."""
        before = self._model.num_timesteps
        self._model.learn(STEPS * WORKERS, self._callback, reset_num_timesteps=False)
        loss = self._model.logger.name_to_value["train/loss"]
        return Iteration(self._model.num_timesteps - before, loss)

    def workers(self) -> list[int]:
        """Those of `SubprocVecEnv`."""
        return [process.pid for process in self._envs.processes]

    def close(self) -> None:
        """Closes the vector environment."""
        self._envs.close()
