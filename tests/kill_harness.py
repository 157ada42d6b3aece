"""Kills the processes of a session at random instants and accounts for everything they did."""

from __future__ import annotations

import argparse
import math
import random
import sys
import time

from curricle import CurricleError
from kills.harness import Figures, Harness
from kills.sums import Disagreement


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, help="stop after as many (default: 10000)")
    parser.add_argument("--seconds", type=float, help="stop after as long")
    parser.add_argument("--seed", type=int, help="of roles, work and instants (default: any)")
    args = parser.parse_args()
    seed = random.randrange(2**32) if args.seed is None else args.seed
    kills = args.kills
    if kills is None:
        kills = sys.maxsize if args.seconds else 10_000
    harness, start = Harness(seed), time.monotonic()
    try:
        harness.run(kills, args.seconds or math.inf)
        agreement = "exact"
    except (Disagreement, CurricleError) as error:
        agreement = f"NO: {error}"
    show(harness.figures, seed, time.monotonic() - start, agreement)
    return agreement != "exact"


def show(figures: Figures, seed: int, seconds: float, agreement: str) -> None:
    with_lock = [(role, count) for role, count in figures.with_lock.items() if count]
    rows: list[tuple[str, object]] = [
        ("seed", seed),
        ("seconds", f"{seconds:.1f}"),
        ("kills", figures.kills.total()),
        *((f"  {role}", count) for role, count in figures.kills.items()),
        ("kills while holding a lock", share(figures.with_lock.total(), figures.kills.total())),
        *((f"  {role}", share(count, figures.kills[role])) for role, count in with_lock),
        ("locks recovered", figures.recoveries),
        ("torn reads of reads made", f"{figures.torn} of {figures.reads}"),
        ("operations logged", sum(figures.operations.values())),
        *((f"  {name}", count) for name, count in figures.operations.items()),
        ("operations in flight at a kill", figures.in_flight),
        ("effects of those, by task", figures.in_flight_counted),
        ("draws counted by half", figures.half_draws),
        *((f"session: {name}", int(figures.totals.get(name, 0))) for name in SHOWN),
        ("agreement", agreement),
    ]
    for name, value in rows:
        print(f"{name:<32} {value}")


def share(part: int, whole: int) -> str:
    return f"{part} ({part / max(whole, 1):.1%})"


SHOWN = ("completions", "scheduled", "created", "evicted", "removed", "late_reports", "recoveries")


if __name__ == "__main__":
    sys.exit(main())
