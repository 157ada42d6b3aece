"""The PettingZoo wrapper that plays a task of the curriculum in every episode of all agents."""

from typing import TYPE_CHECKING, Any

from pettingzoo.utils.wrappers import BaseParallelWrapper  # type: ignore[import-untyped]

from curricle.envs.apply import ApplyForm, resolve_apply
from curricle.envs.infos import joined
from curricle.envs.label_metrics import LabelMetrics
from curricle.envs.score import InfoScore, MeanInfoScore, Score, resolve_score
from curricle.envs.task_cycle import TaskCycle

if TYPE_CHECKING:
    from pettingzoo import ParallelEnv  # type: ignore[import-untyped]

    from curricle.curriculum import Curriculum


class CurriculumParallelEnv(BaseParallelWrapper):  # type: ignore[misc]
    """Draws a task at every reset of a ``ParallelEnv`` and reports one score an episode.

    The episode is over when all agents are. The keys that ``CurriculumEnv`` adds to the info are
    in the info of every agent that has one: at the reset, and at the last step.

    Args:
        env: the environment to wrap.
        curriculum: where tasks come from and scores go to.
        apply: as in ``CurriculumEnv``.
        score: as in ``CurriculumEnv``; ``"return"`` is the sum over agents, ``"mean_return"``
            their mean. A key of ``info`` is looked up in the last info of each agent, and the
            score is the mean of those that have it; a callable finds these infos by agent in
            ``episode.info``.
        metrics_every: as in ``CurriculumEnv``.
        per_label_metrics: as in ``CurriculumEnv``.
        max_metric_labels: as in ``CurriculumEnv``.

    Raises:
        ValueError: ``apply`` does not fit the environment, or a number is out of its range.
        TypeError: ``apply`` or ``score`` is none of its forms.
    """

    env: Any

    def __init__(
        self,
        env: "ParallelEnv[Any, Any, Any]",
        curriculum: "Curriculum",
        *,
        apply: ApplyForm = "auto",
        score: Score = "mean_return",
        metrics_every: int | None = None,
        per_label_metrics: bool = True,
        max_metric_labels: int = 32,
    ) -> None:
        super().__init__(env)
        self.curriculum = curriculum
        self._apply = resolve_apply(apply, env)
        metrics = LabelMetrics(curriculum, metrics_every, per_label_metrics, max_metric_labels)
        resolved = resolve_score(score)
        if isinstance(resolved, InfoScore):
            resolved = MeanInfoScore(resolved)
        self._cycle = TaskCycle(curriculum, resolved, metrics)
        self._last_infos: dict[Any, dict[str, Any]] = {}
        self._returns: dict[Any, float] = {}
        self._length = 0
        self._terminated = False
        self._truncated = False

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[Any, Any], dict[Any, dict[str, Any]]]:
        """Draws a task (or takes ``options["task"]``), hands it over and resets."""
        task, options = self._cycle.begin(seed, options, self._length)
        self.env, options = self._apply.hand_over(self.env, task, options)
        observations, infos = self.env.reset(seed=seed, options=options)
        self._last_infos = {}
        self._returns = dict.fromkeys(self.env.agents, 0.0)
        self._length = 0
        self._terminated = self._truncated = False
        return observations, {a: self._cycle.begun(info) for a, info in infos.items()}

    def step(
        self, actions: dict[Any, Any]
    ) -> tuple[
        dict[Any, Any],
        dict[Any, float],
        dict[Any, bool],
        dict[Any, bool],
        dict[Any, dict[str, Any]],
    ]:
        """Steps; when no agent is left the score is reported and its facts join the infos."""
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        for agent, reward in rewards.items():
            self._returns[agent] = self._returns.get(agent, 0.0) + float(reward)
        self._length += 1
        self._last_infos.update(infos)
        self._terminated |= any(terminations.values())
        self._truncated |= any(truncations.values())
        if not self.env.agents:
            facts = self._cycle.end(
                sum(self._returns.values()),
                self._returns,
                self._length,
                self._terminated,
                self._truncated,
                self._last_infos,
            )
            infos = {agent: joined(info, facts) for agent, info in infos.items()}
        return observations, rewards, terminations, truncations, infos
