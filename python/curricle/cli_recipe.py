"""The command line: ``curricle recipe``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, get_args

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from curricle.cli_errors import INTERRUPTED, Debug, one_line_errors
from curricle.cli_training import PUBLISHED, TASK_SETS
from curricle.recipes.impossible import Family, label_figures, late_share, run_arm, uniform_share
from curricle.recipes.report import Run, legend, outcome_table, outcomes, write_json
from curricle.training.checkpoint import Progress
from curricle.training.run_folder import require_empty
from curricle.training.settings import (
    Backend,
    CurriculumName,
    ProgressName,
    TaskSet,
    TrainSettings,
)
from curricle.training.stopping import StopRequest

EPISODES = 2500
RATIO = 0.1
# Some thirty scores a task: with fewer, too little is known of each to tell learning from noise.
POOL_SIZE = 80

recipe_app = typer.Typer(
    help="Trainings that check what a curriculum is for.", no_args_is_help=True
)


@recipe_app.callback()
def _root() -> None:
    """Trainings that check what a curriculum is for."""


@recipe_app.command("impossible")
def impossible(
    curriculum: Annotated[
        ProgressName | None,
        typer.Option(
            metavar="NAME",
            help=f"What is put to the checks: {', '.join(get_args(ProgressName))}.",
            show_default="learning-progress; noise-aware with --noisy",
        ),
    ] = None,
    noisy: Annotated[
        bool,
        typer.Option("--noisy", help="With a probability of 10%, a task's reward is a coin's."),
    ] = False,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=256,
            help="Worker processes, one environment each.",
            show_default="4; 1 with --backend local",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Runs of each arm.")] = 3,
    backend: Annotated[
        Backend,
        typer.Option(help="Shared memory, or one process without it and with 4 environments."),
    ] = "shared",
    tasks: Annotated[
        TaskSet,
        typer.Option(help=f"{TASK_SETS} {PUBLISHED}"),
    ] = "long-chains",
    episodes: Annotated[
        int,
        typer.Option(
            min=300,
            help="Episodes of each run; with fewer than 2000 too little is known of each task.",
        ),
    ] = EPISODES,
    out: Annotated[
        Path | None,
        typer.Option(
            file_okay=False, help="Folder for impossible.json and impossible.png; new or empty."
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Check that tasks on which nothing can be learned do not fool the curriculum.

    Trains on 80 tasks of the assembly lines, each impossible with a probability of 10%, under the
    curriculum and with uniform draws, each with several seeds, and checks draws, reward and
    learning progress of the impossible tasks. The curriculum must pass every check. Uniform draws
    must fail the one on the share of draws; with a learning progress of 0 in place of their own
    they must fail the ones on learning progress. The exit code is 1 if anything comes out
    otherwise.
    """
    if backend == "local" and processes not in (None, 1):
        raise typer.BadParameter(
            "--backend local is one process; leave this out", param_hint="'--processes'"
        )
    families: list[Family] = ["impossible", "noisy"] if noisy else ["impossible"]
    console = Console(highlight=False)
    stop = StopRequest()
    with one_line_errors(debug):
        settings = TrainSettings(
            tasks=tasks,
            backend=backend,
            processes=processes or (1 if backend == "local" else 4),
            episodes=episodes,
            impossible_ratio=RATIO,
            noisy_ratio=RATIO if noisy else 0.0,
            pool_size=POOL_SIZE,
        )
        if out is not None:
            require_empty(out, "take another --out")
        with stop.on_signals():
            arms: tuple[CurriculumName, ...] = (
                curriculum or ("noise-aware" if noisy else "learning-progress"),
                "uniform",
            )
            runs = _run_all(settings, arms, range(seeds), families, console, stop)
        if runs is None:
            console.print("stopped; nothing was checked")
            raise typer.Exit(INTERRUPTED)
        found = outcomes(runs, families)
        for outcome in found:
            console.print(f"\n[bold]{outcome.duty}[/]", soft_wrap=True)
            console.print(outcome_table(outcome))
        console.print(f"\n{legend()}\n", soft_wrap=True)
        for outcome in found:
            colour = "green" if outcome.holds else "red"
            console.print(f"[{colour}]{outcome.verdict}[/]", soft_wrap=True)
        if out is not None:
            write_json(out / "impossible.json", runs, found)
            from curricle.recipes.picture import draw_recipe

            draw_recipe(out / "impossible.png", runs, families)
            console.print(f"results in {out}", soft_wrap=True)
    if not all(outcome.holds for outcome in found):
        raise typer.Exit(1)


def _run_all(
    settings: TrainSettings,
    arms: Sequence[CurriculumName],
    seeds: Sequence[int],
    families: Sequence[Family],
    console: Console,
    stop: StopRequest,
) -> list[Run] | None:
    """Trains all arms with every seed; ``None`` if it was stopped."""
    runs = []
    for seed in seeds:
        for curriculum in arms:
            arm = settings.model_copy(update={"curriculum": curriculum, "seed": seed})
            with _bar(console) as bar:
                result = run_arm(arm, _BarMonitor(bar, arm), stop)
            if not result.is_complete:
                return None
            progress = result.progress
            labels = label_figures(result, arm.episodes)
            runs.append(Run(arm, progress.seconds, progress.curve, labels))
            shares = ", ".join(
                f"{late_share(labels, family):.1%} on {family} tasks "
                f"({uniform_share(labels, family):.1%} of the pool)"
                for family in families
            )
            console.print(
                f"{curriculum}, seed {seed}: {progress.episodes} episodes in "
                f"{progress.seconds:.0f} s; of the later draws {shares}",
                soft_wrap=True,
            )
    return runs


def _bar(console: Console) -> ProgressBar:
    return ProgressBar(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


class _BarMonitor:
    """Shows a run as a bar."""

    def __init__(self, bar: ProgressBar, settings: TrainSettings) -> None:
        self._bar = bar
        name = f"{settings.curriculum}, seed {settings.seed}"
        self._task = bar.add_task(name, total=settings.episodes)

    def show(self, progress: Progress, totals: Mapping[str, Mapping[str, float]]) -> None:
        self._bar.update(self._task, completed=progress.episodes)
