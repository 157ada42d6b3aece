"""What calls from Python may cost, beside what they were measured to cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple

from benches.measured import Measured
from benches.peers.curricle_peer import CurriclePeer
from benches.peers.throughput import SIZES
from benches.timing import Figures
from benches.training_loop import ON
from curricle import Rules, Session

SMALL = 1_000
LARGE = 1_000_000
ONE = "session, one task"
RANDOM = "session, one task at random"
BATCH = "session, 1,024 tasks at once"
ALL = "session, all tasks"
STEP = "a step within an episode"
EPISODE = "an episode of one step and a reset"
BARE = "gymnasium.Wrapper"
SYLLABUS = "syllabus-rl"

NANOSECONDS = "{:,.0f} ns"
MILLISECONDS = "{:,.3g} ms"
TIMES = "{:,.3g}x"
RATIO = "{:.3f}"
COUNT = "{:,.0f}"
BYTES = "{:,.0f} bytes a task"


class Verdict(NamedTuple):
    """One budget.

    Attributes:
        operation: what is measured.
        budget: its limit, in words.
        median: what was measured.
        beside: the same in the best round, to which other work on the machine adds the least; of
            ratios the 95% interval of the median.
        holds: "yes", "in the best round" or "no"; of ratios "yes" or "no" for the whole interval,
            and else "undecided"; or that it was not measured, or is not judged.
    """

    operation: str
    budget: str
    median: str = ""
    beside: str = ""
    holds: str = "not measured"


def verdicts(measured: Measured) -> list[Verdict]:
    """All budgets, held against what was measured."""
    return [
        *_calls(measured),
        *_wrappers(measured),
        *_workers(measured),
        *_processes(measured),
        *_training(measured),
        *_trainers(measured),
        _memory(),
    ]


def _calls(measured: Measured) -> Iterator[Verdict]:
    found = {(row.group, row.call, row.tasks): row for row in measured.calls}
    for group, call, tasks, limit, form, unit in (
        (ONE, "update", SMALL, 150, NANOSECONDS, 1e9),
        (BATCH, "update_many", SMALL, 60, NANOSECONDS, 1e9),
        (ONE, "field", SMALL, 100, NANOSECONDS, 1e9),
        (ONE, "read", SMALL, 250, NANOSECONDS, 1e9),
        (RANDOM, "draw", LARGE, 1_000, NANOSECONDS, 1e9),
        (ALL, "probabilities", LARGE, 20, MILLISECONDS, 1e3),
        (ALL, "choose_eviction", LARGE, 10, MILLISECONDS, 1e3),
    ):
        what = f"{group}: `{call}`, {tasks:,} tasks"
        row = found.get((group, call, tasks))
        figures = (row.median * unit, row.least * unit) if row else None
        yield _at_most(what, limit, form, figures)
    small, large = (found.get((RANDOM, "draw", tasks)) for tasks in (SMALL, LARGE))
    what = f"{RANDOM}: `draw`, {LARGE:,} tasks over {SMALL:,}, of medians"
    ratios = None
    if small and large:
        ratios = large.median / small.median, large.least / small.least
    # The budget leaves cache misses out, and a clock cannot: NOTES.md has the instructions.
    judged = _at_most(what, 2.0, TIMES, ratios)
    yield judged._replace(
        budget=f"{judged.budget} but for cache misses",
        holds="not judged: with cache misses" if ratios else judged.holds,
    )


def _wrappers(measured: Measured) -> Iterator[Verdict]:
    found = {(row.group, row.call): row for row in measured.calls}
    for what, group, call, limit in (
        ("`CurriculumEnv.step` less a bare wrapper's", STEP, "CurriculumEnv", 150),
        ("episode end: report and draw", EPISODE, "CurriculumEnv", 3_000),
        ("episode end, metrics of 32 labels", EPISODE, "CurriculumEnv, metrics", 10_000),
    ):
        ours, bare = found.get((group, call)), found.get((group, BARE))
        figures = None
        if ours and bare:
            figures = (ours.median - bare.median) * 1e9, (ours.least - bare.least) * 1e9
        yield _at_most(what, limit, NANOSECONDS, figures)


def _workers(measured: Measured) -> Iterator[Verdict]:
    found = {(row.peer, row.tasks, row.workers): row.episodes for row in measured.workers}
    for tasks in SIZES:
        where = f"4 workers, {tasks:,} tasks"
        ours = found.get((CurriclePeer.name, tasks, 4))
        theirs = found.get((SYLLABUS, tasks, 4))
        yield _at_least(f"episodes a second, {where}", 250_000, COUNT, ours)
        ratio = ours.over(theirs) if ours and theirs else None
        yield _ratio(f"the same over {SYLLABUS}'s, {where}", 100, TIMES, ratio)


def _processes(measured: Measured) -> Iterator[Verdict]:
    found = measured.processes
    what = "updates of two processes on different tasks, over two that share nothing"
    yield _ratio(f"{what}: a task each", 0.9, RATIO, found.one_over_apart if found else None)
    yield _ratio(f"{what}: half of them each", 0.9, RATIO, found.over_apart if found else None)


def _training(measured: Measured) -> Iterator[Verdict]:
    speeds = [speed for speed in measured.training if speed.step_microseconds == 10]
    for speed in speeds:
        what = f"training loop, steps of 10 µs, {speed.workers} workers: on / off"
        yield _ratio(what, 0.99, RATIO, speed.ratio(ON))
        yield _ratio(f"{what}, by processor time", 0.99, RATIO, speed.processor_ratio(ON))
    if not speeds:
        yield _ratio("training loop, steps of 10 µs: on / off", 0.99, RATIO, None)


def _trainers(measured: Measured) -> Iterator[Verdict]:
    costs = measured.trainers.costs if measured.trainers else []
    for cost in costs:
        what = f"{cost.trainer}, {cost.workers} workers: on / off"
        yield _ratio(what, 0.99, RATIO, cost.ratio)
        yield _ratio(f"{what}, by processor time", 0.99, RATIO, cost.processor_ratio)
    if not costs:
        yield _ratio("trainers that people use: on / off", 0.99, RATIO, None)


def _memory() -> Verdict:
    with closing(Session(SMALL, Rules())) as small, closing(Session(LARGE, Rules())) as large:
        a_task = (large.nbytes - small.nbytes) / (LARGE - SMALL)
        fixed = small.nbytes - SMALL * a_task
    what = f"memory; besides, {fixed:,.0f} bytes that are fixed"
    return _at_most(what, 512, BYTES, (a_task, a_task))


def _at_most(what: str, limit: float, form: str, figures: tuple[float, float] | None) -> Verdict:
    """Of a median and the least."""
    return _verdict(what, f"<= {form.format(limit)}", form, figures, lambda value: value <= limit)


def _at_least(what: str, limit: float, form: str, figures: Figures | None) -> Verdict:
    both = (figures.median, max(figures.rounds)) if figures else None
    return _verdict(what, f">= {form.format(limit)}", form, both, lambda value: value >= limit)


def _ratio(what: str, limit: float, form: str, figures: Figures | None) -> Verdict:
    """Of the median's interval: the greatest ratio is that of the round with the most noise."""
    budget = f">= {form.format(limit)}"
    if figures is None:
        return Verdict(what, budget)
    low, high = figures.interval
    holds = "yes" if low >= limit else "**no**" if high < limit else "undecided"
    interval = f"{form.format(low)} to {form.format(high)}"
    return Verdict(what, budget, form.format(figures.median), interval, holds)


def _verdict(
    what: str,
    budget: str,
    form: str,
    figures: tuple[float, float] | None,
    within: Callable[[float], bool],
) -> Verdict:
    if figures is None:
        return Verdict(what, budget)
    median, best = figures
    holds = "yes" if within(median) else "in the best round" if within(best) else "**no**"
    return Verdict(what, budget, form.format(median), form.format(best), holds)
