"""Groups of completions: one score for all rewards of a prompt."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curricle.backends.arrays import vector


def group_scores(
    prompt_ids: ArrayLike, rewards: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """One score for each group, the mean of its rewards.

    Args:
        prompt_ids: shape (n,), integers.
        rewards: shape (n, k), each row a group; or shape (n,), where all rewards of a prompt are
            one group, in whatever order. NaN is no reward.

    Returns:
        Prompt ids and scores, shape (m,) each; NaN is the score of a group without a reward.

    Raises:
        ValueError: shapes that do not belong together.
    """
    ids = vector(prompt_ids, np.int64, "prompt_ids")
    values = np.asarray(rewards, np.float64)
    if values.ndim not in (1, 2) or len(values) != len(ids):
        raise ValueError(
            f"rewards have shape {values.shape} for {len(ids)} prompt_ids; give ({len(ids)},) or "
            f"({len(ids)}, k)"
        )
    given = ~np.isnan(values)
    values = np.where(given, values, 0.0)
    if values.ndim == 2:
        sums, counts = values.sum(axis=1), given.sum(axis=1)
    else:
        ids, group = np.unique(ids, return_inverse=True)
        sums = np.bincount(group, values, len(ids))
        counts = np.bincount(group, given, len(ids))
    scores = np.full(len(ids), np.nan)
    np.divide(sums, counts, out=scores, where=counts > 0)
    return ids, scores
