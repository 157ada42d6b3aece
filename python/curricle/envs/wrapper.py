"""The Gymnasium wrapper that plays a task of the curriculum in every episode."""

from typing import TYPE_CHECKING, Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium.core import ActType, ObsType

from curricle.envs.apply import ApplyForm, resolve_apply
from curricle.envs.infos import joined
from curricle.envs.label_metrics import LabelMetrics
from curricle.envs.score import Score
from curricle.envs.task_cycle import TaskCycle

if TYPE_CHECKING:
    from curricle.curriculum import Curriculum


class CurriculumEnv(
    gym.Wrapper[ObsType, ActType, ObsType, ActType], gym.utils.RecordConstructorArgs
):
    """Draws a task at every reset, hands it to the environment, and reports the episode's score.

    Works alone and inside a vector environment of any autoreset mode. Truncated episodes count
    like terminated ones unless ``score`` says otherwise. Whatever ends episodes (a ``TimeLimit``)
    belongs inside this wrapper. ``reset(seed=s)`` starts this environment's draws anew from
    (session seed, s). ``reset(options={"task": task})``, with a task, its id or a configuration,
    plays that one for an episode that counts nowhere.

    The info of a reset has ``"curriculum/task_id"`` (int) and ``"curriculum/label"`` (str, empty
    for none). The info of an episode's last step has the same, ``"curriculum/score"`` and
    ``"curriculum/lp"`` (floats of this episode; NaN where it was not counted).

    Args:
        env: the environment to wrap.
        curriculum: where tasks come from and scores go to.
        apply: how a task's ``env_cfg`` reaches the environment: a method's name; ``"auto"``, the
            method ``set_task`` or ``set_mg_config`` of any layer; ``"options"``, that is
            ``reset(options={"task": env_cfg})``; ``"attributes"`` of ``env.unwrapped``;
            ``Rebuild(factory)``; or a callable ``(env, task) -> env | None``.
        score: ``"return"``; ``"mean_return"``, for environments whose ``step`` gives an array of
            rewards, one an agent (the episode ends when all agents have ended); a key of the last
            info; a callable ``(Episode) -> float | None``, None for "not counted"; or None: the
            learner reports later, see ``tickets``.
        metrics_every: at every n-th finished episode the last info carries the session's
            per-label table (keys ``env_curriculum/per_label_...``); None for never.
        per_label_metrics: False switches that table off.
        max_metric_labels: labels in that table, those with the most samples first; at least 1.

    Raises:
        ValueError: ``apply`` does not fit the environment, or a number is out of its range.
        TypeError: ``apply`` or ``score`` is none of its forms.

    Example:
        >>> import gymnasium as gym
        >>> from curricle import Curriculum, CurriculumEnv
        >>> tasks = {"moon": {"gravity": 1.6}, "earth": {"gravity": 9.8}}
        >>> curriculum = Curriculum(tasks)
        >>> env = CurriculumEnv(gym.make("CartPole-v1"), curriculum, apply="attributes")
        >>> _, info = env.reset(seed=0)
        >>> tasks[info["curriculum/label"]]["gravity"] == env.unwrapped.gravity
        True
    """

    def __init__(
        self,
        env: gym.Env[ObsType, ActType],
        curriculum: "Curriculum",
        *,
        apply: ApplyForm = "auto",
        score: Score = "return",
        metrics_every: int | None = None,
        per_label_metrics: bool = True,
        max_metric_labels: int = 32,
    ) -> None:
        gym.utils.RecordConstructorArgs.__init__(
            self,
            # A copy of the curriculum would be another curriculum.
            _disable_deepcopy=True,
            curriculum=curriculum,
            apply=apply,
            score=score,
            metrics_every=metrics_every,
            per_label_metrics=per_label_metrics,
            max_metric_labels=max_metric_labels,
        )
        gym.Wrapper.__init__(self, env)
        self.curriculum = curriculum
        self._apply = resolve_apply(apply, env)
        metrics = LabelMetrics(curriculum, metrics_every, per_label_metrics, max_metric_labels)
        self._cycle = TaskCycle(curriculum, score, metrics)
        self._rewards_per_agent = score == "mean_return"
        self._return: Any = 0.0
        self._length = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Draws a task (or takes ``options["task"]``), hands it over and resets."""
        task, options = self._cycle.begin(seed, options, self._length)
        self._return = 0.0
        self._length = 0
        env, options = self._apply.hand_over(self.env, task, options)
        if env is not self.env:
            self.env = env
            self._cached_spec = None
        observation, info = env.reset(seed=seed, options=options)
        return observation, self._cycle.begun(info)

    def step(self, action: ActType) -> tuple[ObsType, SupportsFloat, bool, bool, dict[str, Any]]:
        """Steps; at the end of an episode its score is reported and its facts join the info."""
        if self._rewards_per_agent:
            return self._step_agents(action)
        transition = self.env.step(action)
        # float(): a sum of float32 rewards would lose small ones.
        self._return += float(transition[1])
        self._length += 1
        if transition[2] or transition[3]:
            observation, reward, terminated, truncated, info = transition
            facts = self._cycle.end(
                self._return, None, self._length, bool(terminated), bool(truncated), info
            )
            return observation, reward, terminated, truncated, joined(info, facts)
        return transition

    def _step_agents(
        self, action: ActType
    ) -> tuple[ObsType, SupportsFloat, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._return = self._return + np.asarray(reward, dtype=np.float64)
        self._length += 1
        if np.all(np.logical_or(terminated, truncated)):
            returns = np.atleast_1d(self._return)
            facts = self._cycle.end(
                float(returns.sum()),
                dict(enumerate(returns.tolist())),
                self._length,
                bool(np.any(terminated)),
                bool(np.any(truncated)),
                info,
            )
            info = joined(info, facts)
        return observation, reward, terminated, truncated, info
