"""The text of ``benches/RESULTS.md``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from benches.budgets import SYLLABUS, verdicts
from benches.call_costs import CallFigures
from benches.core_costs import CoreCost, span
from benches.markdown import markdown_table
from benches.measured import Measured
from benches.peers.calls import CallCost
from benches.peers.curricle_peer import CurriclePeer
from benches.peers.throughput import NO_CURRICULUM, Throughput
from benches.slower import slower
from benches.timing import Figures
from benches.trainers.pairs import TrainerCosts
from benches.training_loop import (
    EPISODE_STEPS,
    LABELS,
    METRICS,
    METRICS_EVERY,
    OFF,
    ON,
    TASKS,
    LoopSpeed,
)
from benches.two_processes import TwoProcesses

OURS = CurriclePeer.name
# Of version 0.7, which the extra `peers` names.
_FEEDER = """
With one worker, and often with two, syllabus-rl waits for a pause to end: the thread that hands out
its tasks sleeps 0.01 s each time that it finds no message (`_update_queues` in
`syllabus/core/curriculum_sync_wrapper.py`), and so few workers, each of which waits for a task
before it sends more, leave it none.
"""
_Figures = TypeVar("_Figures")


def page(measured: Measured) -> str:
    """The whole page, in Markdown; its pictures are in ``pictures/`` beside it."""
    parts = [
        _beginning(measured),
        _budgets(measured),
        "## Beside others: one process",
        _or_why(measured, "peers", measured.peers, peer_costs),
        "## Beside others: worker processes",
        _or_why(measured, "workers", measured.workers, throughputs),
        "## A training loop",
        _or_why(measured, "training", measured.training, training),
        "## Trainers",
        _or_why(measured, "trainers", measured.trainers, trainers),
        "## Two processes on one session",
        _or_why(measured, "processes", measured.processes, two_processes),
        "## All calls from Python",
        _or_why(measured, "calls", measured.calls, calls),
        "## The core alone",
        _or_why(measured, "core", measured.core, core),
    ]
    return "\n\n".join(parts) + "\n"


def _beginning(measured: Measured) -> str:
    facts = [f"- {line}" for line in measured.machine]
    when = [
        f"- {part}: {said}; {measured.commits.get(part, 'commit not kept')}"
        for part, said in measured.when.items()
    ]
    lines = [
        "# Results of the benches",
        "",
        *(
            ["**A quick run, to see that the benches run: no figure here means anything.**", ""]
            if measured.quick
            else []
        ),
        "Made by `python -m benches.results`; do not edit. Machines differ and are noisy: ratios",
        "of figures from one run are the result, not the times. A ratio is the median of the",
        "rounds' ratios, as what is compared takes turns in each round, if nothing else is said.",
        "The 95% interval of a median is found by bootstrap over the rounds.",
        "",
        *facts,
        "",
        "Measured on this machine at these load averages, the benches' own processes among them,",
        "in a checkout of these commits:",
        "",
        *when,
    ]
    if measured.failed:
        lines += ["", "Failed, and so left out:", ""]
        lines += [f"- {what}: {why}" for what, why in measured.failed.items()]
    if measured.missing:
        lines += ["", "Not compared with, as they could not be imported:", ""]
        lines += [f"- {name}: {why}" for name, why in measured.missing.items()]
    return "\n".join(lines)


def _budgets(measured: Measured) -> str:
    table = markdown_table(
        ["from Python", "budget", "median", "best round, or 95% interval", "holds"],
        verdicts(measured),
    )
    return f"""## Budgets

The medians are held against the budgets. Where only the best round is within, other work on the
machine may be the reason. A ratio holds, or does not, where its whole 95% interval says so; else it
is undecided. How far a draw's cost grows but for cache misses is told by the instructions that
[NOTES.md](NOTES.md) counts.

