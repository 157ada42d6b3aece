"""The trainers of ``docs/integrations.md``."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

from benches.trainers.added_lines import added_lines

_EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class Entry:
    """A trainer, whether or not it is installed.

    Attributes:
        title: as people know it.
        package: the one whose version is told.
        module: of this package, with its `Trainer` and `make_curriculum`.
        example: whose lines are counted.
        helpers: names in it that are there for the curriculum and do not tell so.
    """

    title: str
    package: str
    module: str
    example: str
    helpers: tuple[str, ...] = ()

    def load(self) -> ModuleType:
        """Its module; whatever error the import of its packages raises."""
        return import_module(f"benches.trainers.{self.module}")

    @property
    def version(self) -> str:
        """Of its package."""
        return version(self.package)

    @property
    def lines(self) -> list[str]:
        """Those that a user adds, as its example has them."""
        return added_lines(_EXAMPLES / self.example, self.helpers)


TRAINERS = {
    entry.module: entry
    for entry in (
        Entry(
            "a script like CleanRL's, Gymnasium",
            "gymnasium",
            "cleanrl",
            "cleanrl_ppo.py",
            ("partial", "wrapper"),
        ),
        Entry("Stable-Baselines3", "stable-baselines3", "sb3", "sb3_ppo.py"),
        Entry(
            "PettingZoo with SuperSuit",
            "supersuit",
            "supersuit",
            "supersuit_ppo.py",
            ("finals", "logger"),
        ),
        Entry("TorchRL", "torchrl", "torchrl", "torchrl_ppo.py", ("metrics", "partial")),
        Entry("RLlib", "ray", "rllib", "rllib_ppo.py"),
        Entry(
            "PufferLib",
            "pufferlib",
            "pufferlib",
            "pufferlib_ppo.py",
            ("logger", "partial", "process"),
        ),
    )
}
