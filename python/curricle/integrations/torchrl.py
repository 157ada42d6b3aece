"""TorchRL: the facts of each episode in its tensordicts, and the session's metrics in its logs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from curricle.envs.infos import LP, SCORE, TASK_ID
from curricle.extras import need_extra
from curricle.loggers.base import MAX_LABELS, CurriculumLogger

need_extra("curricle.integrations.torchrl", "torchrl", "torchrl")

import torch  # noqa: E402  after the check
from tensordict import TensorDict, TensorDictBase  # noqa: E402
from torchrl.data import Composite, Unbounded  # noqa: E402
from torchrl.envs.gym_like import BaseInfoDictReader  # noqa: E402
from torchrl.record.loggers import Logger  # noqa: E402

if TYPE_CHECKING:
    from curricle.curriculum import Curriculum
    from curricle.tracker import TaskTracker


class EpisodeReader(BaseInfoDictReader):  # type: ignore[misc]
    """Puts what `CurriculumEnv` says of an episode into TorchRL's tensordicts.

    TorchRL leaves infos out, and its own reader takes arrays that are in the info of every step.
    Under ``"curriculum"`` each step has ``"task_id"`` (int64, shape (1,)), the task that is
    played, and ``"score"`` and ``"lp"`` (float64, shape (1,)), NaN before an episode's last step
    and where the episode was not counted.

    Example:
        >>> env = GymWrapper(CurriculumEnv(env, curriculum))  # doctest: +SKIP
        >>> env.set_info_dict_reader(EpisodeReader())  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._task_id = -1
        facts = {
            "task_id": Unbounded(1, dtype=torch.int64),
            "score": Unbounded(1, dtype=torch.float64),
            "lp": Unbounded(1, dtype=torch.float64),
        }
        self._spec = Composite({"curriculum": Composite(facts)})

    @property
    def info_spec(self) -> Any:
        """What is written, for the specification of observations."""
        return self._spec

    def __call__(self, info_dict: dict[str, Any], tensordict: TensorDictBase) -> TensorDictBase:
        """Writes the facts of one step, or of a reset, into its tensordict."""
        self._task_id = info_dict.get(TASK_ID, self._task_id)
        facts = {
            "task_id": torch.tensor([self._task_id]),
            "score": torch.tensor([info_dict.get(SCORE, math.nan)], dtype=torch.float64),
            "lp": torch.tensor([info_dict.get(LP, math.nan)], dtype=torch.float64),
        }
        return tensordict.set("curriculum", TensorDict(facts, device=tensordict.device))


class TorchRLLogger(CurriculumLogger):
    """Writes the metrics of a session to a logger of TorchRL, whichever it is.

    Args:
        source: a curriculum, or a tracker, of the session.
        logger: where the trainer logs; it stays open.
        max_labels: labels with metrics of their own, >= 1; the others are "other" together.

    Raises:
        TypeError: ``max_labels`` is no integer.
        ValueError: ``max_labels`` below 1.
    """

    def __init__(
        self, source: Curriculum | TaskTracker, logger: Logger, *, max_labels: int = MAX_LABELS
    ) -> None:
        super().__init__(source, max_labels=max_labels)
        self._logger = logger

    def _write(self, step: int, metrics: Mapping[str, float]) -> None:
        self._logger.log_metrics(dict(metrics), step)