{table}"""


def _or_why(
    measured: Measured, part: str, figures: _Figures | None, section: Callable[[_Figures], str]
) -> str:
    """A section, or why there is none."""
    if figures:
        return section(figures)
    return f"Not measured. {measured.failed.get(part, '')}".rstrip()


def peer_costs(costs: Sequence[CallCost]) -> str:
    """A row for each operation and number of tasks; what a peer costs, and over ours."""
    peers = list(dict.fromkeys(row.peer for row in costs))
    peers.remove(OURS)
    found = {(row.operation, row.tasks, row.peer): row.seconds for row in costs}
    rows = []
    # By operation, as each is a question of its own.
    for operation in dict.fromkeys(row.operation for row in costs):
        for tasks in sorted({row.tasks for row in costs if row.operation == operation}):
            ours = found[operation, tasks, OURS]
            least, most = ours.range
            cells = [f"{operation}, {tasks:,}"]
            cells.append(f"{time(ours.median)} ({time(least)} to {time(most)})")
            for peer in peers:
                theirs = found.get((operation, tasks, peer))
                cells.append(
                    f"{time(theirs.median)} ({ratio(theirs.over(ours).median)})" if theirs else ""
                )
            rows.append(cells)
    rounds = len(costs[0].seconds.rounds)
    return f"""The median of {rounds} rounds (for Curricle, least to greatest), a task where a call
handles many, and how many times Curricle's it is. Curricle's draw hands out the task itself and a
ticket that counts once; TorchRL's hands out an index, and its update stores a priority without
statistics. Scores of all tasks: the distribution of draws, after an evaluation for syllabus-rl.

{slower(costs)}

{markdown_table(["operation, tasks", OURS, *peers], rows)}

![Cost of a draw, an update and the scores of all tasks against their number](pictures/costs.png)"""


def throughputs(rows: Sequence[Throughput]) -> str:
    """A row for each peer and number of tasks, a column a number of workers."""
    counts = sorted({row.workers for row in rows})
    found = {(row.peer, row.tasks, row.workers): row.episodes for row in rows}
    lines = []
    for peer, tasks in dict.fromkeys((row.peer, row.tasks) for row in rows):
        cells = [peer if peer == NO_CURRICULUM else f"{peer}, {tasks:,} tasks"]
        cells += [_rate(found.get((peer, tasks, count))) for count in counts]
        ours, theirs = (found.get((name, tasks, counts[-1])) for name in (OURS, peer))
        over = ratio(ours.over(theirs).median) if ours and theirs and peer != OURS else ""
        lines.append([*cells, over])
    header = ["episodes a second, all workers", *(_workers(count) for count in counts)]
    table = markdown_table([*header, f"Curricle over it, {_workers(counts[-1])}"], lines)
    rounds = len(rows[0].episodes.rounds)
    feeder = _FEEDER if any(row.peer == SYLLABUS for row in rows) else ""
    return f"""Workers that only reset, step once and report; the median of {rounds} rounds (least
to greatest), and the ratio. The sampler of TorchRL lives in one process. syllabus-rl counts
episodes for their tasks only with `change_task_on_completion=True`, for which an episode takes two
messages and two tasks; without, it is faster and learns nothing of its tasks.
{feeder}
{table}

![Episodes a second against the number of worker processes](pictures/throughput.png)"""


def training(speeds: Sequence[LoopSpeed]) -> str:
    """A row for each number of workers and cost of a step."""
    rows = []
    for speed in speeds:
        cells = [f"{_workers(speed.workers)}, {speed.step_microseconds} µs"]
        cells += [str(len(speed.steps[OFF].rounds)), f"{speed.steps[OFF].median:,.0f}"]
        for arm in (ON, METRICS):
            for figures in (speed.ratio(arm), speed.processor_ratio(arm)):
                cells.append(_with_interval(figures))
        rows.append(cells)
    header = ["workers, step", "rounds", "steps a second, off", "on / off", "by processor time"]
    table = markdown_table([*header, "metrics on / off", "by processor time"], rows)
    return f"""`AsyncVectorEnv`, episodes of {EPISODE_STEPS} steps, {TASKS:,} tasks with {LABELS}
labels, per-label metrics at every {METRICS_EVERY}th episode of a worker. Ratios, with the 95%
interval of the median, of steps a second by the wall clock, and by the processor time of all
processes. The whiskers of the picture are the 95% intervals of the medians that are its bars.

{table}

![Steps a second with the curriculum off, on, and with metrics](pictures/training_loop.png)"""


def trainers(found: TrainerCosts) -> str:
    """A row for each trainer that could be measured, and a line about the others."""
    lines = []
    if found.costs:
        rows = []
        for cost in found.costs:
            cells = [cost.trainer, str(cost.workers), str(cost.lines), str(len(cost.on.rounds))]
            cells += [f"{cost.off.median:,.0f}", _with_interval(cost.ratio)]
            rows.append([*cells, _with_interval(cost.processor_ratio)])
        header = ["trainer", "workers", "lines to add", "pairs", "steps a second, off", "on / off"]
        table = markdown_table([*header, "by processor time"], rows)
        lines.append(f"""Rollouts and their training, by turns with the curriculum, wrapped and
