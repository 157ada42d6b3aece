"""The curve of a run: what the whole session knew of each label, at points along the run."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

_MEASURES = ("seconds", "score_sum", "lp", "success")


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One label at one point of the run. Counts are totals since the start of the run.

    Attributes:
        episodes: completed episodes of all labels.
        env_steps: environment steps of all labels.
        seconds: time spent training.
        label: the label.
        samples: draws of the label.
        completions: reported episodes of the label.
        label_env_steps: environment steps spent on the label.
        score_sum: sum of the label's scores.
        lp: mean learning progress over the label's live tasks.
        success: share of evaluation episodes that were solved; NaN where there is no evaluation.
    """

    episodes: int
    env_steps: int
    seconds: float
    label: str
    samples: int
    completions: int
    label_env_steps: int
    score_sum: float
    lp: float
    success: float


def curve_points(
    episodes: int,
    env_steps: int,
    seconds: float,
    totals: Mapping[str, Mapping[str, float]],
    success: Mapping[str, float],
) -> list[CurvePoint]:
    """One point for every label, from the session's totals by label."""
    return [
        CurvePoint(
            episodes=episodes,
            env_steps=env_steps,
            seconds=round(seconds, 3),
            label=label,
            samples=int(total["scheduled"]),
            completions=int(total["completions"]),
            label_env_steps=int(total["env_steps"]),
            score_sum=total["score_sum"],
            lp=total["lp_mean"],
            success=success.get(label, float("nan")),
        )
        for label, total in sorted(totals.items())
    ]


def read_curve(path: Path) -> list[CurvePoint]:
    """Reads what `write_curve` wrote.

    Raises:
        ValueError: a row that is no point; the message names file and line.
    """
    kinds = {"label": str} | dict.fromkeys(_MEASURES, float)
    points = []
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        try:
            for row in rows:
                values: dict[str, Any] = {
                    field.name: kinds.get(field.name, int)(row[field.name])
                    for field in fields(CurvePoint)
                }
                points.append(CurvePoint(**values))
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise ValueError(f"{path}, line {rows.line_num}, is no point: {error}") from error
    return points


def write_curve(path: Path, points: Sequence[CurvePoint]) -> None:
    """Writes the points as CSV, one row a point."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(CurvePoint)])
        writer.writeheader()
        writer.writerows(asdict(point) for point in points)
