"""What the commands of ``curricle train`` share: their options, the run, and its results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, get_args

import typer
from rich.console import Console

from curricle.cli_errors import INTERRUPTED, one_line_errors
from curricle.training.engine import engine_of
from curricle.training.live import ConsoleMonitor, label_table
from curricle.training.run_folder import create_folder, read_settings, write_settings
from curricle.training.run_length import RunLength
from curricle.training.settings import CurriculumName, EngineName, TrainSettings
from curricle.training.stopping import StopRequest
from curricle.training.summary import summarise, write_summary
from curricle.training.trainer import Result, train

DEFAULTS = TrainSettings()

#: What is said of the task sets, but for the published one, which differs between the engines.
TASK_SETS = (
    "Task set. default: chains of 1 to 4 in rooms of 5x5 to 9x9; long-chains: of 3 and 4 in rooms "
    "of 7x7 and 9x9;"
)
PUBLISHED = "published: of 2 to 4 in rooms of 7x7 and 9x9, one or two agents."

Processes = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=256,
        help="Worker processes, one environment each.",
        show_default=str(DEFAULTS.processes),
    ),
]
Drawing = Annotated[
    CurriculumName | None,
    typer.Option(
        metavar="NAME",
        help=f"How tasks are drawn: {', '.join(get_args(CurriculumName))}.",
        show_default=DEFAULTS.curriculum,
    ),
]
ImpossibleRatio = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=1.0,
        help="Share of tasks that nobody can solve.",
        show_default=str(DEFAULTS.impossible_ratio),
    ),
]
FreshRooms = Annotated[
    bool | None,
    typer.Option(
        "--fresh-rooms",
        help="Another room each episode, in place of one room for each task.",
        show_default=False,
    ),
]
Episodes = Annotated[
    int | None,
    typer.Option(
        min=1, help="Episodes in all processes together.", show_default=str(DEFAULTS.episodes)
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Environment steps in all processes together, after which the run ends in place of "
        "--episodes.",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=2**31 - 1,
        help="Seed of curriculum, environments and agent.",
        show_default=str(DEFAULTS.seed),
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        file_okay=False,
        help="Folder for summary, curve, checkpoint and pictures; new or empty.",
        show_default="a new one in runs",
    ),
]
Resume = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        file_okay=False,
        help="Go on with the run in this folder; --episodes, --steps and --processes may be new.",
    ),
]


def run_training(
    engine: EngineName,
    options: Mapping[str, object],
    out: Path | None,
    resume: Path | None,
    debug: bool,
) -> None:
    """Runs a command of ``curricle train``.

    Args:
        engine: who plays the tasks; the name of the command.
        options: settings by name, ``None`` where the option was not given.
        out: the folder of a new run; ``None`` makes one.
        resume: the folder of the run to go on with.
        debug: let errors through with their trace.

    Raises:
        typer.Exit: with 1 after an error, with 130 if the run was interrupted.
        typer.BadParameter: an option that a resumed run has its own value of, or both --episodes
            and --steps.
    """
    if options["episodes"] is not None and options["env_steps"] is not None:
        raise typer.BadParameter("give it or --episodes, not both", param_hint="'--steps'")
    changes = {name: value for name, value in options.items() if value is not None}
    if resume is not None:
        _refuse_changes_of_resumed_run(changes if out is None else {**changes, "out": out})
    console = Console()
    with one_line_errors(debug):
        finished = _run({**changes, "engine": engine}, out, resume, console)
    if not finished:
        raise typer.Exit(INTERRUPTED)


def _refuse_changes_of_resumed_run(changes: dict[str, object]) -> None:
    for name in sorted(changes.keys() - {"processes", "episodes", "env_steps"}):
        option = "--" + name.replace("_", "-")
        raise typer.BadParameter("the resumed run has its own", param_hint=f"'{option}'")


def _run(
    changes: dict[str, object], out: Path | None, resume: Path | None, console: Console
) -> bool:
    """Trains and writes the folder; ``False`` if the run was interrupted."""
    settings = TrainSettings.model_validate(changes)
    # Before anything is written: a missing engine leaves no folder behind.
    engine_of(settings.engine)
    if resume is None:
        folder = create_folder(out, settings)
    else:
        folder = resume
        begun = read_settings(folder)
        if begun.engine != settings.engine:
            raise ValueError(
                f"the run in {folder} is one of {begun.engine}; "
                f"go on with: curricle train {begun.engine} --resume {folder}"
            )
        if "episodes" in changes:
            changes["env_steps"] = None
        settings = TrainSettings.model_validate(begun.model_dump() | changes)
    length = RunLength.of(settings)
    stop = StopRequest()
    with stop.on_signals():
        with ConsoleMonitor(console, length) as monitor:
            result = train(settings, folder, monitor, stop, resume=resume is not None)
        write_settings(folder, settings)
        if not result.is_complete:
            console.print(
                f"stopped after {length.done(result.progress)} of {length.total} {length.unit}; "
                f"go on with: curricle train {settings.engine} --resume {folder}",
                highlight=False,
                soft_wrap=True,
            )
            return False
        _write_results(settings, result, folder, console)
    return True


def _write_results(settings: TrainSettings, result: Result, folder: Path, console: Console) -> None:
    summary = summarise(settings, result)
    write_summary(folder / "summary.json", summary)
    title = f"{engine_of(settings.engine).title}, {settings.curriculum}"
    # Later than the module, as in all commands: matplotlib takes longer than most of them.
    from curricle.plots import draw_run

    draw_run(folder, result.progress.curve, title=title)
    console.print(label_table(result.totals, result.success, max_rows=len(result.totals)))
    console.print(
        f"{summary['episodes']} episodes and {summary['env_steps']} steps in "
        f"{summary['seconds']:.1f} s ({summary['steps_per_second']:.0f} steps/s); success "
        f"{summary['success']:.2f}, least of a possible label {summary['least_success']:.2f}\n"
        f"results in {folder}",
        highlight=False,
        soft_wrap=True,
    )