logged as in [docs/integrations.md](../docs/integrations.md), and without. All of its {TASKS:,}
tasks are alike and the policy does not learn, so that both arms do the same work, with short
episodes. Ratios, with the 95% interval of the median, of steps a second by the wall clock, and by
the processor time of the learner and its workers; where these wait at full load, as PufferLib's do,
the latter has the waiting in it. Lines to add are those of the example that name the curriculum or
what is there for it: wrapping, logging, saving, loading and closing, and not the tasks.

{table}""")
    if found.missing:
        left_out = "; ".join(f"{title} ({why})" for title, why in found.missing.items())
        lines.append(f"Not measured, as they cannot be imported: {left_out}.")
    return "\n\n".join(lines)


def two_processes(found: TwoProcesses) -> str:
    """A row for each way to run."""
    rows = []
    for what, rate, over in (
        ("one process alone", found.alone, None),
        ("two, each on a session of its own", found.apart, None),
        ("two on one session, half of the tasks each", found.together, found.over_apart),
        ("two, each on a task of a session of its own", found.one_apart, None),
        ("two on one session, a task each", found.one_together, found.one_over_apart),
    ):
        cells = [what, _rate(rate)]
        cells.append("" if over is None else _with_interval(over))
        rows.append(cells)
    table = markdown_table(["updates, one at a time", "a second, in all", "over two apart"], rows)
    rounds = len(found.alone.rounds)
    return f"""The median of {rounds} rounds (least to greatest), on tasks at random where nothing
else is said, and ratios with the 95% interval of the median. Two processes on one session, with
half of the tasks each, make {_with_interval(found.over_alone)} times the updates of one alone: all
tasks are under sixteen locks, and what is under a lock goes from core to core.

{table}"""


def calls(figures: Sequence[CallFigures]) -> str:
    """A row for each call, with the sizes of the session side by side."""
    cells = {(f"{row.group}: {row.call}", row.tasks): _call_cell(row) for row in figures}
    return f"""By pytest-benchmark: median ± interquartile range of its rounds, and the least; a
task where a call handles many. Random tasks come from 100,000 that are asked for in turn.

{by_size("from Python", cells)}"""


def core(costs: Sequence[CoreCost]) -> str:
    """A row for each call, a column a number of tasks."""
    cells = {(f"{row.group}: {row.call}", row.tasks): _core_cell(row) for row in costs}
    return f"""By `cargo bench --bench tracker`, {span(costs)}: median and its 95%
confidence interval, a task where a call handles many. What contention, reads under a writer,
growth and scale cost is in [NOTES.md](NOTES.md).

{by_size("in Rust", cells)}"""


def by_size(what: str, cells: Mapping[tuple[str, int | None], str]) -> str:
    """A row for each call, a column for each number of tasks and one for calls without."""
    sizes = sorted({tasks for _, tasks in cells if tasks is not None})
    columns: list[int | None] = [*sizes, *([None] if any(t is None for _, t in cells) else [])]
    rows = [
        [call, *(cells.get((call, size), "") for size in columns)]
        for call in dict.fromkeys(call for call, _ in cells)
    ]
    header = ["any number" if size is None else f"{size:,} tasks" for size in columns]
    return markdown_table([what, *header], rows)


def _call_cell(row: CallFigures) -> str:
    return f"{time(row.median)} ± {time(row.spread)}, least {time(row.least)}"


def _core_cell(row: CoreCost) -> str:
    return f"{time(row.median)} ({time(row.low)} to {time(row.high)})"


def time(seconds: float) -> str:
    """Three digits, with the unit that they need."""
    for factor, unit in ((1e9, "ns"), (1e6, "µs"), (1e3, "ms")):
        if seconds * factor < 999.5:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"


def ratio(value: float) -> str:
    """Two digits, or a whole number."""
    return f"{value:.2g}x" if value < 9.95 else f"{value:,.0f}x"


def _with_interval(figures: Figures) -> str:
    low, high = figures.interval
    return f"{figures.median:.3f} ({low:.3f} to {high:.3f})"


def _rate(figures: Figures | None) -> str:
    if figures is None:
        return ""
    least, most = figures.range
    return f"{figures.median:,.0f} ({least:,.0f} to {most:,.0f})"


def _workers(count: int) -> str:
    return f"{count} worker{'s' * (count > 1)}"
