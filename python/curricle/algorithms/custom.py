"""An algorithm of the user's, from weights of a snapshot to draws."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from curricle import checks
from curricle._core import Rules
from curricle.algorithms.base import CurriculumAlgorithm, WeightAlgorithm
from curricle.algorithms.turn import turn
from curricle.backends.base import TaskMemoryBackend
from curricle.backends.core_backed import CoreBackend
from curricle.config import Count, SessionConfig, Share

# The largest weight of a table, below the limit of 4096: small ones keep most of their digits.
_LARGEST = 1024.0
# Completions between two calls of weights.
_EVERY = 100


class CustomConfig(SessionConfig):
    """Size of the table, its statistics and its session, for an algorithm that gives weights.

    A subclass with a method ``weights(snapshot)`` is a whole algorithm, with its settings as
    fields.

    Attributes:
        floor: share of draws that is uniform over the tasks, whatever the weights, in [0, 1].
        update_every: completions of a process between two calls of ``weights``, >= 1. ``None``:
            1 for up to 1,999 tasks, else a thousandth of their number, as a call reads them all.
        columns: names of the columns that a subclass keeps state of its own in, as
            `WeightAlgorithm` says.
    """

    columns: ClassVar[tuple[str, ...]] = ()

    floor: Share = 0.0
    update_every: Count | None = _EVERY

    def rules(self) -> Rules:
        """Rules that leave weights and learning progress to the caller."""
        return Rules(
            **self.statistics_rules(),
            progress="given",
            floor=self.floor,
            # Until it is weighed, a new task is drawn like the one of the largest weight.
            exploration=_LARGEST,
        )


class CustomAlgorithm(CurriculumAlgorithm):
    """Draws by the weights that an algorithm of the user's computes every so many completions.

    One process of a session computes at a time; the others go on with the last weights.

    Args:
        num_tasks: number of tasks of the pool, >= 1.
        hypers: size of the table, its statistics and its session.
        algorithm: has ``weights(snapshot)``, and ``update_every`` if not those of ``hypers`` are
            the completions that pass between two calls. Where it names ``columns``, they are
            fields of the snapshot, and what it assigns to them there is kept in the session.
        backend: where the records live; ``None`` makes one that ``hypers`` asks for.

    Raises:
        ValueError: a number out of its range, or a backend without the algorithm's columns.
    """

    def __init__(
        self,
        num_tasks: int,
        hypers: SessionConfig,
        algorithm: WeightAlgorithm,
        backend: TaskMemoryBackend | None = None,
    ) -> None:
        super().__init__(num_tasks, hypers, backend)
        self.algorithm = algorithm
        every = getattr(algorithm, "update_every", getattr(hypers, "update_every", _EVERY))
        if every is None:
            every = max(1, num_tasks // 1000)
        self.update_every = checks.integer(every, "update_every", 1, checks.MAX_ID)
        self._columns = columns_of(algorithm)
        if hypers.rules().as_dict()["retry_by_column"] and self._columns[0] != "retry":
            raise ValueError(
                f"columns={self._columns}: the first one must be 'retry', which weights follow; "
                "add your own after those of FrontierConfig"
            )
        there = self.tracker.backend.columns
        if not set(self._columns) <= set(there):
            raise ValueError(
                f"{type(algorithm).__name__} needs the columns {self._columns}, the backend has "
                f"{there}; make the backend with columns={self._columns}"
            )

    def refresh(self) -> bool:
        """Computes the weights anew; False where another process is at it.

        Raises:
            ValueError: weights of another shape than (n,), not finite, or below 0.
        """
        session = self._session()
        if session is None:
            return self._refresh()
        with turn(session) as mine:
            return mine and self._refresh()

    def _session(self) -> str | None:
        """What all processes of the session call it, ``None`` where there is but this one."""
        backend = self.tracker.backend
        path = backend.session.path if isinstance(backend, CoreBackend) else None
        return backend.name if path is None else os.path.realpath(path)

    def _refresh(self) -> bool:
        if self.tracker.backend.frozen:
            return True
        table = self.tracker.snapshot()
        before = table[list(self._columns)].copy()
        given = self.algorithm.weights(table)
        if given is None:
            if self.hypers.rules().as_dict()["progress"] == "given":
                raise ValueError(
                    f"{type(self.algorithm).__name__}.weights returned None; return weights, shape "
                    f"{table.shape}"
                )
        else:
            self._set_weights(table["task_id"], np.asarray(given, dtype=np.float64))
        self._keep_columns(table, before)
        return True

    def _set_weights(self, ids: NDArray[np.int64], weights: NDArray[np.float64]) -> None:
        name = type(self.algorithm).__name__
        if weights.shape != ids.shape:
            raise ValueError(f"{name}.weights has shape {weights.shape}, not {ids.shape}")
        if not (np.isfinite(weights).all() and (weights >= 0.0).all()):
            at = int(np.argmin(np.isfinite(weights) & (weights >= 0.0)))
            raise ValueError(
                f"{name}.weights has {weights[at]} for task {ids[at]}; weights are finite and >= 0"
            )
        largest = weights.max(initial=0.0) or 1.0
        # Divided first: the quotient of a weight below the least normal number would be inf.
        self.tracker.set_weights(ids, weights / largest * _LARGEST)

    def _keep_columns(self, table: NDArray[Any], before: NDArray[Any]) -> None:
        backend = self.tracker.backend
        # Only the core's records have columns.
        if not isinstance(backend, CoreBackend):
            return
        for name in self._columns:
            changed = table[table[name] != before[name]]
            ids, values = changed["task_id"].copy(), changed[name].copy()
            backend.session.set_columns(name, ids, values)


def columns_of(algorithm: object) -> tuple[str, ...]:
    """Names of the columns of a record that an algorithm keeps state of its own in."""
    columns = getattr(algorithm, "columns", ())
    if isinstance(columns, str):
        raise TypeError(f"columns is the text {columns!r}; give a tuple of names, ({columns!r},)")
    return tuple(columns)
