"""Whether tasks on which nothing can be learned fool a curriculum: figures and checks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from curricle.assembly_lines.config import COIN, IMPOSSIBLE_SUFFIX, NOISY_SUFFIX
from curricle.training.curve import CurvePoint
from curricle.training.settings import TrainSettings
from curricle.training.stopping import StopRequest
from curricle.training.trainer import Monitor, Result, train

Family = Literal["normal", "impossible", "noisy"]
CheckName = Literal["draws", "reward", "lp", "lp_of_learners", "lp_of_normal", "share"]

#: Learning progress that a task has at most on which nothing can be learned.
MOST_LP = 0.1
#: Success rates between which a label is still being learned.
LEARNING = (0.05, 0.95)
#: Share of its uniform draws that such a family gets at most.
SHARE = 0.5
# A fair coin is farther from its mean than this many standard deviations once in 16,000 runs.
_COIN_DEVIATIONS = 4.0


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """What became of one label in a run. "Late" is the second half of the run.

    Attributes:
        label: the label.
        tasks: its tasks in the pool.
        samples: its draws in the whole run.
        completions: its reported episodes in the whole run.
        score_sum: sum of their scores.
        late_samples: its late draws.
        late_success: mean score of its late episodes; NaN where there were none.
        lp: mean learning progress over its tasks and over the late points of the curve.
    """

    label: str
    tasks: int
    samples: int
    completions: int
    score_sum: float
    late_samples: int
    late_success: float
    lp: float

    @property
    def family(self) -> Family:
        """The family of the label's tasks."""
        return family_of(self.label)


@dataclass(frozen=True, slots=True)
class Check:
    """One check of one run.

    Attributes:
        name: which.
        passed: whether it holds.
        text: the figures that decide it.
    """

    name: CheckName
    passed: bool
    text: str


def family_of(label: str) -> Family:
    """The family of a label's tasks."""
    if label.endswith(IMPOSSIBLE_SUFFIX):
        return "impossible"
    return "noisy" if label.endswith(NOISY_SUFFIX) else "normal"


def run_arm(settings: TrainSettings, monitor: Monitor, stop: StopRequest) -> Result:
    """Trains one arm; its folder is not kept."""
    with TemporaryDirectory(prefix="curricle-recipe-") as folder:
        return train(settings, Path(folder), monitor, stop, evaluates=False)


def label_figures(result: Result, episodes: int) -> list[LabelFigures]:
    """The figures of every label of a run.

    Args:
        result: of a run that was not stopped.
        episodes: that it was asked for.

    Raises:
        ValueError: the curve has fewer than two points in the second half of the run.
    """
    curve = result.progress.curve
    late = [point for point in curve if point.episodes >= episodes / 2]
    middle, end = late[0].episodes, late[-1].episodes
    if middle == end:
        raise ValueError(f"{episodes} episodes are too few for a curve: take more")
    at_middle = {point.label: point for point in late if point.episodes == middle}
    by_label: dict[str, list[CurvePoint]] = {}
    for point in late:
        if point.episodes > middle:
            by_label.setdefault(point.label, []).append(point)
    figures = []
    for label, points in sorted(by_label.items()):
        first, last = at_middle.get(label), points[-1]
        # A label that came later counts in full.
        completions = last.completions - (first.completions if first else 0)
        score_sum = last.score_sum - (first.score_sum if first else 0.0)
        figures.append(
            LabelFigures(
                label=label,
                tasks=int(result.totals[label]["tasks"]),
                samples=last.samples,
                completions=last.completions,
                score_sum=last.score_sum,
                late_samples=last.samples - (first.samples if first else 0),
                late_success=score_sum / completions if completions else math.nan,
                lp=sum(point.lp for point in points) / len(points),
            )
        )
    return figures


def without_progress(figures: Sequence[LabelFigures]) -> list[LabelFigures]:
    """The figures of an algorithm whose learning progress is always zero, from uniform draws.

    Draws in proportion to weights that are all zero are uniform, so nothing but the learning
    progress is another.
    """
    return [replace(label, lp=0.0) for label in figures]


def check_family(figures: Sequence[LabelFigures], family: Family) -> list[Check]:
    """Checks that a family on which nothing can be learned is drawn, and does not fool.

    Args:
        figures: of all labels of a run.
        family: "impossible" or "noisy".
    """
    fooling = [label for label in figures if label.family == family]
    normal = [label for label in figures if label.family == "normal"]
    lowest, highest = LEARNING
    learners = [label.lp for label in normal if lowest < label.late_success < highest]
    samples = sum(label.samples for label in fooling)
    top = max((label.lp for label in fooling), default=math.nan)
    least = min(learners, default=math.nan)
    of_normal, of_family = _mean_lp(normal), _mean_lp(fooling)
    limit = SHARE * uniform_share(figures, family)
    share = late_share(figures, family)
    # A comparison with NaN is false: what cannot be checked does not pass.
    return [
        Check("draws", samples > 0, f"{samples:,} > 0"),
        _check_reward(fooling, family),
        Check("lp", top < MOST_LP, f"{top:.2g} < {MOST_LP}"),
        Check("lp_of_learners", top < least, f"{top:.2g} < {least:.2g}"),
        Check("lp_of_normal", of_normal > of_family, f"{of_family:.2g} < {of_normal:.2g}"),
        Check("share", share <= limit, f"{share:.1%} <= {limit:.1%}"),
    ]


def late_share(figures: Sequence[LabelFigures], family: Family) -> float:
    """The family's share of the late draws."""
    drawn = sum(label.late_samples for label in figures)
    return sum(label.late_samples for label in figures if label.family == family) / max(1, drawn)


def uniform_share(figures: Sequence[LabelFigures], family: Family) -> float:
    """The family's share of the tasks in the pool, and so of uniform draws."""
    tasks = sum(label.tasks for label in figures)
    return sum(label.tasks for label in figures if label.family == family) / max(1, tasks)


def _mean_lp(figures: Sequence[LabelFigures]) -> float:
    tasks = sum(label.tasks for label in figures)
    return sum(label.lp * label.tasks for label in figures) / tasks if tasks else math.nan


def _check_reward(figures: Sequence[LabelFigures], family: Family) -> Check:
    completions = sum(label.completions for label in figures)
    if completions == 0:
        return Check("reward", False, "no episode")
    mean = sum(label.score_sum for label in figures) / completions
    if family == "impossible":
        return Check("reward", mean == 0.0, f"{mean:g} = 0")
    margin = _COIN_DEVIATIONS * math.sqrt(COIN * (1 - COIN) / completions)
    return Check("reward", abs(mean - COIN) <= margin, f"{mean:.2f} = {COIN}±{margin:.2f}")
