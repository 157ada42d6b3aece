"""What is known of tasks before anyone has played them: numbers that describe each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator


def _by_id(parameters: Any) -> Any:
    if isinstance(parameters, np.ndarray):
        parameters = parameters.tolist()
    if isinstance(parameters, Sequence) and not isinstance(parameters, str):
        parameters = dict(enumerate(parameters))
    if not isinstance(parameters, Mapping):
        return parameters
    return {
        task_id.item() if isinstance(task_id, np.integer) else task_id: tuple(
            float(value) for value in np.ravel(values)
        )
        for task_id, values in parameters.items()
    }


def _of_one_length(parameters: dict[int, tuple[float, ...]]) -> dict[int, tuple[float, ...]]:
    lengths = {len(values) for values in parameters.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            f"parameters have the lengths {sorted(lengths)}; give each task the same number "
            "of parameters, at least one"
        )
    return parameters


TaskParameters = Annotated[
    dict[int, tuple[float, ...]], BeforeValidator(_by_id), AfterValidator(_of_one_length)
]
"""Parameters by task id, from a mapping, or from a sequence for ids 0 to n-1."""


def scaled(
    parameters: Mapping[int, tuple[float, ...]],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Ids in order, shape (m,), and their parameters scaled to [0, 1], shape (m, d)."""
    ids = np.array(sorted(parameters), np.int64)
    values = np.array([parameters[task_id] for task_id in ids.tolist()])
    # Halves, as the difference of two large numbers may be no float.
    low, span = values.min(axis=0) / 2.0, np.ptp(values / 2.0, axis=0)
    return ids, (values / 2.0 - low) / np.where(span > 0.0, span, 1.0)


def places(known: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where ids stand in ``known``, which is in order, shape (n,).

    Raises:
        ValueError: a task that is not there.
    """
    at = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    missing = ids[known[at] != ids]
    if len(missing):
        raise ValueError(
            f"{len(missing)} tasks have no parameters, task {missing[0]} for one; name the "
            "parameters of every task"
        )
    return at
