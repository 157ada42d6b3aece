"""The keys that environments add to their infos, and how a learner reads tickets from them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curricle._core import Ticket

TASK_ID = "curriculum/task_id"
"""int; -1 for a configuration that was handed to ``reset`` without an id."""
LABEL = "curriculum/label"
"""str; empty where the task has none."""
SCORE = "curriculum/score"
"""float, at the end of an episode; NaN if ``score`` returned None."""
LP = "curriculum/lp"
"""float, at the end of an episode; NaN if the episode was not counted."""
TICKET = "curriculum/ticket"
"""int64 (task id, slot, generation, serial), at the end of an episode that the learner reports."""
ENV_STEPS = "curriculum/env_steps"
"""int, beside the ticket: the length of the episode."""


def joined(info: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """A new info with facts added, which go before entries of the same name."""
    if len(facts) <= len(info):
        return {**info, **facts}
    # A copy in one piece and a few more entries: a dict that grows to hundreds costs 3 us.
    whole = dict(facts)
    for key, value in info.items():
        if key not in facts:
            whole[key] = value
    return whole


def ticket_words(ticket: Ticket) -> NDArray[np.int64]:
    """A ticket as plain numbers, shape (4,), which survive the collation of infos."""
    words = (ticket.task_id, ticket.slot, ticket.generation, ticket.serial)
    return np.array(words, dtype=np.int64)


def tickets(infos: Mapping[str, Any]) -> list[Ticket]:
    """The tickets of the episodes that ended in the last step, in environments with ``score=None``.

    Reads the infos of one environment or of a vector environment in any autoreset mode.
    Evaluation episodes have no ticket. In a vector environment the tickets come in the order of
    the environments in which ``infos["_curriculum/ticket"]`` is true (or
    ``infos["final_info"]["_curriculum/ticket"]`` under same-step autoreset).

    Args:
        infos: what ``step`` returned last.

    Example:
        >>> import gymnasium as gym
        >>> from curricle import Curriculum, CurriculumEnv
        >>> from curricle.envs import Rebuild, tickets
        >>> def make(rows):
        ...     return gym.make("FrozenLake-v1", desc=rows, is_slippery=False)
        >>> curriculum = Curriculum([["SG"], ["SH"]])
        >>> env = CurriculumEnv(make(["SG"]), curriculum, apply=Rebuild(make), score=None)
        >>> _ = env.reset(seed=0)
        >>> *_, info = env.step(2)
        >>> _ = curriculum.report(tickets(info), [0.25])
        >>> curriculum.metrics()["env_curriculum/num_completed"]
        1.0
    """
    final = infos.get("final_info")
    if isinstance(final, Mapping) and TICKET in final:
        infos = final
    words = infos.get(TICKET)
    if words is None:
        return []
    rows = np.atleast_2d(words)
    mask = infos.get("_" + TICKET)
    if mask is not None:
        rows = rows[mask]
    return [Ticket(*row) for row in rows.tolist()]
