"""What holds in every record and every total at every instant, whoever died where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kills.population import RULES, STEPS

# A weight is kept in units of 2^-30, a positive one is at least one unit.
_WEIGHT_UNIT = 2.0**30


def torn_records(table: np.ndarray) -> np.ndarray:
    """The records that mix two updates: fields that every update ties together disagree."""
    count, ema = table["completion_count"], table["reward_ema"]
    lp = table["lp_score"]
    weight = np.maximum(np.floor(lp * _WEIGHT_UNIT), lp > 0.0) / _WEIGHT_UNIT
    untouched = np.floor(RULES.as_dict()["exploration"] * _WEIGHT_UNIT) / _WEIGHT_UNIT
    whole = (
        (table["env_steps"] == count * STEPS + table["total_score"].astype(count.dtype))
        & (table["total_score"] <= count)
        & (table["ema_squared"] == ema)
        & (table["success_rate_ema"] == ema)
        & (table["p_fast"] == ema)
        & (table["p_true"] == ema)
        & (lp == np.abs(table["p_fast"] - table["p_slow"]))
        & (table["weight"] == np.where(count == 0, untouched, weight))
        & ((count > 0) | ((ema == 0.0) & (table["last_completed"] == 0)))
    )
    torn: np.ndarray = table[~whole]
    return torn


def is_torn_total(row: Mapping[str, Any]) -> bool:
    """Whether totals of the session or of a label mix two commits."""
    return bool(row["env_steps"] != row["completions"] * STEPS + row["score_sum"])
