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
    next step. The score is the mean over agents of the environment's ``get_episode_rewards()``
    (an array, or a dict by agent), or of the rewards since the last reset where it has no such
    method or that has nothing.

    The infos of an episode's last step have tables by label, each a dict. For the label of the
    episode's task: ``env_curriculum/per_label_rewards`` (the score) and
    ``env_curriculum/per_label_lp_scores``. For all labels, what has happened since the infos that
    had it last, so that a sum over infos counts each event once:
    ``env_curriculum/per_label_completion_counts``, ``env_curriculum/per_label_samples`` and
    ``env_curriculum/per_label_evictions``. Every n-th step, see `set_stats_update_frequency`,
    they have the pool's and the algorithm's statistics as numbers, and the mean learning progress
    of all labels.

    Other attributes are those of the environment, and so is its class to ``isinstance``: a vector
    environment that takes only some kinds of environment takes the wrapped ones.

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
        facts: dict[str, Any] = {}
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

    def _end_episode(self) -> dict[str, Any]:
        task, score = self._current_task, self._score()
        self._return = 0.0
        task.complete(score)
        self._curriculum.update_task_performance(task._task_id, score)
        facts: dict[str, Any] = {}
        if isinstance(task._label, str):
            facts["per_label_rewards"] = {task._label: score}
            algorithm = self._curriculum._algorithm
            if algorithm is not None:
                lp_score = algorithm.get_learning_progress_score(task._task_id)
                facts["per_label_lp_scores"] = {task._label: lp_score}
        self._draw_valid(lambda task: self._env.set_mg_config(task.get_env_cfg()))
        # A trainer's own curriculum may have no events.
        events: Any = getattr(self._curriculum, "take_events", dict)()
        return facts | events if isinstance(events, dict) else facts

    def _score(self) -> float:
        rewards: Any = None
        if hasattr(self._env, "get_episode_rewards"):
            rewards = self._env.get_episode_rewards()
            if isinstance(rewards, Mapping):
                rewards = list(rewards.values())
        if rewards is None or np.size(rewards) == 0:
            rewards = self._return
        return float(np.mean(rewards))

    def _stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = {}
        lp_scores: dict[str, float] = {}
        for name, value in self._curriculum.stats().items():
            table, _, label = name.partition("/")
            if table == "per_label_lp_scores":
                lp_scores[label] = value
            elif not table.startswith("per_label_"):
                stats[name] = value
            # Counts by label are in the infos as events, which may be summed.
        return stats | {"per_label_lp_scores": lp_scores} if lp_scores else stats

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
                # Without a score it would never leave the pool, and be drawn more and more.
                if isinstance(self._curriculum, Curriculum):
                    self._curriculum.replace_invalid(task._task_id)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._env) if "_env" in vars(self) else CurriculumEnv

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickling by default would ask for the class.
        return _blank, (type(self),), vars(self)

    def __getattr__(self, name: str) -> Any:
        # Without its environment, as while it is unpickled, it has no other attributes.
        if name == "_env" or (name.startswith("__") and name.endswith("__")):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        value = getattr(self._env, name)
        if name in _OF_RESET_AND_STEP and isinstance(value, types.MethodType):
            return types.MethodType(value.__func__, self)
        return value


def _blank(cls: type[CurriculumEnv]) -> CurriculumEnv:
    return cls.__new__(cls)


def _with_facts(infos: Any, facts: Mapping[str, Any]) -> Any:
    """The infos with more facts: in a dict, or in the first item of a list that can have them."""
    if infos is None:
        return dict(facts)
    if isinstance(infos, Mapping):
        return {**infos, **facts}
    if isinstance(infos, str) or not isinstance(infos, Sequence):
        raise TypeError(
            f"the environment's infos are a {type(infos).__name__}; make them a dict or a list of "
            "dicts, to which the curriculum can add its own"
        )
    items = list(infos)
    for at, item in enumerate(items):
        if item is None or isinstance(item, Mapping | list | tuple):
            items[at] = _with_facts(item, facts)
            return items
    return [dict(facts), *items]
