"""Infos of a vector environment: arrays over the sub-environments, each with a mask."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


def put(
    infos: dict[str, Any],
    key: str,
    indices: NDArray[np.int64],
    values: Sequence[Any] | NDArray[Any],
    num_envs: int,
    dtype: DTypeLike,
) -> None:
    """Writes values of some sub-environments, as Gymnasium's vector environments collate them.

    ``infos[key]`` gets ``values[k]`` at ``indices[k]``, and ``infos["_" + key]`` True there.
    """
    shape = (num_envs, *np.shape(values)[1:]) if dtype is not object else (num_envs,)
    if key not in infos:
        infos[key] = np.full(shape, None, object) if dtype is object else np.zeros(shape, dtype)
        infos["_" + key] = np.zeros(num_envs, dtype=np.bool_)
    infos[key][indices] = values
    infos["_" + key][indices] = True


def info_of(infos: Mapping[str, Any], index: int, num_envs: int) -> dict[str, Any]:
    """The info of one sub-environment, as that environment alone would have given it."""
    info: dict[str, Any] = {}
    for key, value in infos.items():
        if key.startswith("_") and key[1:] in infos:
            continue
        mask = infos.get("_" + key)
        if mask is not None and not mask[index]:
            continue
        if isinstance(value, Mapping):
            info[key] = info_of(value, index, num_envs)
        elif isinstance(value, np.ndarray | list | tuple) and len(value) == num_envs:
            info[key] = value[index]
        else:
            info[key] = value
    return info


def last_info_of(infos: Mapping[str, Any], index: int, num_envs: int) -> dict[str, Any]:
    """The info of a sub-environment's last step, also where it was reset in the same step."""
    return info_of(infos.get("final_info", infos), index, num_envs)
