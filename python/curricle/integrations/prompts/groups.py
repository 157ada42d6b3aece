"""Groups of completions: their rewards, checked, and one score for all rewards of a prompt."""

from __future__ import annotations

import reprlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curricle.backends.arrays import vector
from curricle.backends.base import TaskMemoryBackend


def checked_rewards(
    prompt_ids: ArrayLike, rewards: ArrayLike, backend: TaskMemoryBackend
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Prompt ids and rewards as arrays, each reward within the range that the backend takes.

    Args:
        prompt_ids: shape (n,), integers.
        rewards: shape (n,) or (n, k); NaN is no reward.
        backend: whose rules have the range.

    Raises:
        ValueError: shapes that do not belong together, or a reward out of the range.
        TypeError: no numbers.
    """
    ids = vector(prompt_ids, np.int64, "prompt_ids")
    try:
        values = np.asarray(rewards, np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"rewards are {reprlib.repr(rewards)}; give numbers of shape ({len(ids)},) or "
            f"({len(ids)}, k), NaN for a completion without a reward"
        ) from None
    if values.ndim not in (1, 2) or len(values) != len(ids):
        raise ValueError(
            f"rewards have shape {values.shape} for {len(ids)} prompt_ids; give ({len(ids)},) or "
            f"({len(ids)}, k)"
        )
    given = values[~np.isnan(values)]
    # Where the least and the greatest are within the range, all are.
    for extreme in (given.min(), given.max()) if given.size else ():
        try:
            backend.checked_score(extreme)
        except ValueError:
            prompt_id = ids[np.nonzero(values == extreme)[0][0]]
            raise ValueError(
                f"prompt {prompt_id} has a reward of {extreme}; {_range(backend)}, or give NaN for "
                "a completion without a reward"
            ) from None
    return ids, values


def _range(backend: TaskMemoryBackend) -> str:
    bounds = backend.rules.as_dict()["score_range"]
    if bounds is None:
        return "it must be finite and within [-1e9, 1e9]: scale the rewards"
    return (
        f"it must be within score_range={bounds} of the configuration: scale the rewards, "
        "configure the range that they have"
    )


def group_scores(
    ids: NDArray[np.int64], rewards: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """One score for each group, the mean of its rewards.

    Args:
        ids: of prompts, shape (n,).
        rewards: shape (n, k), each row a group; or shape (n,), where all rewards of a prompt are
            one group, in whatever order. NaN is no reward.

    Returns:
        Prompt ids and scores, shape (m,) each; NaN is the score of a group without a reward.
    """
    given = ~np.isnan(rewards)
    values = np.where(given, rewards, 0.0)
    if values.ndim == 2:
        sums, counts = values.sum(axis=1), given.sum(axis=1)
    else:
        ids, group = np.unique(ids, return_inverse=True)
        sums = np.bincount(group, values, len(ids))
        counts = np.bincount(group, given, len(ids))
    scores = np.full(len(ids), np.nan)
    np.divide(sums, counts, out=scores, where=counts > 0)
    return ids, scores
