"""The wrapper for natively vectorised environments: one batch of reports and draws a step."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from numpy.typing import NDArray

from curricle.envs.episode import Episode
from curricle.envs.infos import ENV_STEPS, LABEL, LP, SCORE, TASK_ID, TICKET, ticket_words
from curricle.envs.label_metrics import LabelMetrics
from curricle.envs.score import Score, resolve_score
from curricle.envs.task_cycle import TASK_OPTION, requested_task
from curricle.envs.vector_apply import VectorApply, resolve_vector_apply
from curricle.envs.vector_infos import last_info_of, put

if TYPE_CHECKING:
    from curricle._core import Stream, Ticket
    from curricle.curriculum import Curriculum
    from curricle.tasks import CurriculumTask

    Indices = NDArray[np.int64]
    _Wrapper = VectorWrapper[Any, Any, Any, Any, Any]
else:
    # It takes no type arguments in Gymnasium 1.2, which RLlib pins.
    _Wrapper = VectorWrapper


class CurriculumVectorEnv(_Wrapper):
    """Draws a task for every episode of every sub-environment and reports each episode once.

    A step in which no episode ends makes no call to the session; otherwise one call reports all
    its episodes and draws the tasks that follow. A task is handed over for
    the *next* reset of its sub-environment: under next-step autoreset after the step that ended
    the episode, without autoreset just before ``reset``, and under same-step autoreset before the
    episode in front of it begins, because the environment resets itself within the step that ends
    that one.

    Infos have the keys of ``CurriculumEnv``, collated like those of Gymnasium's vector
    environments: arrays with masks ``"_" + key``, and what belongs to an episode that ended in
    ``infos["final_info"]`` under same-step autoreset.

    Args:
        env: the environment to wrap; its ``metadata["autoreset_mode"]`` must be right.
        curriculum: where tasks come from and scores go to.
        apply: ``"auto"``, the environment's method ``set_tasks(indices, configurations)`` or
            ``set_task(index, configuration)``; the name of a method like the latter; or a
            callable ``(env, indices, tasks)``. ``indices`` is an int64 array, shape (k,).
        score: as in ``CurriculumEnv``; ``"mean_return"`` is the same as ``"return"``.
        metrics_every: as in ``CurriculumEnv``, over the episodes of all sub-environments.
        per_label_metrics: as in ``CurriculumEnv``.
        max_metric_labels: as in ``CurriculumEnv``.

    Raises:
        ValueError: ``apply`` does not fit the environment, the autoreset mode is missing, or a
            number is out of its range.
        TypeError: ``apply`` or ``score`` is none of its forms.
    """

    def __init__(
        self,
        env: "VectorEnv[Any, Any, Any]",
        curriculum: "Curriculum",
        *,
        apply: VectorApply = "auto",
        score: Score = "return",
        metrics_every: int | None = None,
        per_label_metrics: bool = True,
        max_metric_labels: int = 32,
    ) -> None:
        super().__init__(env)
        self.curriculum = curriculum
        self._mode = autoreset_mode(env)
        self._hand_over = resolve_vector_apply(apply, env)
        self._score = resolve_score(score)
        # Taking collated infos apart is dear, so it is done only for a score that may read them.
        self._reads_info = score not in ("return", "mean_return", None)
        self._metrics = LabelMetrics(
            curriculum, metrics_every, per_label_metrics, max_metric_labels
        )
        self._stream: Stream | None = None
        self._next: dict[int, CurriculumTask] = {}
        self._current: dict[int, tuple[CurriculumTask, Ticket | None]] = {}
        n = env.num_envs
        self._returns = np.zeros(n, dtype=np.float64)
        self._lengths = np.zeros(n, dtype=np.int64)
        self._running = np.zeros(n, dtype=np.bool_)
        self._resetting = np.zeros(n, dtype=np.bool_)
        self._was_reset = False

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Draws tasks, hands them over and resets.

        Args:
            seed: of the environment, or one for each sub-environment; also starts the draws
                anew, from (session seed, the first seed that is given).
            options: ``"reset_mask"``, shape (num_envs,), limits the reset to some; ``"task"`` is
                played by all of them for an episode that counts nowhere. The rest is passed on.
        """
        options = None if options is None else dict(options)
        wanted = options.pop(TASK_OPTION, None) if options else None
        mask = options.get("reset_mask") if options else None
        indices = np.arange(self.num_envs) if mask is None else np.flatnonzero(mask)
        first = _first_seed(seed)
        if first is not None:
            self._stream = self.curriculum.stream(first)
            for i in indices.tolist():
                self._next.pop(i, None)
        if wanted is None:
            self._prepare(indices)
        else:
            tasks = [requested_task(self.curriculum, wanted)] * len(indices)
            self._hand_over(self.env, indices, tasks)
        # A seed for each is what vector environments take, though the base class names one only.
        observations, infos = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]
        infos = dict(infos)
        if wanted is None:
            self._begin(indices, infos)
        else:
            self._play(indices, tasks, [None] * len(tasks), infos)
        if self._mode is AutoresetMode.SAME_STEP:
            self._prepare(indices)
        self._was_reset = True
        return observations, infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Steps; reports the episodes that ended and hands over the tasks that follow.

        Raises:
            ResetNeeded: before the first `reset`.
        """
        if not self._was_reset:
            raise ResetNeeded("step() before the first reset(): no task has been handed over yet")
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        self._returns += rewards * self._running
        self._lengths += self._running
        ended = np.flatnonzero(np.logical_or(terminations, truncations) & self._running)
        resetting = np.flatnonzero(self._resetting)
        if ended.size or resetting.size:
            infos = dict(infos)
        if resetting.size:
            self._begin(resetting, infos)
        if ended.size:
            drawn: list[CurriculumTask] = []
            try:
                drawn = self._end(ended, terminations, truncations, infos)
            finally:
                # Whatever a score raised, the episodes that follow count.
                self._go_on(ended, drawn, infos)
        return observations, rewards, terminations, truncations, infos

    def _go_on(
        self, ended: "Indices", drawn: "Sequence[CurriculumTask]", infos: dict[str, Any]
    ) -> None:
        """Begins, or makes ready, the episodes that follow those that ended."""
        if self._mode is AutoresetMode.SAME_STEP:
            self._begin(ended, infos)
        if self._mode is AutoresetMode.NEXT_STEP:
            self._resetting[ended] = True
        if self._mode is not AutoresetMode.DISABLED:
            self._prepare(ended, drawn)

    def _prepare(self, indices: "Indices", drawn: "Sequence[CurriculumTask]" = ()) -> None:
        """Hands over a task for the next reset of each; one that was drawn before is kept.

        Args:
            indices: shape (k,).
            drawn: what was drawn for those that have no task yet; empty: is drawn here.
        """
        missing = [i for i in indices.tolist() if i not in self._next]
        if missing:
            drawn = drawn or self.curriculum.draw_many(len(missing), stream=self._stream)
            self._next.update(zip(missing, drawn, strict=True))
        self._hand_over(self.env, indices, [self._next[i] for i in indices.tolist()])

    def _begin(self, indices: "Indices", infos: dict[str, Any]) -> None:
        """Starts the episodes of the tasks that were handed over last."""
        tasks = [self._next.pop(i) for i in indices.tolist()]
        self._play(indices, tasks, [task.ticket for task in tasks], infos)

    def _play(
        self,
        indices: "Indices",
        tasks: "list[CurriculumTask]",
        tickets: "list[Ticket | None]",
        infos: dict[str, Any],
    ) -> None:
        self._current.update(zip(indices.tolist(), zip(tasks, tickets, strict=True), strict=True))
        self._returns[indices] = 0.0
        self._lengths[indices] = 0
        self._running[indices] = True
        self._resetting[indices] = False
        self._put_tasks(indices, tasks, infos)

    def _end(
        self,
        indices: "Indices",
        terminations: NDArray[np.bool_],
        truncations: NDArray[np.bool_],
        infos: dict[str, Any],
    ) -> "list[CurriculumTask]":
        """Scores and reports the episodes that ended; their facts join the infos.

        Returns:
            The tasks that follow, for those that need one now; empty if nothing was reported.
        """
        following = self._number_following(indices)
        drawn: list[CurriculumTask] = []
        self._running[indices] = False
        ended = [self._current.pop(i) for i in indices.tolist()]
        episodes = [
            Episode(
                float(self._returns[i]),
                int(self._lengths[i]),
                bool(terminations[i]),
                bool(truncations[i]),
                last_info_of(infos, i, self.num_envs) if self._reads_info else {},
                task,
                {0: float(self._returns[i])},
            )
            for i, (task, _) in zip(indices.tolist(), ended, strict=True)
        ]
        if self._mode is AutoresetMode.SAME_STEP:
            mask = np.zeros(self.num_envs, dtype=np.bool_)
            mask[indices] = True
            final = dict(infos.get("final_info", {}))
            infos |= {"final_info": final, "_final_info": mask}
            infos = final
        tickets = [ticket for _, ticket in ended]
        if self._score is None:
            self._put_tickets(indices, tickets, episodes, infos)
        else:
            scores = [self._score(episode) for episode in episodes]
            progress, drawn = self._report(tickets, scores, episodes, following)
            values = [math.nan if score is None else float(score) for score in scores]
            put(infos, SCORE, indices, values, self.num_envs, np.float64)
            put(infos, LP, indices, progress, self.num_envs, np.float64)
        self._put_tasks(indices, [task for task, _ in ended], infos)
        for i in indices.tolist():
            for key, value in self._metrics.after_episode().items():
                put(infos, key, np.array([i]), [value], self.num_envs, np.float64)
        return drawn

    def _number_following(self, indices: "Indices") -> int:
        """How many tasks are to be drawn when the episodes of these sub-environments end."""
        match self._mode:
            case AutoresetMode.DISABLED:
                return 0
            case AutoresetMode.SAME_STEP:
                # What was drawn before is what plays from this step on.
                return len(indices)
            case _:
                return sum(i not in self._next for i in indices.tolist())

    def _report(
        self,
        tickets: "list[Ticket | None]",
        scores: list[float | None],
        episodes: list[Episode],
        following: int,
    ) -> "tuple[NDArray[np.float64], list[CurriculumTask]]":
        """LP after each report, shape (len(tickets),), NaN where nothing was counted; the draws.

        Where nothing is to be counted, nothing is drawn either.
        """
        progress = np.full(len(tickets), math.nan)
        counted = [
            (k, ticket, score, episode.length)
            for k, (ticket, score, episode) in enumerate(
                zip(tickets, scores, episodes, strict=True)
            )
            if ticket is not None and score is not None
        ]
        if not counted:
            return progress, []
        positions, reported, values, lengths = (
            list(column) for column in zip(*counted, strict=True)
        )
        progress[positions], drawn = self.curriculum.report_and_draw(
            reported, values, lengths, following, stream=self._stream
        )
        return progress, drawn

    def _put_tickets(
        self,
        indices: "Indices",
        tickets: "list[Ticket | None]",
        episodes: list[Episode],
        infos: dict[str, Any],
    ) -> None:
        held = [
            (i, ticket_words(ticket), episode.length)
            for i, ticket, episode in zip(indices.tolist(), tickets, episodes, strict=True)
            if ticket is not None
        ]
        if held:
            at, words, lengths = zip(*held, strict=True)
            put(infos, TICKET, np.array(at), words, self.num_envs, np.int64)
            put(infos, ENV_STEPS, np.array(at), lengths, self.num_envs, np.int64)

    def _put_tasks(
        self, indices: "Indices", tasks: "list[CurriculumTask]", infos: dict[str, Any]
    ) -> None:
        ids = [task.task_id for task in tasks]
        labels = [task.get_label() or "" for task in tasks]
        put(infos, TASK_ID, indices, ids, self.num_envs, np.int64)
        put(infos, LABEL, indices, labels, self.num_envs, object)


def _first_seed(seed: int | Sequence[int | None] | None) -> int | None:
    """The seed, or the first that a sequence gives, if any."""
    if not isinstance(seed, Sequence):
        return seed
    return next((one for one in seed if one is not None), None)


def autoreset_mode(env: "VectorEnv[Any, Any, Any]") -> AutoresetMode:
    """The autoreset mode that a vector environment declares.

    Raises:
        ValueError: it declares none.
    """
    mode = env.metadata.get("autoreset_mode")
    if not isinstance(mode, AutoresetMode):
        raise ValueError(
            f"{env} has metadata['autoreset_mode'] = {mode!r}, not one of "
            f"{[str(m) for m in AutoresetMode]}; set it, so that tasks are handed over in time"
        )
    return mode
