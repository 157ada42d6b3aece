"""Draws where in the space of task parameters a Gaussian mixture sees scores change."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from curricle.algorithms.custom import CustomConfig
from curricle.algorithms.parameters import TaskParameters, places, scaled
from curricle.algorithms.score_changes import OpenStep, last_surprise
from curricle.config import Count, Share
from curricle.extras import need_extra

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture


class AlpGmmConfig(CustomConfig):
    """ALP-GMM over the parameters of the tasks.

    Source: Portelas et al. 2019, "Teacher algorithms for curriculum learning of Deep RL in
    continuously parameterized environments". Every ``window`` episodes, Gaussian
    mixtures of 2 to ``components`` components are fitted to (parameters, ALP) of the tasks played
    last, and the one of the best criterion is kept. A component is drawn in proportion to its
    mean ALP, and a task by the component's density over the parameters; a share of the draws, and
    all of them until ``window`` tasks have a score, are uniform. Where the paper draws parameters
    afresh, here a task of the pool is drawn: its density over that of all tasks in the pool.

    The absolute learning progress ALP of a task's first score is its distance from the score of
    the nearest task that was played before it, as in the paper. Of a task that was played again
    the nearest is the task itself: ALP is the distance of the last score from the EMA before it.

    Parameters and ALP are scaled to [0, 1], so that their units do not matter.

    Attributes:
        parameters: parameters of each task by its id: a mapping, or a sequence for ids 0 to n-1;
            each of the same length d >= 1, finite.
        window: tasks that the mixture is fitted to, the last ones played, >= 2; all tasks, where
            there are fewer.
        components: the most components of a mixture, >= 2.
        criterion: "aic", the paper's, or "bic".
        floor: share of uniform draws, in [0, 1].
        task_tracker_ema_alpha: step of the EMA of a task's score, in (0, 1).
        update_every: completions of a process between two fits, >= 1.

    Raises:
        ModuleNotFoundError: scikit-learn is missing; it comes with the extra ``alp-gmm``.
    """

    parameters: TaskParameters
    window: Count = 250
    components: Count = 10
    criterion: Literal["aic", "bic"] = "aic"
    floor: Share = 0.2
    task_tracker_ema_alpha: OpenStep = 0.1
    update_every: Count | None = 250

    @model_validator(mode="after")
    def _with_scikit_learn(self) -> Self:
        # Imported at the first fit only, as it takes a second.
        need_extra("AlpGmmConfig", "alp-gmm", "sklearn", "scikit-learn")
        return self

    @model_validator(mode="after")
    def _of_some_size(self) -> Self:
        for name in ("window", "components"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 2")
        return self

    def weights(self, snapshot: NDArray[Any]) -> NDArray[np.float64]:
        """Weights of draws, shape (n,).

        Raises:
            ValueError: a task without parameters.
        """
        known, values = scaled(self.parameters)
        points = values[places(known, snapshot["task_id"])]
        scored = np.flatnonzero(snapshot["completion_count"] > 0)
        window = min(self.window, len(snapshot))
        # A mixture takes two.
        if len(scored) < max(window, 2):
            return np.ones(len(snapshot))
        order = scored[np.argsort(snapshot["last_completed"][scored], kind="stable")]
        progress = self._progress(snapshot[order], points[order])[-window:]
        largest = progress.max()
        if largest == 0.0:
            return np.ones(len(snapshot))
        data = np.column_stack([points[order[-window:]], progress / largest])
        mixture = self._fitted(data)
        # A mean may fall below 0 by rounding only: no ALP is negative.
        chosen = np.maximum(mixture.means_[:, -1], 0.0)
        weights = np.zeros(len(snapshot))
        for mean, covariance, share in zip(
            mixture.means_, mixture.covariances_, chosen / chosen.sum(), strict=True
        ):
            weights += share * _density(points, mean[:-1], covariance[:-1, :-1])
        return weights

    def _progress(self, played: NDArray[Any], points: NDArray[np.float64]) -> NDArray[np.float64]:
        """ALP of tasks in the order in which they were last played, shape (k,)."""
        progress = np.abs(last_surprise(played, self.task_tracker_ema_alpha))
        last = np.arange(max(len(played) - self.window, 0), len(played))
        for at in last[played["completion_count"][last] == 1]:
            if at > 0:
                distance = np.sum((points[:at] - points[at]) ** 2, axis=1)
                nearest = played["last_score"][np.argmin(distance)]
                progress[at] = abs(played["last_score"][at] - nearest)
        return progress

    def _fitted(self, data: NDArray[np.float64]) -> GaussianMixture:
        """The mixture of the best criterion."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture
        from threadpoolctl import threadpool_limits

        mixtures = [
            # The same data give the same mixture, in every process.
            GaussianMixture(n_components=k, random_state=0)
            for k in range(2, min(self.components, len(data)) + 1)
        ]
        # On a few hundred rows threads cost more than they gain, and workers share the processors.
        with threadpool_limits(1), warnings.catch_warnings():
            # Of fewer different points than components, say; the criterion decides.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = [mixture.fit(data) for mixture in mixtures]
        return min(fitted, key=lambda mixture: float(getattr(mixture, self.criterion)(data)))


def _density(
    points: NDArray[np.float64], mean: NDArray[np.float64], covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Shares of points by a Gaussian's density over them, shape (n,), of sum 1."""
    root = np.linalg.cholesky(covariance)
    distance = np.sum(np.linalg.solve(root, (points - mean).T) ** 2, axis=0)
    # Less the smallest, so that a component far from all points keeps its share.
    density: NDArray[np.float64] = np.exp(-0.5 * (distance - distance.min()))
    density /= density.sum()
    return density
