"""The lines about the whole session that stand above everything else."""

from __future__ import annotations

from typing import Any

from rich.cells import cell_len

from curricle.acts import describe_act, describe_limits
from curricle.literal import literal
from curricle.top.history import History
from curricle.top.look import Look
from curricle.top.text import clock, count, duration, fit, measure, rate, sparkline

#: Their number.
LINES = 5
_SPARK = 12
_DOT = " \N{MIDDLE DOT} "


def heading(name: str, created_at: float | None, look: Look, history: History, state: str) -> str:
    """The lines as one text, for a terminal of 80 columns or more.

    Args:
        name: of the session.
        created_at: when it was made, in seconds since the epoch; ``None`` where nobody knows.
        look: the last look at it.
        history: of all looks at it.
        state: "live", or what else is to be said at the end of the first line.
    """
    totals = look.totals
    spark = sparkline(history.rates("completions", _SPARK), from_zero=True)
    facts = [state]
    if look.live and look.processes is not None:
        facts.append(f"{look.processes} process{'' if look.processes == 1 else 'es'}")
    if created_at is not None:
        facts.append(f"age {duration(look.time - created_at)}")
    first = _DOT.join(facts)
    fields = [
        [
            f"episodes/s {rate(history.rate('completions'))} {spark}",
            f"episodes {count(totals['completions'])}",
            f"draws {count(totals['scheduled'])}",
            f"LP {measure(totals['lp_mean'])}",
        ],
        [
            f"tasks {count(totals['tasks'])}/{count(look.capacity)}",
            f"evicted {count(totals['evicted'])} ({rate(history.rate('evicted'))}/s)",
            f"late reports {count(totals['late_reports'])}",
            f"recoveries {count(totals['recoveries'])}",
        ],
        [
            f"lock waits {count(totals['lock_waits'])} ({rate(history.rate('lock_waits'))}/s)",
            f"steering {steering(look)}",
        ],
    ]
    lines = [f"{fit(literal(name), max(12, 78 - cell_len(first))).rstrip()}  {first}"]
    lines += ["  ".join(line) for line in fields]
    lines.append(f"last act {act_text(look.acts[-1]) if look.acts else 'none'}")
    return "\n".join(lines)


def steering(look: Look) -> str:
    """What steers the session at the moment: frozen progress, uniform draws, limits of labels."""
    parts = ["frozen"] if look.frozen else []
    parts += ["uniform draws"] if look.uniform else []
    parts += [literal(describe_limits(label, *pair)) for label, pair in sorted(look.limits.items())]
    return _DOT.join(parts) or "none"


def act_text(act: dict[str, Any]) -> str:
    """An act of steering: when, by which process, and what it did."""
    return f"{clock(act['time'])} process {act['pid']}: {literal(describe_act(act))}"
