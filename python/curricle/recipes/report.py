"""What the recipe of impossible tasks says: arms and their runs, tables, JSON, a verdict."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from curricle.recipes.impossible import (
    LEARNING,
    Check,
    CheckName,
    Family,
    LabelFigures,
    check_family,
    without_progress,
)
from curricle.training.curve import CurvePoint
from curricle.training.settings import TrainSettings

#: How a check reads in a table.
TITLES: dict[CheckName, str] = {
    "draws": "draws",
    "reward": "mean reward",
    "lp": "LP of each label",
    "lp_of_learners": "LP of learners",
    "lp_of_normal": "LP of normal tasks",
    "share": "share of draws",
}
#: The checks that uniform draws, and a learning progress of zero, must fail.
_UNIFORM_FAILS: CheckName = "share"
_ZERO_FAILS: CheckName = "lp_of_normal"


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run.

    Attributes:
        settings: of the run.
        seconds: time spent training.
        curve: of the run.
        labels: figures by label.
    """

    settings: TrainSettings
    seconds: float
    curve: Sequence[CurvePoint]
    labels: Sequence[LabelFigures]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The checks of one arm on one family, by seed, and what they must show.

    Attributes:
        arm: a curriculum by its name, or "LP always 0" (uniform draws).
        family: "impossible" or "noisy".
        must_fail: the check that the arm must fail; ``None``: it must pass them all.
        checks: by seed.
    """

    arm: str
    family: Family
    must_fail: CheckName | None
    checks: dict[int, list[Check]]

    @property
    def as_expected(self) -> int:
        """The number of seeds with which the checks show what they must."""
        return sum(
            all(check.passed for check in checks)
            if self.must_fail is None
            else any(check.name == self.must_fail and not check.passed for check in checks)
            for checks in self.checks.values()
        )

    @property
    def holds(self) -> bool:
        """Whether that is so with every seed."""
        return self.as_expected == len(self.checks)

    @property
    def duty(self) -> str:
        """What the checks must show."""
        if self.must_fail is None:
            return f"{self.arm}, {self.family} tasks: every check must pass"
        return f'{self.arm}, {self.family} tasks: "{TITLES[self.must_fail]}" must fail'

    @property
    def verdict(self) -> str:
        """Whether they show it."""
        verb = "does" if self.holds else "DOES NOT"
        return f"{self.duty}, and {verb} ({self.as_expected} of {len(self.checks)} seeds)"


def outcomes(runs: Sequence[Run], families: Sequence[Family]) -> list[Outcome]:
    """What the runs show about each family; the arm of an LP of zero is made of the uniform one."""
    labels = {(run.settings.curriculum, run.settings.seed): run.labels for run in runs}
    arms = dict.fromkeys(run.settings.curriculum for run in runs)
    found = []
    for family in families:
        for arm in arms:
            checks = {
                seed: check_family(figures, family)
                for (curriculum, seed), figures in labels.items()
                if curriculum == arm
            }
            must_fail = _UNIFORM_FAILS if arm == "uniform" else None
            found.append(Outcome(arm, family, must_fail, checks))
        checks = {
            seed: check_family(without_progress(figures), family)
            for (curriculum, seed), figures in labels.items()
            if curriculum == "uniform"
        }
        found.append(Outcome("LP always 0", family, _ZERO_FAILS, checks))
    return found


def outcome_table(outcome: Outcome) -> Table:
    """The checks of one arm on one family: a row each, a column a seed."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("check", no_wrap=True)
    for seed in outcome.checks:
        table.add_column(f"seed {seed}", no_wrap=True)
    for row, name in enumerate(TITLES):
        cells = [checks[row] for checks in outcome.checks.values()]
        table.add_row(TITLES[name], *(_cell(check) for check in cells))
    return table


def legend() -> str:
    """What the tables speak of."""
    low, high = LEARNING
    return (
        "LP and share of draws are those of the second half of the run; the LP of a label is the "
        "mean over its tasks and over the points of the curve there. The highest LP of a label is "
        "compared with the lowest of a learner, a normal label whose success rate there is above "
        f"{low} and below {high}; the family's mean LP with that of normal tasks; its share of the "
        "draws with half of its share of the tasks. The LP of uniform draws is that of "
        'UniformConfig, whatever the curriculum goes by. "LP always 0" has the draws of the '
        "uniform runs, and 0 for each LP."
    )


def write_json(path: Path, runs: Sequence[Run], found: Sequence[Outcome]) -> None:
    """Writes settings, figures by label and checks of all runs."""
    content: dict[str, Any] = {
        "holds": all(outcome.holds for outcome in found),
        "runs": [
            {
                "settings": run.settings.model_dump(mode="json"),
                "seconds": round(run.seconds, 3),
                "labels": [asdict(label) for label in run.labels],
            }
            for run in runs
        ],
        "outcomes": [asdict(outcome) | {"holds": outcome.holds} for outcome in found],
    }
    # A label without late episodes has no success: NaN is no JSON.
    text = json.dumps(_without_nan(content), indent=2, allow_nan=False)
    path.write_text(text + "\n")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if value != value else value


def _cell(check: Check) -> str:
    return f"{check.text} [green]ok[/]" if check.passed else f"{check.text} [red]NO[/]"
