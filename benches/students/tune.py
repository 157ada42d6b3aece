"""Finds an algorithm's settings on seeds that are not reported.

``python -m benches.students.tune learning-progress rand_task_rate=0.1,0.2 ema_timescale=0.05,0.1``
tries all combinations and prints them, from the worst to the best, by the share that was mastered:
the mean over all students, or over those that are named. Values are JSON; fields that are not given
are those of ``settings.py``.
"""

from __future__ import annotations

import json
from itertools import product
from typing import Annotated

import numpy as np
import typer

from benches.students.cases import CASES, run_case
from benches.students.settings import SETTINGS, TUNING_SEEDS

app = typer.Typer(add_completion=False)


@app.command()
def main(
    algorithm: str,
    fields: Annotated[list[str], typer.Argument(metavar="FIELD=VALUE,VALUE,...")],
    case: Annotated[list[str] | None, typer.Option(help="Student; all by default.")] = None,
) -> None:
    """Tries all combinations of values; prints the worst first and the best last."""
    names = [field.partition("=")[0] for field in fields]
    values = [json.loads(f"[{field.partition('=')[2]}]") for field in fields]
    tried = []
    for combination in product(*values):
        chosen = dict(zip(names, combination, strict=True))
        settings = {**SETTINGS.get(algorithm, {}), **chosen}
        shares = {
            key: float(
                np.mean([s.mastered[-1] for s in run_case(key, algorithm, settings, TUNING_SEEDS)])
            )
            for key in case or CASES
        }
        tried.append((float(np.mean(list(shares.values()))), chosen, shares))
    for mean, chosen, shares in sorted(tried, key=lambda one: one[0]):
        each = " ".join(f"{key} {share:.1%}" for key, share in shares.items())
        print(f"{mean:.1%} {chosen} ({each})")


if __name__ == "__main__":
    app()
