"""Settings of a session by the names that they have in a configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from curricle.config import SessionConfig
from curricle.errors import SessionError

_FIELDS = {
    "capacity": "max_memory_tasks",
    "max_inactive_labels": "max_inactive_labels_retained",
    "ema_alpha": "task_tracker_ema_alpha",
    "success_threshold": "task_default_success_threshold",
    "generator_type": "task_default_generator_type",
    "floor": "rand_task_rate",
    "exploration": "exploration_bonus",
    "exploration_blend": "exploration_blend_factor",
    "min_samples": "min_samples_for_lp",
    "progress_floor": "progress_smoothing",
    "performance_bonus": "performance_bonus_weight",
    "law": "sampling",
    "amplification": "z_score_amplification",
    "reweighting": "early_progress_amplification",
}
# "rank 1 has exploration = 0.1", as the core says what differs between nodes.
_SETTING = re.compile(r"\b(rank \d+ has )(\w+)(?= = )")


@contextmanager
def fields_named(config: SessionConfig) -> Iterator[None]:
    """Has errors of nodes with different settings name the fields of a configuration."""
    fields = type(config).model_fields

    def named(match: re.Match[str]) -> str:
        field = _FIELDS.get(match[2])
        return match[1] + (field if field in fields else match[2])

    try:
        yield
    except SessionError as error:
        raise SessionError(_SETTING.sub(named, str(error))) from None
