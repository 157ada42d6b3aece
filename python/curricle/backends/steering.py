"""How the table of one process is steered, where the core does not keep it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import Any

# As many as the core remembers.
_ACTS = 32


@dataclass
class Steering:
    """Frozen progress, uniform draws, and the last acts; see `TaskMemoryBackend.acts`."""

    frozen: bool = False
    uniform: bool = False
    acts: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0

    def steer(self, frozen: bool | None, uniform: bool | None) -> None:
        """Changes what is not None, and notes what that changed."""
        if frozen is not None and frozen != self.frozen:
            self.frozen = frozen
            self.note("freeze", on=frozen)
        if uniform is not None and uniform != self.uniform:
            self.uniform = uniform
            self.note("draw_uniformly", on=uniform)

    def note(
        self,
        act: str,
        on: bool | None = None,
        label: str | None = None,
        limits: tuple[float | None, float | None] = (None, None),
    ) -> None:
        """Keeps a record of an act."""
        self.count += 1
        least, most = limits
        self.acts.append(
            {
                "serial": self.count,
                "time": time.time(),
                "pid": os.getpid(),
                "act": act,
                "on": on,
                "label": label,
                "least": least,
                "most": most,
            }
        )
        del self.acts[:-_ACTS]
