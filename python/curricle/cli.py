"""The command line: ``curricle``."""

import sys
from pathlib import Path
from typing import Annotated

try:
    import typer
    from rich.console import Console

    from curricle.cli_simulate import app as simulate_app
    from curricle.plots import draw_run
    from curricle.training.live import ConsoleMonitor, label_table
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("typer", "rich", "matplotlib"):
        raise
    sys.exit(f"curricle: {error.name} is missing; install it with: pip install 'curricle[cli]'")

from curricle.cli_errors import INTERRUPTED, one_line_errors
from curricle.cli_recipe import recipe_app
from curricle.compat.conversion import convert
from curricle.training.run_folder import create_folder, read_settings, write_settings
from curricle.training.settings import CurriculumName, TaskSet, TrainSettings
from curricle.training.stopping import StopRequest
from curricle.training.summary import summarise, write_summary
from curricle.training.trainer import Result, train

DEFAULTS = TrainSettings()

app = typer.Typer(
    help="The curriculum engine for reinforcement learning.",
    # A docstring's paragraphs are filled, not broken where its lines end.
    rich_markup_mode="markdown",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
train_app = typer.Typer(help="Built-in training jobs.", no_args_is_help=True)
app.add_typer(train_app, name="train")
app.add_typer(simulate_app, name="simulate")
app.add_typer(recipe_app, name="recipe")


@app.callback()
def _root() -> None:
    """The curriculum engine for reinforcement learning."""


@train_app.command("assembly-lines")
def assembly_lines(
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=256,
            help="Worker processes, one environment each.",
            show_default=str(DEFAULTS.processes),
        ),
    ] = None,
    curriculum: Annotated[
        CurriculumName | None,
        typer.Option(help="How tasks are drawn.", show_default=DEFAULTS.curriculum),
    ] = None,
    tasks: Annotated[
        TaskSet | None,
        typer.Option(
            help="The task set; the published one has one or two agents and chains of 2 to 4.",
            show_default=DEFAULTS.tasks,
        ),
    ] = None,
    impossible_ratio: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Share of tasks that nobody can solve.",
            show_default=str(DEFAULTS.impossible_ratio),
        ),
    ] = None,
    episodes: Annotated[
        int | None,
        typer.Option(
            min=1, help="Episodes in all processes together.", show_default=str(DEFAULTS.episodes)
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**31 - 1,
            help="Seed of curriculum, environments and agent.",
            show_default=str(DEFAULTS.seed),
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            help="Folder for summary, curve, checkpoint and pictures; new or empty.",
            show_default="runs/assembly-lines-CURRICULUM-TIME",
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Go on with the run in this folder; --episodes and --processes may be new.",
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of an error.")] = False,
) -> None:
    """Train a small agent on chains of assemblers.

    The agent turns ore into a heart by using assemblers in the right order. Chains of 1 to 4
    assemblers, rooms from 5x5 to 9x9, up to one sink, and some tasks that cannot be solved: a
    curriculum by learning progress spends its episodes where the agent is learning. Ctrl-C writes
    a checkpoint and ends the run; --resume goes on with it.
    """
    given = {
        "processes": processes,
        "curriculum": curriculum,
        "tasks": tasks,
        "impossible_ratio": impossible_ratio,
        "episodes": episodes,
        "seed": seed,
    }
    changes: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    if resume is not None:
        _refuse_changes_of_resumed_run(changes if out is None else {**changes, "out": out})
    console = Console()
    with one_line_errors(debug):
        finished = _run(changes, out, resume, console)
    if not finished:
        raise typer.Exit(INTERRUPTED)


@app.command("convert-state")
def convert_state(
    source: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="State dict as JSON, or checkpoint.")
    ],
    target: Annotated[Path, typer.Argument(help="New file: the checkpoint, or the JSON.")],
) -> None:
    """Convert an earlier tracker's state dict to a checkpoint, or a checkpoint to a state dict."""
    with one_line_errors():
        tasks = convert(source, target)
    Console(soft_wrap=True).print(f"{tasks} tasks in {target}", highlight=False)


def _refuse_changes_of_resumed_run(changes: dict[str, object]) -> None:
    for name in sorted(changes.keys() - {"processes", "episodes"}):
        option = "--" + name.replace("_", "-")
        raise typer.BadParameter("the resumed run has its own", param_hint=f"'{option}'")


def _run(
    changes: dict[str, object], out: Path | None, resume: Path | None, console: Console
) -> bool:
    """Trains and writes the folder; ``False`` if the run was interrupted."""
    if resume is None:
        settings = TrainSettings.model_validate(changes)
        folder = create_folder(out, settings)
    else:
        folder = resume
        settings = TrainSettings.model_validate(read_settings(folder).model_dump() | changes)
    stop = StopRequest()
    with stop.on_signals():
        with ConsoleMonitor(console, settings.episodes) as monitor:
            result = train(settings, folder, monitor, stop, resume=resume is not None)
        write_settings(folder, settings)
        if not result.is_complete:
            console.print(
                f"stopped after {result.progress.episodes} of {settings.episodes} episodes; "
                f"go on with: curricle train assembly-lines --resume {folder}",
                highlight=False,
                soft_wrap=True,
            )
            return False
        _write_results(settings, result, folder, console)
    return True


def _write_results(settings: TrainSettings, result: Result, folder: Path, console: Console) -> None:
    summary = summarise(settings, result)
    write_summary(folder / "summary.json", summary)
    draw_run(folder, result.progress.curve, title=f"Assembly lines, {settings.curriculum}")
    console.print(label_table(result.totals, result.success, max_rows=len(result.totals)))
    console.print(
        f"{summary['episodes']} episodes and {summary['env_steps']} steps in "
        f"{summary['seconds']:.1f} s ({summary['steps_per_second']:.0f} steps/s); success "
        f"{summary['success']:.2f}, least of a possible label {summary['least_success']:.2f}\n"
        f"results in {folder}",
        highlight=False,
        soft_wrap=True,
    )


def main() -> None:
    """Runs the command line."""
    app()


if __name__ == "__main__":
    main()
