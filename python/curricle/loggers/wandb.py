"""Metrics for Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from curricle.extras import need_extra
from curricle.loggers.base import MAX_LABELS, CurriculumLogger

if TYPE_CHECKING:
    from curricle.curriculum import Curriculum
    from curricle.tracker import TaskTracker


class WandbLogger(CurriculumLogger):
    """Logs to a run of Weights & Biases at every `log`.

    Sections of the dashboard are the parts of the names before the slash. A trainer that logs to
    the same run gives the same steps.

    Args:
        source: a curriculum, or a tracker, of the session.
        run: what ``wandb.init`` returned; ``None``: the process's present run. It stays open.
        max_labels: labels with metrics of their own, >= 1.

    Raises:
        ModuleNotFoundError: no run is given and wandb is missing.
        RuntimeError: no run is given and there is none.
    """

    def __init__(
        self, source: Curriculum | TaskTracker, run: Any = None, *, max_labels: int = MAX_LABELS
    ) -> None:
        super().__init__(source, max_labels=max_labels)
        self._run = _present_run() if run is None else run

    def _write(self, step: int, metrics: Mapping[str, float]) -> None:
        self._run.log(dict(metrics), step=step)


def _present_run() -> Any:
    need_extra("WandbLogger", "wandb", "wandb")
    import wandb

    if wandb.run is None:
        raise RuntimeError("there is no run of wandb: call wandb.init first, or give run=")
    return wandb.run
