"""How an episode becomes one score."""

from collections.abc import Callable
from typing import TypeAlias

from curricle.envs.episode import Episode

Score: TypeAlias = str | Callable[[Episode], float | None] | None
"""``"return"``, ``"mean_return"``, a key of ``info``, a callable, or ``None``: reported later."""

INFO_PREFIX = "info:"


def episode_return(episode: Episode) -> float:
    """The score ``"return"``."""
    return episode.return_


def _mean_return(episode: Episode) -> float:
    return episode.return_ / len(episode.agent_returns)


class InfoScore:
    """Takes the score from a key of the info of the last step.

    Args:
        key: the key; its value must be a number (a bool counts as 0 or 1).
    """

    def __init__(self, key: str) -> None:
        self.key = key

    def __call__(self, episode: Episode) -> float:
        """The number under the key.

        Raises:
            KeyError: the last info has no such key.
            TypeError: its value is no number.
        """
        try:
            value = episode.info[self.key]
        except KeyError:
            raise KeyError(
                f"score={self.key!r}: the info of the last step has no such key; it has "
                f"{sorted(episode.info)}. For a score that only some episodes have, pass a "
                "callable that returns None for the others."
            ) from None
        try:
            return float(value)
        except (TypeError, ValueError):
            raise TypeError(
                f"score={self.key!r}: info[{self.key!r}] is {value!r}, which is no number"
            ) from None


class MeanInfoScore:
    """The mean of an ``InfoScore`` over the agents whose last info has its key.

    ``episode.info`` must be the last info of each agent, by agent.
    """

    def __init__(self, score: InfoScore) -> None:
        self.score = score

    def __call__(self, episode: Episode) -> float:
        """The mean.

        Raises:
            KeyError: no agent's last info has the key.
            TypeError: a value is no number.
        """
        infos = [info for info in episode.info.values() if self.score.key in info]
        if not infos:
            raise KeyError(
                f"score={self.score.key!r}: no agent's last info has such a key; agents: "
                f"{list(episode.info)}"
            )
        return sum(self.score(episode._replace(info=info)) for info in infos) / len(infos)


def resolve_score(score: Score) -> Callable[[Episode], float | None] | None:
    """Turns every form of ``score`` into a callable; ``None`` stays ``None``.

    Args:
        score: ``"return"`` (sum of the rewards over steps and agents), ``"mean_return"`` (that
            sum divided by the number of agents), any other name (a key of the last info;
            ``"info:KEY"`` for a key that is called like one of these two), a callable
            ``(Episode) -> float | None`` whose ``None`` means "not counted", or ``None``.

    Raises:
        TypeError: something else.
    """
    if score is None:
        return None
    if score == "return":
        return episode_return
    if score == "mean_return":
        return _mean_return
    if isinstance(score, str):
        return InfoScore(score.removeprefix(INFO_PREFIX))
    if callable(score):
        return score
    raise TypeError(
        f"score={score!r}: expected 'return', 'mean_return', a key of info, a callable "
        "(Episode) -> float | None, or None"
    )
