"""The drop-in wrapper that plays a task of the curriculum in every episode."""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from curricle.compat.curriculum import Curriculum
from curricle.compat.curriculum_base import CurriculumTask

PREFIX = "env_curriculum/"
ATTEMPTS = 10

# Methods of environments that call reset and step of their own; through the wrapper they must
# call the wrapper's.
_OF_RESET_AND_STEP = ("async_reset", "send", "recv")


class CurriculumEnv:
    """Plays a task of the curriculum in every episode and reports each episode's score once.

    The environment takes a task by ``set_mg_config(env_cfg)``. `reset` draws a task; so does the
    end of an episode, because environments that reset themselves begin the next one in their
    next step. The score is the mean over agents of the environment's ``get_episode_rewards()``,
    or of the rewards since the last reset where it has no such method.

    The infos of an episode's last step have, for the label of its task,
    ``env_curriculum/per_label_rewards/LABEL`` (the score) and ``.../per_label_lp_scores/LABEL``,
    and for all labels what has happened since the infos that had it last, so that a sum over
    infos counts each event once: ``.../per_label_completion_counts/LABEL``,
    ``.../per_label_samples/LABEL`` and ``.../per_label_evictions/LABEL``. Every n-th step, see
    `set_stats_update_frequency`, they have the pool's and the algorithm's statistics and the
    mean learning progress of all labels.

    Other attributes are those of the environment.

    Args:
        env: an environment whose rewards, terminals and truncations are numbers or arrays (an
            episode ends when any is set), and whose infos are a dict or a list of dicts.
        curriculum: where tasks come from and scores go to; several environments may share it.

    Raises:
        TypeError: the environment has no ``set_mg_config``.
    """

    def __init__(self, env: Any, curriculum: Curriculum) -> None:
        if not callable(getattr(env, "set_mg_config", None)):
            raise TypeError(
                f"{env!r} has no set_mg_config to take a task by; define it, or use "
                "curricle.CurriculumEnv, whose apply knows other ways"
            )
        self._env = env
        self._curriculum = curriculum
        self._current_task = curriculum.get_task()
        self._return: Any = 0.0
        self._stats_every = 50
        self._steps_since_stats = 0

    def reset(self, *args: Any, **kwargs: Any) -> Any:
        """Draws a task, hands it over and resets; returns what the environment returns.

        Raises:
            RuntimeError: ten tasks in a row could not be set up.
        """

        def set_up(task: CurriculumTask) -> Any:
            self._env.set_mg_config(task.get_env_cfg())
            return self._env.reset(*args, **kwargs)

        self._return = 0.0
        return self._draw_valid(set_up)

    def step(self, *args: Any, **kwargs: Any) -> Any:
        """Steps; at the end of an episode reports its score and hands over the next task."""
        observations, rewards, terminals, truncations, infos = self._env.step(*args, **kwargs)
        self._return = self._return + np.asarray(rewards, np.float64)
        facts: dict[str, float] = {}
        if np.any(terminals) or np.any(truncations):
            facts |= self._end_episode()
        self._steps_since_stats += 1
        if self._steps_since_stats >= self._stats_every:
            self._steps_since_stats = 0
            facts |= self._stats()
        if facts:
            infos = _with_facts(infos, {PREFIX + name: value for name, value in facts.items()})
        return observations, rewards, terminals, truncations, infos

    def set_stats_update_frequency(self, n: int) -> None:
        """Statistics are in the infos of every ``n``-th step, n >= 1; 50 at first."""
        if n < 1:
            raise ValueError(f"n={n} must be at least 1: statistics come every n-th step")
        self._stats_every = n

    def force_stats_update(self) -> None:
        """The next step's infos have the statistics."""
        self._steps_since_stats = self._stats_every

    def _end_episode(self) -> dict[str, float]:
        task, score = self._current_task, self._score()
        self._return = 0.0
        task.complete(score)
        self._curriculum.update_task_performance(task._task_id, score)
        facts: dict[str, float] = {}
        if task._label is not None:
            facts[f"per_label_rewards/{task._label}"] = score
            algorithm = self._curriculum._algorithm
            lp_score = algorithm.get_learning_progress_score(task._task_id)
            facts[f"per_label_lp_scores/{task._label}"] = lp_score
        self._draw_valid(lambda task: self._env.set_mg_config(task.get_env_cfg()))
        return facts | self._curriculum.take_events()

    def _score(self) -> float:
        if hasattr(self._env, "get_episode_rewards"):
            return float(np.mean(self._env.get_episode_rewards()))
        return float(np.mean(self._return))

    def _stats(self) -> dict[str, float]:
        # Counts by label are in the infos as events, which may be summed.
        return {
            name: value
            for name, value in self._curriculum.stats().items()
            if not name.startswith("per_label_") or name.startswith("per_label_lp_scores/")
        }

    def _draw_valid(self, set_up: Callable[[CurriculumTask], Any]) -> Any:
        """Draws until a task can be set up; what ``set_up`` returns for it."""
        for attempt in range(1, ATTEMPTS + 1):
            task = self._current_task = self._curriculum.get_task()
            try:
                return set_up(task)
            except Exception as error:
                said = f"task {task._task_id} could not be set up ({error!r})"
                if attempt == ATTEMPTS:
                    raise RuntimeError(
                        f"{said}, nor could the {ATTEMPTS - 1} drawn before: check what the task "
                        "generator makes against what the environment can play"
                    ) from error
                warnings.warn(
                    f"{said}; drawing another one, attempt {attempt} of {ATTEMPTS}",
                    RuntimeWarning,
                    stacklevel=3,
                )

    def __getattr__(self, name: str) -> Any:
        # Without its environment, as while it is unpickled, it has no other attributes.
        if name == "_env" or (name.startswith("__") and name.endswith("__")):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        value = getattr(self._env, name)
        if name in _OF_RESET_AND_STEP and isinstance(value, types.MethodType):
            return types.MethodType(value.__func__, self)
        return value


def _with_facts(infos: Any, facts: Mapping[str, float]) -> Any:
    """The infos with more facts: in a dict, or in the first dict of a list."""
    if isinstance(infos, Mapping):
        return {**infos, **facts}
    if isinstance(infos, Sequence) and infos:
        return [{**infos[0], **facts}, *infos[1:]]
    return [dict(facts)]
