"""The configuration of learning progress with the defaults of the earlier curriculum."""

from __future__ import annotations

import warnings
from typing import Any, Literal, Self

from pydantic import ConfigDict, model_validator

from curricle import config as clean
from curricle._core import Rules
from curricle.config import NonNegative


class LearningProgressConfig(clean.LearningProgressConfig):
    """Draws by the sigmoid of the z-scored learning progress, which no noise is taken off.

    All other fields are those of `curricle.LearningProgressConfig`. What needs scores with known
    bounds (``use_baseline_normalization=True``, an ``early_progress_amplification`` other than
    0.5) does nothing without ``score_range``, and a warning says so. Fields may be assigned to;
    what is made of the configuration takes them as they are then.

    Attributes:
        sampling: "sigmoid" and nothing else.
        noise_deviations: standard deviations of pure noise taken off the learning progress.

    Example:
        >>> LearningProgressConfig(use_shared_memory=False).rules().as_dict()["law"]
        'sigmoid'
    """

    model_config = ConfigDict(frozen=False, validate_assignment=True)

    sampling: Literal["sigmoid"] = "sigmoid"
    noise_deviations: NonNegative = 0.0

    @model_validator(mode="after")
    def _bounded_where_needed(self) -> Self:
        if self.score_range is not None:
            return self
        ignored = []
        if "use_baseline_normalization" in self.model_fields_set and (
            self.use_baseline_normalization and self.use_bidirectional
        ):
            ignored.append("use_baseline_normalization=True")
        if self.early_progress_amplification != 0.5:
            ignored.append(f"early_progress_amplification={self.early_progress_amplification}")
        if ignored:
            warnings.warn(
                f"{' and '.join(ignored)} needs scores with known bounds and does nothing here: "
                "give score_range=(lo, hi)",
                stacklevel=3,
            )
        return self

    @classmethod
    def _preset(
        cls, num_active_tasks: int, fields: dict[str, Any], overrides: dict[str, Any]
    ) -> Self:
        # Here the size of a preset's pool is that of the curriculum, as it used to be.
        return cls(**({"num_active_tasks": num_active_tasks} | fields | overrides))

    def rules(self) -> Rules:
        """The rules that a session of this config follows."""
        if self.score_range is not None or self.early_progress_amplification == 0.5:
            return super().rules()
        identity = self.model_copy(update={"early_progress_amplification": 0.5})
        return super(LearningProgressConfig, identity).rules()


class DropInConfig(LearningProgressConfig):
    """What a session of the drop-in follows.

    Without ``score_range`` the core would divide learning progress by the range that the session
    has seen so far, another one for each task. The drop-in's is in units of the score, so there
    the algorithm gives it to the session.
    """

    def rules(self) -> Rules:
        """The rules that a session of this config follows."""
        rules = super().rules()
        if self.score_range is not None:
            return rules
        return Rules(**(rules.as_dict() | {"progress": "given"}))


def drop_in(hypers: clean.LearningProgressConfig) -> DropInConfig:
    """The configuration, with the drop-in's defaults for fields that were left out.

    Raises:
        TypeError: no configuration of learning progress.
        ValueError: ``sampling`` was given and is not "sigmoid".
    """
    if isinstance(hypers, DropInConfig):
        return hypers
    if not isinstance(hypers, clean.LearningProgressConfig):
        raise TypeError(f"{hypers!r} is a {type(hypers).__name__}; give a LearningProgressConfig")
    given = hypers.model_fields_set
    if "sampling" in given and hypers.sampling != "sigmoid":
        raise ValueError(
            f'sampling={hypers.sampling!r}, but the drop-in curriculum draws by "sigmoid": leave '
            "it out, or use curricle.Curriculum"
        )
    fields = dict(hypers) | {"sampling": "sigmoid"}
    if "noise_deviations" not in given:
        fields["noise_deviations"] = 0.0
    # Validated already; a second time would repeat its warnings.
    return DropInConfig.model_construct(given, **fields)
