"""How long a run is: a number of episodes, or of environment steps."""

from dataclasses import dataclass
from typing import Literal

from curricle.training.checkpoint import Progress
from curricle.training.settings import TrainSettings

# Least distance of two points of the curve. An evaluation takes about as long as this.
_LEAST_INTERVAL = {"episodes": 50, "steps": 2_500}
_CURVE_POINTS = 30


@dataclass(frozen=True, slots=True)
class RunLength:
    """The length of a run.

    Attributes:
        unit: what is counted.
        total: how many of them the whole run has, >= 1.
    """

    unit: Literal["episodes", "steps"]
    total: int

    @classmethod
    def of(cls, settings: TrainSettings) -> "RunLength":
        """The length that the settings ask for."""
        if settings.env_steps is not None:
            return cls("steps", settings.env_steps)
        return cls("episodes", settings.episodes)

    def done(self, progress: Progress) -> int:
        """How many of the unit a run has, possibly a few more than the total."""
        return progress.env_steps if self.unit == "steps" else progress.episodes

    @property
    def interval(self) -> int:
        """Distance of two points of the curve, in the unit."""
        return max(_LEAST_INTERVAL[self.unit], -(-self.total // _CURVE_POINTS))
