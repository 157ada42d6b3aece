"""PufferLib: what an episode says of itself in the infos, as numbers that may be averaged."""

from __future__ import annotations

import math
from typing import Any, SupportsFloat

import gymnasium as gym
from gymnasium.core import ActType, ObsType

from curricle.envs.infos import LABEL, LP, SCORE, TASK_ID


class EpisodeInfos(
    gym.Wrapper[ObsType, ActType, ObsType, ActType], gym.utils.RecordConstructorArgs
):
    """Leaves what PufferLib can log of the facts that `CurriculumEnv` puts into infos.

    PufferLib averages whatever number it finds in the infos of resets and steps, numbers of tasks
    among them, and sends each info through a pipe. Here those of resets say nothing of the task.
    An episode's last info has ``"curriculum/score"``, ``"curriculum/lp"``, and the score again as
    ``"curriculum_score/LABEL"``, so that its averages are those of the label's episodes. What was
    not counted is left out.

    Args:
        env: an environment with `CurriculumEnv` among its wrappers, and
            ``pufferlib.EpisodeStats``, if any, inside of that.
    """

    def __init__(self, env: gym.Env[ObsType, ActType]) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Resets; the info has nothing of the task."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, _without_task(info)

    def step(self, action: ActType) -> tuple[ObsType, SupportsFloat, bool, bool, dict[str, Any]]:
        """Steps; the last info of an episode has its numbers."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if TASK_ID in info:
            info = _numbers(info)
        return observation, reward, terminated, truncated, info


def _without_task(info: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in info.items() if key not in (TASK_ID, LABEL)}


def _numbers(info: dict[str, Any]) -> dict[str, Any]:
    """The info of a last step, with its score by label and without what is NaN."""
    numbers = _without_task(info)
    for key in (SCORE, LP):
        if math.isnan(numbers.get(key, 0.0)):
            del numbers[key]
    if info[LABEL] and SCORE in numbers:
        numbers[f"curriculum_score/{info[LABEL]}"] = numbers[SCORE]
    return numbers
