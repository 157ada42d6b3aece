"""What a score is computed from: one finished episode."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from curricle.tasks import CurriculumTask


class Episode(NamedTuple):
    """One finished episode, as a callable ``score`` receives it.

    Attributes:
        return_: undiscounted sum of the rewards, over all agents.
        length: number of environment steps, at least 1.
        terminated: the episode reached an end of its own (of some agent, where there are several).
        truncated: the episode was cut off (for some agent, where there are several).
        info: the info of the last step.
        task: the task that the episode played.
        agent_returns: the return of each agent; a single agent has the key 0.
    """

    return_: float
    length: int
    terminated: bool
    truncated: bool
    info: Mapping[str, Any]
    task: "CurriculumTask"
    agent_returns: Mapping[Any, float]
