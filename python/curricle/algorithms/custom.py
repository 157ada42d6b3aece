"""An algorithm of the user's, from weights of a snapshot to draws."""

from __future__ import annotations

import numpy as np

from curricle._core import Rules
from curricle.algorithms.base import CurriculumAlgorithm, WeightAlgorithm
from curricle.algorithms.turn import turn
from curricle.backends.base import TaskMemoryBackend
from curricle.config import SessionConfig

# The largest weight of a table, below the limit of 4096: small ones keep most of their digits.
_LARGEST = 1024.0


class CustomConfig(SessionConfig):
    """Size of the table, its statistics and its session, for an algorithm of the user's."""

    def rules(self) -> Rules:
        """Rules that leave weights and learning progress to the caller."""
        return Rules(
            ema_alpha=self.task_tracker_ema_alpha,
            ema_timescale=self.ema_timescale,
            slow_timescale_factor=self.slow_timescale_factor,
            score_range=self.score_range,
            progress="given",
            # Until it is weighed, a new task is drawn like the one of the largest weight.
            exploration=_LARGEST,
            success_threshold=self.task_default_success_threshold,
            generator_type=self.task_default_generator_type,
        )


class CustomAlgorithm(CurriculumAlgorithm):
    """Draws by the weights that an algorithm of the user's computes every so many completions.

    One process of a session computes at a time; the others go on with the last weights.

    Args:
        num_tasks: number of tasks of the pool, >= 1.
        hypers: size of the table, its statistics and its session.
        algorithm: has ``weights(snapshot)``, and ``update_every`` if not 100 completions are to
            pass between two calls.
        backend: where the records live; ``None`` makes one that ``hypers`` asks for.
    """

    def __init__(
        self,
        num_tasks: int,
        hypers: CustomConfig,
        algorithm: WeightAlgorithm,
        backend: TaskMemoryBackend | None = None,
    ) -> None:
        super().__init__(num_tasks, hypers, backend)
        self.algorithm = algorithm
        self.update_every = int(getattr(algorithm, "update_every", 100))
        if self.update_every < 1:
            raise ValueError(f"update_every={self.update_every} must be at least 1")

    def refresh(self) -> bool:
        """Computes the weights anew; False where another process is at it.

        Raises:
            ValueError: weights of another shape than (n,), not finite, or below 0.
        """
        session = self.tracker.backend.name
        if session is None:
            return self._refresh()
        with turn(session) as mine:
            return mine and self._refresh()

    def _refresh(self) -> bool:
        table = self.tracker.snapshot()
        weights = np.asarray(self.algorithm.weights(table), dtype=np.float64)
        name = type(self.algorithm).__name__
        if weights.shape != table.shape:
            raise ValueError(f"{name}.weights has shape {weights.shape}, not {table.shape}")
        if not (np.isfinite(weights).all() and (weights >= 0.0).all()):
            worst = weights[~(np.isfinite(weights) & (weights >= 0.0))][0]
            raise ValueError(f"{name}.weights has {worst}; weights are finite and >= 0")
        largest = weights.max(initial=0.0) or 1.0
        # Divided first: the quotient of a weight below the least normal number would be inf.
        self.tracker.set_weights(table["task_id"], weights / largest * _LARGEST)
        return True
