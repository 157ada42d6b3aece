"""Draws of prompts, and what was observed of them, for any trainer."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curricle import checks
from curricle._core import Ticket
from curricle.algorithms import CustomAlgorithm
from curricle.curriculum import Curriculum
from curricle.errors import CheckpointError
from curricle.integrations.prompts import states
from curricle.integrations.prompts.groups import checked_rewards, group_scores
from curricle.integrations.prompts.learnability import PromptLearnabilityConfig

# Draws that may wait for their rewards: as many as a session keeps tickets open.
_OPEN = 65_536


class Prompts:
    """Draws prompts from a curriculum and reports the rewards of their completions.

    The score of a draw is the mean reward of its completions, and counts once: `observe` uses up
    one draw of the prompt, the latest. A prompt that is observed more often than it was drawn is
    refused, as a ticket is that comes twice; so is one whose draw is more than 65,536 draws ago.

    Args:
        curriculum: its task ids are the prompts, 0 to n-1.

    Example:
        >>> prompts = Prompts(Curriculum(1000, PromptLearnabilityConfig(), seed=0))
        >>> ids = prompts.draw(4)
        >>> prompts.observe(ids, [[0.0, 1.0]] * 4)
        >>> prompts.curriculum.metrics()["env_curriculum/num_completed"]
        4.0
    """

    def __init__(self, curriculum: Curriculum) -> None:
        self.curriculum = curriculum
        self._stream = curriculum.stream()
        # Of each prompt that waits, its draws; None for one from before a load, which has no
        # ticket in this session.
        self._open: dict[int, list[Ticket | None]] = {}
        self._waiting = 0

    def draw(self, n: int, *, replace: bool = False) -> NDArray[np.int64]:
        """Draws prompts by the curriculum.

        Args:
            n: number of draws, >= 0.
            replace: whether a prompt may come more than once.

        Returns:
            Prompt ids in the order of the draws, shape (n,).

        Raises:
            EmptyTableError: all prompts are banned.
            ValueError: without replacement, more draws than prompts that may be drawn.
        """
        n = checks.integer(n, "n", 0, checks.MAX_ID)
        tickets = self._tickets(n, replace)
        ids = [ticket.task_id for ticket in tickets]
        for prompt_id, ticket in zip(ids, tickets, strict=True):
            self._open.setdefault(prompt_id, []).append(ticket)
        self._waiting += n
        self._forget_abandoned()
        return np.array(ids, np.int64)

    def observe(self, prompt_ids: ArrayLike, rewards: ArrayLike) -> None:
        """Reports the rewards of completions, each draw once.

        Args:
            prompt_ids: shape (n,), integers.
            rewards: shape (n, k), k completions of each draw; or shape (n,), one completion
                each, where all those of a prompt make one draw. NaN is no reward; a draw that
                has no other is not counted.

        Raises:
            ValueError: a prompt that no draw waits for, shapes that do not belong together, a
                reward out of the range of the curriculum; nothing is written.
            TypeError: no numbers.
        """
        backend = self.curriculum.tracker.backend
        ids, scores = group_scores(*checked_rewards(prompt_ids, rewards, backend))
        names = ids.tolist()
        drawn: list[Ticket | None] = []
        times: dict[int, int] = {}
        for prompt_id in names:
            draws = self._open.get(prompt_id, [])
            nth = times[prompt_id] = times.get(prompt_id, 0) + 1
            if nth > len(draws):
                raise ValueError(
                    f"prompt {prompt_id} is observed {nth} times and {len(draws)} draws of it "
                    "wait: it was observed before, not drawn here, or drawn too long ago; observe "
                    "each draw once"
                )
            drawn.append(draws[-nth])
        self._report(names, drawn, scores)
        for prompt_id, count in times.items():
            draws = self._open[prompt_id]
            if count == len(draws):
                del self._open[prompt_id]
            else:
                del draws[-count:]
        self._waiting -= len(names)

    @property
    def waiting(self) -> list[int]:
        """Ids of the prompts that wait for their rewards, those drawn first before the others."""
        return [prompt_id for prompt_id, draws in self._open.items() for _ in draws]

    def state_dict(self) -> dict[str, Any]:
        """The curriculum and its draws, with all it takes to go on as if nothing had happened.

        Returns:
            ``curriculum``, a checkpoint (bytes, some 200 for each prompt); ``prompts``, the
            prompts in a few words, `Curriculum.content`; ``stream``, the state of the draws;
            ``waiting``.
        """
        return {
            "curriculum": states.save_table(self.curriculum),
            "prompts": self.curriculum.content,
            "stream": list(self._stream.state),
            "waiting": self.waiting,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state_dict` was called, in all processes of the session.

        The rewards of prompts that waited then can still be observed.

        Raises:
            CheckpointError: a state of other prompts, by their number, labels and configurations,
                or one that cannot be, by its entry and value; nothing is changed.
            CapacityError: more prompts than the table can hold; nothing is changed.

        Warns:
            RuntimeWarning: the state was taken under other rules.
        """
        # A state of before has no such entry.
        of, here = state.get("prompts", self.curriculum.content), self.curriculum.content
        if of != here:
            raise CheckpointError(
                f"the state is of other prompts: of {of}, and here are {here}; make the "
                "curriculum of the same prompts, or, where you changed some and mean to go on with "
                "the statistics of their numbers, take 'prompts' out of the state"
            )
        words, table = states.stream_words(state), states.table_bytes(state)
        waiting = states.integers(state, "waiting", self.curriculum.pool_size - 1)
        warned = states.load_table(self.curriculum, table)
        self._stream.state = words
        self._open = {}
        for prompt_id in waiting:
            self._open.setdefault(prompt_id, []).append(None)
        self._waiting = len(waiting)
        for warning in warned:
            warnings.warn(warning.message, warning.category, stacklevel=2)

    def _tickets(self, n: int, replace: bool) -> list[Ticket]:
        if isinstance(self.curriculum.algorithm, CustomAlgorithm):
            # Its weights are computed anew when the curriculum draws.
            tasks = self.curriculum.draw_many(n, replace=replace, stream=self._stream)
            return [task.ticket for task in tasks if task.ticket is not None]
        # A third of the cost, as no tasks are made.
        return self.curriculum.tracker.sample(n, replace, self._stream)

    def _report(
        self, names: list[int], drawn: list[Ticket | None], scores: NDArray[np.float64]
    ) -> None:
        scored = ~np.isnan(scores)
        if not scored.all():
            names = list(compress(names, scored))
            drawn = list(compress(drawn, scored))
            scores = scores[scored]
        tracker = self.curriculum.tracker
        tickets = [ticket for ticket in drawn if ticket is not None]
        if len(tickets) == len(drawn):
            self.curriculum.report(tickets, scores)
        else:
            # Two calls: what the second refuses must be found before the first.
            tracker.backend.check_rows(scores, np.zeros(len(scores), np.int64))
            loaded = np.array([ticket is None for ticket in drawn])
            self.curriculum.report(tickets, scores[~loaded])
            self.curriculum.report(list(compress(names, loaded)), scores[loaded])
        hypers = self.curriculum.algorithm.hypers
        if isinstance(hypers, PromptLearnabilityConfig):
            hypers.weigh(tracker, names)

    def _forget_abandoned(self) -> None:
        while self._waiting > _OPEN:
            oldest = next(iter(self._open))
            draws = self._open.pop(oldest)[1:]
            if draws:
                # Those it has left are later ones.
                self._open[oldest] = draws
            self._waiting -= 1
