"""Steps a second of PPO in Stable-Baselines3 with four workers, the curriculum on over off.

``python -m benches.sb3_loop``. A pair is a rollout and its training for each arm; which arm begins
alternates from pair to pair. Both arms train the same network on CartPole with tasks that change
nothing, so that they do the same work.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import SubprocVecEnv

from benches.progress import progress
from benches.timing import Figures
from curricle import Curriculum, CurriculumEnv, NoiseAwareConfig

WORKERS = 4
PAIRS = 15
STEPS = 8_192
TASKS = 1_000
# Of a policy that does not learn (learning rate 0): episodes are alike in all rounds.
_OPTIONS: dict[str, Any] = {"n_steps": 512, "batch_size": 512, "learning_rate": 0.0, "seed": 0}


def _keep(env: gym.Env[Any, Any], task: object) -> None:
    """Takes a task, which changes nothing."""


def measure(pairs: int = PAIRS, steps: int = STEPS) -> tuple[Figures, Figures]:
    """Steps a second, a figure a pair: with the curriculum on, and off.

    Args:
        pairs: how often both arms train, >= 1.
        steps: environment steps that an arm trains in its turn.
    """
    torch.set_num_threads(1)
    with Curriculum(TASKS, NoiseAwareConfig(score_range=(0.0, 500.0)), seed=0) as curriculum:
        wrapping = {"curriculum": curriculum, "apply": _keep}
        arms = [
            _model(wrapper_class=CurriculumEnv, wrapper_kwargs=wrapping),
            _model(),
        ]
        try:
            for model in arms:
                model.learn(steps)
            found: tuple[list[float], list[float]] = ([], [])
            for pair in progress(range(pairs), "PPO in pairs"):
                for arm in (0, 1) if pair % 2 else (1, 0):
                    found[arm].append(_steps_a_second(arms[arm].learn, steps))
        finally:
            for model in arms:
                model.get_env().close()
    return Figures(found[0]), Figures(found[1])


def _model(**wrapping: Any) -> PPO:
    envs = make_vec_env(
        "CartPole-v1",
        WORKERS,
        vec_env_cls=SubprocVecEnv,
        vec_env_kwargs={"start_method": "forkserver"},
        **wrapping,
    )
    return PPO("MlpPolicy", envs, device="cpu", **_OPTIONS)


def _steps_a_second(learn: Callable[..., Any], steps: int) -> float:
    began = time.perf_counter()
    learn(steps, reset_num_timesteps=False)
    return steps / (time.perf_counter() - began)


if __name__ == "__main__":
    on, off = measure()
    ratio = on.over(off)
    low, high = ratio.interval
    print(
        f"{WORKERS} workers, {len(on.rounds)} pairs: {ratio.median:.3f} (95% {low:.3f} to "
        f"{high:.3f}) of {off.median:,.0f} steps a second"
    )
