"""The algorithms by name, as the command line and the benches know them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from curricle.config import (
    LearningProgressConfig,
    NoiseAwareConfig,
    SessionConfig,
    UniformConfig,
)

ALGORITHMS: Mapping[str, type[SessionConfig]] = MappingProxyType(
    {
        "learning-progress": LearningProgressConfig,
        "noise-aware": NoiseAwareConfig,
        "uniform": UniformConfig,
    }
)
"""What a curriculum takes as ``config``, by name."""
