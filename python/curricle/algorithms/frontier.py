"""Noise-aware learning progress that tries next what lies near what is being learned."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from curricle._core import Rules
from curricle.algorithms.parameters import TaskParameters, places, scaled
from curricle.config import Count, NoiseAwareConfig
from curricle.extras import need_extra

# Weight of a failing task all of whose neighbours are being learned, on the scale of LP.
_LARGEST = 0.1
# What a neighbourhood counts for in which nothing was ever learned.
_EVERYWHERE = 0.003
# Activity of a neighbourhood in which half a try counts as one that could have succeeded.
_HALF_A_TRY = 0.3
# Tries after which the weight is halved, and the power of them that it falls with.
_TRIES = 25.0
_STEEPNESS = 8
# Standard deviations of noise that a rise has to exceed, and the rise that is full activity.
_DEVIATIONS = 3.0
_FULL_RISE = 0.5


class FrontierConfig(NoiseAwareConfig):
    """Noise-aware learning progress, with its exploration at the frontier of what was learned.

    A task that always fails may be impossible, or one that cannot be learned yet; its scores do
    not tell. Its neighbours do: tasks with similar parameters (a length, a size, a number of
    obstacles). `NoiseAwareConfig` tries all failing tasks alike. Here

    - the activity of a task, in [0, 1], is its learning progress, or how far its scores have risen
      beyond noise since it was first played, whichever is more;
    - the activity around a task, f, is the mean over its nearest neighbours by the Euclidean
      distance of the parameters, each scaled to [0, 1];
    - each try of a task counts as f / (f + 0.3) of one, so that tries from before its neighbours
      moved hardly count; u is their sum;
    - a failing task is tried again in proportion to 0.1 (f + 0.003) / (1 + (u / 25)^8), times the
      fourth power of its failure rate, beside learning progress as it is;
    - all these weights are scaled down together where failing tasks would get more of the draws
      than uniform ones give them.

    The idea that competence spreads from what was just learned is that of frontiers and zones of
    proximal development (Baranes and Oudeyer 2013, "Active learning of inverse models with
    intrinsically motivated goal exploration in robots"; Florensa et al. 2018, "Automatic goal
    generation for reinforcement learning agents"); the formula is ours, and what it gains is in
    `docs/learning-progress.md`. A task that its parameters misplace is still found, by the base
    rate 0.003 and the uniform draws, only later.

    Attributes:
        parameters: parameters of each task by its id: a mapping, or a sequence for ids 0 to n-1;
            each of the same length d >= 1, finite. What is known before anyone has played.
        neighbours: number of nearest neighbours, >= 1.
        update_every: completions of a process between two looks at the neighbourhoods, >= 1; a
            twentieth of the number of tasks, and at least 10, where it is not given.

    Raises:
        ModuleNotFoundError: scipy is missing; it comes with the extra ``frontier``.

    Example:
        >>> from curricle import Curriculum, FrontierConfig
        >>> config = FrontierConfig(parameters=[[1], [2], [4]], use_shared_memory=False)
        >>> curriculum = Curriculum({"short": {}, "middle": {}, "long": {}}, config)
    """

    columns: ClassVar[tuple[str, ...]] = ("retry", "tries", "seen")

    parameters: TaskParameters
    neighbours: Count = 10
    update_every: Count | None = None

    @model_validator(mode="after")
    def _with_scipy(self) -> Self:
        need_extra("FrontierConfig", "frontier", "scipy")
        return self

    @model_validator(mode="after")
    def _often_enough(self) -> Self:
        if self.update_every is None:
            object.__setattr__(self, "update_every", max(10, len(self.parameters) // 20))
        return self

    def rules(self) -> Rules:
        """The rules that a session of this config follows."""
        return Rules(**(super().rules().as_dict() | {"retry_by_column": True}))

    def weights(self, snapshot: NDArray[Any]) -> None:
        """Sets the columns that the weights of failing tasks follow.

        Raises:
            ValueError: a task without parameters.
        """
        ids, neighbours = self._graph
        at = places(ids, snapshot["task_id"])
        activity = np.zeros(len(ids))
        activity[at] = self._activity(snapshot)
        # A task that is not in the pool is not learned.
        around = activity[neighbours].mean(axis=1) if neighbours.size else activity * 0.0
        near = around[at]
        played = snapshot["completion_count"]
        snapshot["tries"] += (played - snapshot["seen"]) * near / (near + _HALF_A_TRY)
        snapshot["seen"] = played
        doubt = 1.0 + (snapshot["tries"] / _TRIES) ** _STEEPNESS
        retry = _LARGEST * (near + _EVERYWHERE) / doubt
        snapshot["retry"] = retry * self._allowed(snapshot, retry)

    def _allowed(self, snapshot: NDArray[Any], retry: NDArray[np.float64]) -> float:
        """The factor, at most 1, by which failing tasks get no more than their uniform share."""
        failing = np.where(
            snapshot["completion_count"] > 0, (1.0 - snapshot["success_rate_ema"]) ** 4, 0.0
        )
        share = failing.mean()
        wanted = (retry * failing).sum()
        others = np.maximum(snapshot["lp_score"], 0.0).sum()
        if wanted * (1.0 - share) <= others * share:
            return 1.0
        return float(others * share / (wanted * (1.0 - share)))

    def _activity(self, snapshot: NDArray[Any]) -> NDArray[np.float64]:
        """How much each task is being learned, or was, shape (n,), in [0, 1]."""
        played = np.maximum(snapshot["completion_count"], 1)
        ema = snapshot["reward_ema"]
        if self.score_range is not None:
            unit = self.score_range[1] - self.score_range[0]
        else:
            known = ema[snapshot["completion_count"] > 0]
            unit = float(np.ptp(known)) if len(known) else 0.0
        if unit == 0.0:
            return np.zeros(len(snapshot))
        step = self.task_tracker_ema_alpha
        variance = np.maximum(snapshot["ema_squared"] - ema**2, 0.0)
        # Of an EMA, and of the mean of all scores.
        noise = np.sqrt(variance * (step / (2.0 - step) + 1.0 / played))
        rise = (ema - snapshot["total_score"] / played - _DEVIATIONS * noise) / unit
        activity: NDArray[np.float64] = np.maximum(snapshot["lp_score"], rise / _FULL_RISE)
        return activity.clip(0.0, 1.0)

    @cached_property
    def _graph(self) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """Ids in order, shape (m,), and the places of their nearest neighbours, shape (m, k)."""
        from scipy.spatial import KDTree

        ids, points = scaled(self.parameters)
        count = min(self.neighbours, len(ids) - 1)
        if count == 0:
            return ids, np.empty((len(ids), 0), np.intp)
        nearest = KDTree(points).query(points, count + 1)[1]
        others = nearest != np.arange(len(ids))[:, None]
        # Among tasks at one place a task may not be among its own nearest: then the last goes.
        others[others.all(axis=1), -1] = False
        return ids, nearest[others].reshape(len(ids), count)
