"""One environment's tasks: drawn when an episode begins, reported once when it ends."""

import warnings
from collections.abc import Mapping
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from curricle.envs.episode import Episode
from curricle.envs.infos import ENV_STEPS, LABEL, LP, SCORE, TASK_ID, TICKET, joined, ticket_words
from curricle.envs.label_metrics import LabelMetrics
from curricle.envs.score import Score, episode_return, resolve_score
from curricle.tasks import CurriculumTask

if TYPE_CHECKING:
    from curricle._core import Stream, Ticket
    from curricle.curriculum import Curriculum

TASK_OPTION = "task"
"""The option of ``reset`` that asks for a certain task, which then counts nowhere."""

ABANDONED_BEFORE_WARNING = 5


class TaskCycle:
    """Draws a task for each episode of one environment and reports each episode once.

    Args:
        curriculum: where tasks come from and scores go to.
        score: see ``resolve_score``.
        metrics: the per-label table for the infos.
    """

    def __init__(self, curriculum: "Curriculum", score: Score, metrics: LabelMetrics) -> None:
        self._curriculum = curriculum
        self._score = resolve_score(score)
        self._metrics = metrics
        self._stream: Stream | None = None
        self._task: CurriculumTask | None = None
        self._ticket: Ticket | None = None
        self._facts: dict[str, Any] = {}
        self._abandoned = 0

    def begin(
        self, seed: int | None, options: Mapping[str, Any] | None, steps: int
    ) -> tuple[CurriculumTask, dict[str, Any] | None]:
        """Chooses the task of the next episode.

        Args:
            seed: starts the draws of this environment anew, from (session seed, ``seed``).
            options: of ``reset``; an entry ``"task"`` (a task, its id, or a configuration) is
                played instead of a draw and counts nowhere.
            steps: steps made since the last reset; an unfinished episode of at least one step
                was abandoned.

        Returns:
            The task, and the options without the entry ``"task"``.
        """
        if self._ticket is not None and steps:
            self._abandon()
        if seed is not None:
            self._stream = self._curriculum.stream(seed)
        rest = None if options is None else dict(options)
        wanted = rest.pop(TASK_OPTION, None) if rest else None
        if wanted is None:
            task = self._curriculum.draw(self._stream)
            self._ticket = task.ticket
        else:
            task = requested_task(self._curriculum, wanted)
            self._ticket = None
        self._task = task
        self._facts = {TASK_ID: task.task_id, LABEL: task.get_label() or ""}
        return task, rest

    def begun(self, info: Mapping[str, Any]) -> dict[str, Any]:
        """The info of a reset with what it says about the task."""
        return {**info, **self._facts}

    def end(
        self,
        return_: float,
        agent_returns: Mapping[Any, float] | None,
        length: int,
        terminated: bool,
        truncated: bool,
        info: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Scores and reports the episode, unless it has ended before.

        Args:
            return_: sum of the rewards, over all agents.
            agent_returns: the return of each agent; None for a single agent.
            length: steps made.
            terminated: see ``Episode``.
            truncated: see ``Episode``.
            info: what ``score`` may look into.

        Returns:
            What the info of the last step says about this episode.
        """
        task, ticket = self._task, self._ticket
        if task is None:
            return {}
        self._task = self._ticket = None
        self._abandoned = 0
        facts = self._facts
        if self._score is None:
            if ticket is not None:
                facts[TICKET] = ticket_words(ticket)
                facts[ENV_STEPS] = length
        else:
            score: float | None = return_
            if self._score is not episode_return:
                by_agent = {0: return_} if agent_returns is None else agent_returns
                score = self._score(
                    Episode(return_, length, terminated, truncated, info, task, by_agent)
                )
            facts[SCORE], facts[LP] = self._report(ticket, score, length)
        table = self._metrics.after_episode()
        return joined(facts, table) if table else facts

    def _report(
        self, ticket: "Ticket | None", score: float | None, length: int
    ) -> tuple[float, float]:
        """Score and LP for the info; NaN for what there is not."""
        if score is None:
            return nan, nan
        score = float(score)
        if ticket is None:
            return score, nan
        progress = self._curriculum.report(ticket, score, length)
        return score, nan if progress is None else progress

    def _abandon(self) -> None:
        self._abandoned += 1
        if self._abandoned == ABANDONED_BEFORE_WARNING:
            warnings.warn(
                f"{ABANDONED_BEFORE_WARNING} episodes in a row were reset before they ended, so "
                "that none of them was counted. If a TimeLimit (or anything else that ends "
                "episodes) is wrapped around the curriculum's wrapper, the wrapper cannot see "
                "it: put it inside, as in CurriculumEnv(TimeLimit(env, 100), curriculum).",
                stacklevel=4,
            )


def requested_task(curriculum: "Curriculum", wanted: Any) -> CurriculumTask:
    """The task that ``reset(options={"task": wanted})`` asks for; it is not drawn.

    Args:
        curriculum: knows the tasks of ids.
        wanted: a ``CurriculumTask``, an id, or anything else: a configuration as such.
    """
    if isinstance(wanted, CurriculumTask):
        return wanted
    if isinstance(wanted, int | np.integer) and not isinstance(wanted, bool):
        return curriculum.task(int(wanted))
    return CurriculumTask(-1, wanted)
