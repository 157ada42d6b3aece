"""Limits on the labels' shares of the draws, and the closest distribution that respects them."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curricle import checks

if TYPE_CHECKING:
    from curricle.backends.base import TaskMemoryBackend

Limits = tuple[int, int]
"""Least and most share of the draws, in billionths: sums of limits are exact."""

BILLIONTHS = 10**9
UNLIMITED = (0, BILLIONTHS)
# Far above the error of a product, far below what anyone means: 0.7 is 700,000,000 billionths.
_SLACK = 1e-3


def set_limits(limits: dict[str, Limits], label: str, least: float, most: float) -> None:
    """Gives a label its limits; (0, 1) takes them off.

    ``least`` is rounded down to a billionth, so that six labels can have 1/6 each, and ``most``
    up, so that a small one is no ban.

    Raises:
        TypeError, ValueError: as `checks.share_limits`, or the least shares of all labels add up
            to more than 1; nothing is changed.
    """
    label, least, most = checks.share_limits(label, least, most)
    own = math.floor(least * BILLIONTHS + _SLACK), math.ceil(most * BILLIONTHS - _SLACK)
    own = own[0], max(own[1], int(most > 0.0))
    total = own[0] + sum(limits[other][0] for other in limits if other != label)
    if total > BILLIONTHS:
        raise ValueError(
            f"with least={least} for label {label!r} the least shares of all labels add up to "
            f"{total / BILLIONTHS}; they must not exceed 1: lower this one or another first"
        )
    limits.pop(label, None)
    if own != UNLIMITED:
        limits[label] = own


def replace_limits(backend: TaskMemoryBackend, limits: Mapping[str, tuple[float, float]]) -> None:
    """Gives a backend these limits in place of its own."""
    # All off first: on the way, the least shares of old and new ones could exceed 1.
    for label in backend.share_limits():
        backend.limit_share(label)
    for label, (least, most) in limits.items():
        backend.limit_share(label, least, most)


@dataclass(frozen=True)
class Groups:
    """Live tasks, grouped by the limits that they come under, and the groups' shares.

    Attributes:
        names: the label of each group; ``None`` for all tasks whose labels have no limits.
        of: the group of each task, shape (n,).
        sizes: tasks of each group, >= 1, shape (m,).
        shares: shares of the draws by the law alone, shape (m,), adding up to 1.
        limited: shares under the limits, shape (m,), adding up to 1, or all 0 where every group
            is banned.
    """

    names: list[str | None]
    of: NDArray[np.intp]
    sizes: NDArray[np.int64]
    shares: NDArray[np.float64]
    limited: NDArray[np.float64]

    def distribution(self, law: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities under the limits, shape (n,), from those by the law alone.

        Within a group they keep their proportions, or are uniform where all of them are 0.
        """
        shares = self.shares[self.of]
        inside = 1.0 / self.sizes[self.of]
        np.divide(law, shares, out=inside, where=shares > 0.0)
        return self.limited[self.of] * inside


def group(
    table: NDArray[Any],
    labels: Sequence[str | None],
    law: NDArray[np.float64],
    limits: Mapping[str, Limits],
) -> Groups:
    """Groups the tasks of a snapshot by their limits.

    Args:
        table: the snapshot, shape (n,).
        labels: what the snapshot's ``label`` counts through.
        law: probability of each task by the law alone, shape (n,).
        limits: by label; labels without live tasks take no part.
    """
    names = [None, *(label for label in labels if label in limits)]
    numbers = {label: at for at, label in enumerate(names)}
    # The last element is that of tasks without a label, whose number is -1.
    group_of_label = np.array([numbers.get(label, 0) for label in [*labels, None]])
    alive, of = np.unique(group_of_label[table["label"]], return_inverse=True)
    names = [names[at] for at in alive.tolist()]
    sizes = np.bincount(of, minlength=len(names))
    shares = np.bincount(of, law, len(names)).astype(np.float64, copy=False)
    least, most = np.array([UNLIMITED if name is None else limits[name] for name in names]).T
    return Groups(names, of, sizes, shares, project(shares, sizes, least, most))


def evictions_under(
    table: NDArray[Any], labels: Sequence[str | None], limits: Mapping[str, Limits]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """What limits say of evictions, shape (n,) each.

    Returns:
        Tasks of labels with more of the tasks than they may have of the draws, which would stay
        for ever, as they are hardly drawn; the last task of each label with a least share.
    """
    overfull, last = np.zeros(len(table), np.bool_), np.zeros(len(table), np.bool_)
    for label, (least, most) in limits.items():
        if label in labels:
            own = table["label"] == labels.index(label)
            count = int(own.sum())
            if most < BILLIONTHS and count * BILLIONTHS > most * len(table):
                overfull |= own
            if least > 0 and count == 1:
                last |= own
    return overfull, last


def project(
    shares: NDArray[np.float64],
    sizes: NDArray[np.int64],
    least: NDArray[np.int64],
    most: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The distribution within limits that is closest to another one.

    Closest is that of least Kullback-Leibler divergence from ``shares`` (its I-projection,
    Csiszár 1975, "I-divergence geometry of probability distributions and minimization problems",
    Annals of Probability 3): by its Karush-Kuhn-Tucker conditions min(max(c * share, least),
    most), with the c >= 0 at which it adds up to 1. Where no c is large enough, groups whose
    share is 0 get the rest in the same way by their numbers of tasks; where that is not enough
    either, every group is at its most, and all are scaled up in proportion.

    Args:
        shares: shape (m,), >= 0, adding up to 1.
        sizes: tasks of each group, >= 1, shape (m,).
        least: in billionths, shape (m,), adding up to at most a billion.
        most: in billionths, shape (m,), none below ``least``.

    Returns:
        Shape (m,), adding up to 1, or all 0 where ``most`` is.
    """
    limited = least.astype(np.float64)
    drawn = shares > 0.0
    rest = BILLIONTHS - int(least[~drawn].sum())
    if most[drawn].sum() >= rest:
        limited[drawn] = _fill(shares[drawn], least[drawn], most[drawn], rest)
        return limited / BILLIONTHS
    limited[drawn] = most[drawn]
    rest = BILLIONTHS - int(most[drawn].sum())
    if most[~drawn].sum() >= rest:
        limited[~drawn] = _fill(sizes[~drawn], least[~drawn], most[~drawn], rest)
        return limited / BILLIONTHS
    return most / max(int(most.sum()), 1)


def _fill(
    given: NDArray[Any], least: NDArray[np.int64], most: NDArray[np.int64], total: int
) -> NDArray[np.float64]:
    """``clip(c * given, least, most)``, shape (m,), with the c at which it adds up to ``total``.

    What is ``given`` is above 0, and ``total`` is within the sums of ``least`` and of ``most``.
    """
    # The sum is linear in c between the values of c at which a group meets a limit.
    bottoms, tops = least / given, most / given
    steps = np.sort(np.concatenate([bottoms, tops]))
    at = bisect_left(steps, total, key=lambda c: np.clip(c * given, least, most).sum())
    low = steps[at - 1] if at > 0 else 0.0
    high = steps[at] if at < len(steps) else np.inf
    filled = np.where(tops <= low, most, least).astype(np.float64)
    between = (bottoms <= low) & (tops >= high)
    if between.any():
        inside = given[between] / given[between].sum()
        filled[between] = (total - filled[~between].sum()) * inside
    return filled
