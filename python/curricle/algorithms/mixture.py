"""A mixture of algorithms: shares of the draws by each."""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, SerializeAsAny, field_validator, model_validator

from curricle._core import Rules
from curricle.algorithms.base import WeightAlgorithm
from curricle.algorithms.custom import CustomConfig, columns_of
from curricle.algorithms.progress_weights import progress_weights
from curricle.config import Count, LearningProgressConfig, SessionConfig, Step, UniformConfig

# What makes the statistics of a record: one record serves all parts.
_STATISTICS = (
    "ema_alpha",
    "ema_timescale",
    "slow_timescale_factor",
    "score_range",
    "success_threshold",
    "generator_type",
)
_BASELINE = ("baseline", "baseline_samples")
# What fields of a configuration are called that have another name in the rules.
_FIELDS = {
    "ema_alpha": "task_tracker_ema_alpha",
    "success_threshold": "task_default_success_threshold",
    "generator_type": "task_default_generator_type",
}


class MixtureConfig(CustomConfig):
    """Each draw comes from one of several algorithms, by fixed shares, or uniformly.

    p(i) = sum_k share_k p_k(i) + floor / n, exactly, where p_k(i) is the probability that part k
    by itself would give the task, its own floor included, and the shares and the floor add up to
    1. A floor against forgetting, say, over two views of what is worth learning.

    All parts read the same records. So their EMA steps, score range and success threshold must be
    those of the mixture; size and session are the mixture's alone.

    Attributes:
        parts: (share, configuration of an algorithm), with shares in (0, 1] of sum <= 1. A
            `LearningProgressConfig` needs a ``score_range`` and the proportional law. An algorithm
            with columns, as `Exp3Config`, is none: it learns from draws that are its own.
        floor: what the shares leave to 1, and follows from them.
        update_every: completions of a process between two calls of ``weights``, >= 1; the least
            of the parts' where it is not given. A call computes all parts, whatever they ask.

    Raises:
        pydantic.ValidationError: (a ``ValueError``) shares beyond 1, parts that cannot be mixed,
            or that contradict each other.

    Example:
        >>> from curricle.algorithms import LearnabilityConfig, LevelReplayConfig
        >>> parts = [(0.5, LevelReplayConfig()), (0.4, LearnabilityConfig())]
        >>> round(MixtureConfig(parts=parts).floor, 6)
        0.1
    """

    parts: Annotated[tuple[tuple[Step, SerializeAsAny[SessionConfig]], ...], Field(min_length=1)]
    task_tracker_ema_alpha: Step = 0.1
    update_every: Count | None = None

    @field_validator("parts", mode="before")
    @classmethod
    def _parts_of_sequences(cls, parts: Any) -> Any:
        if not isinstance(parts, list | tuple):
            return parts
        return tuple(tuple(part) if isinstance(part, list) else part for part in parts)

    @field_validator("parts")
    @classmethod
    def _parts_that_mix(
        cls, parts: tuple[tuple[float, SessionConfig], ...]
    ) -> tuple[tuple[float, SessionConfig], ...]:
        for at, (_, part) in enumerate(parts):
            name = f"parts[{at}], a {type(part).__name__},"
            if isinstance(part, LearningProgressConfig):
                if part.score_range is None or part.sampling != "proportional":
                    raise ValueError(f"{name} needs score_range=(lo, hi), sampling='proportional'")
            elif isinstance(part, UniformConfig):
                raise ValueError(f"{name} is the floor; leave it out, and its share is the floor")
            elif not isinstance(part, WeightAlgorithm):
                raise ValueError(
                    f"{name} has no weights(snapshot) to be mixed; take a "
                    "LearningProgressConfig, or an algorithm with weights(snapshot)"
                )
            elif columns_of(part):
                raise ValueError(f"{name} has the columns {columns_of(part)}; it cannot be mixed")
        return parts

    @model_validator(mode="after")
    def _shares_and_floor_make_one(self) -> Self:
        floor = 1.0 - sum(share for share, _ in self.parts)
        if floor < -1e-9:
            raise ValueError(f"the shares of parts add up to {1.0 - floor}, beyond 1")
        if "floor" in self.model_fields_set and abs(self.floor - floor) > 1e-9:
            raise ValueError(
                f"floor={self.floor}, but the shares of parts leave {floor}; leave floor out"
            )
        object.__setattr__(self, "floor", max(floor, 0.0))
        return self

    @model_validator(mode="after")
    def _as_often_as_a_part(self) -> Self:
        if "update_every" not in self.model_fields_set:
            steps = [part.update_every for _, part in self.parts if isinstance(part, CustomConfig)]
            least = [every for every in steps if every is not None]
            often = None if len(least) < len(steps) else min(least, default=100)
            object.__setattr__(self, "update_every", often)
        return self

    @model_validator(mode="after")
    def _of_the_same_statistics(self) -> Self:
        own = super().rules().as_dict()
        baseline: dict[str, Any] = {}
        for at, (_, part) in enumerate(self.parts):
            rules = part.rules().as_dict()
            expected = {name: own[name] for name in _STATISTICS}
            if isinstance(part, LearningProgressConfig):
                # The first part that reads p_fast by a baseline says by which.
                baseline = baseline or {name: rules[name] for name in _BASELINE}
                expected |= baseline
            for name, value in expected.items():
                if rules[name] != value:
                    raise ValueError(
                        f"parts[{at}], a {type(part).__name__}, has {_FIELDS.get(name, name)}="
                        f"{rules[name]}, where {value} holds; give the mixture and all its parts "
                        "the same"
                    )
        return self

    def rules(self) -> Rules:
        """The rules that a session of this config follows."""
        own = super().rules()
        for _, part in self.parts:
            if isinstance(part, LearningProgressConfig):
                theirs = part.rules().as_dict()
                return Rules(**(own.as_dict() | {name: theirs[name] for name in _BASELINE}))
        return own

    def weights(self, snapshot: NDArray[Any]) -> NDArray[np.float64]:
        """Weights of draws, shape (n,), of sum 1."""
        weights = np.zeros(len(snapshot))
        for share, part in self.parts:
            weights += share * _probabilities(part, snapshot)
        total = weights.sum()
        return weights / total if total > 0.0 else weights


def _probabilities(part: SessionConfig, snapshot: NDArray[Any]) -> NDArray[np.float64]:
    """Probabilities of a draw by one part, shape (n,), as the core makes them of weights."""
    if isinstance(part, LearningProgressConfig):
        weights = progress_weights(part, snapshot)
    else:
        assert isinstance(part, WeightAlgorithm)
        weights = np.asarray(part.weights(snapshot), dtype=np.float64)
    largest = weights.max(initial=0.0)
    if largest == 0.0:
        return np.full(len(snapshot), 1.0 / max(len(snapshot), 1))
    # Divided first: a sum of finite weights may be infinite.
    shares = weights / largest
    floor: float = part.rules().as_dict()["floor"]
    probabilities: NDArray[np.float64] = (1.0 - floor) * shares / shares.sum()
    return probabilities + floor / len(snapshot)
