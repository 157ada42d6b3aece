"""The command line: ``curricle``."""

import sys
from pathlib import Path
from typing import Annotated

try:
    import typer
    from rich.console import Console

    from curricle import cli_training as training
    from curricle.cli_errors import Debug, one_line_errors, print_error
    from curricle.cli_mettagrid import mettagrid_assembly_lines
    from curricle.cli_simulate import app as simulate_app
    from curricle.extras import need_extra

    # Imported where a picture is drawn, after an hour of training maybe.
    need_extra("curricle", "cli", "matplotlib")
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("typer", "rich", "matplotlib"):
        raise
    sys.exit(f"curricle: {error.name} is missing; install it with: pip install 'curricle[cli]'")

from curricle.cli_looking import export_, show
from curricle.cli_recipe import recipe_app
from curricle.cli_report import report
from curricle.cli_sessions import ls, rm
from curricle.cli_steering import set_
from curricle.cli_top import top
from curricle.compat.conversion import convert
from curricle.training.settings import TaskSet

app = typer.Typer(
    help="The curriculum engine for reinforcement learning.",
    # A docstring's paragraphs are filled, not broken where its lines end.
    rich_markup_mode="markdown",
    no_args_is_help=True,
    epilog="Exit codes: 0 done, 1 error (a line; --debug shows its trace), 2 wrong usage, "
    "130 interrupted. Looks at running sessions: docs/looking.md.",
    pretty_exceptions_enable=False,
)
train_app = typer.Typer(help="Built-in training jobs.", no_args_is_help=True)
app.add_typer(train_app, name="train")
train_app.command("mettagrid-assembly-lines")(mettagrid_assembly_lines)
app.add_typer(simulate_app, name="simulate")
app.add_typer(recipe_app, name="recipe")
app.command("report")(report)
app.command("ls", epilog="Example: curricle ls --json")(ls)
app.command("rm", epilog="Examples: curricle rm run-1 run-2; curricle rm --dead")(rm)
app.command("show", epilog="Examples: curricle show run-1; curricle show run-1 --task 7 --json")(
    show
)
app.command(
    "set",
    epilog="Examples: curricle set run-1 --min-share easy=0.05 --ban broken; "
    "curricle set run-1 --freeze",
)(set_)
app.command("export", epilog="Example: curricle export run-1 tasks.csv")(export_)
app.command("top")(top)


@app.callback()
def _root() -> None:
    """The curriculum engine for reinforcement learning."""


@train_app.command("assembly-lines")
def assembly_lines(
    processes: training.Processes = None,
    curriculum: training.Drawing = None,
    tasks: Annotated[
        TaskSet | None,
        typer.Option(
            help=f"{training.TASK_SETS} {training.PUBLISHED}",
            show_default=training.DEFAULTS.tasks,
        ),
    ] = None,
    impossible_ratio: training.ImpossibleRatio = None,
    fresh_rooms: training.FreshRooms = None,
    episodes: training.Episodes = None,
    steps: training.Steps = None,
    seed: training.Seed = None,
    out: training.Out = None,
    resume: training.Resume = None,
    debug: Debug = False,
) -> None:
    """Train a small agent on chains of assemblers.

    The agent turns ore into a heart by using assemblers in the right order. Chains and rooms
    differ, there is up to one sink, and some tasks cannot be solved: a curriculum by learning
    progress spends its episodes where the agent is learning. Ctrl-C writes a checkpoint and ends
    the run; --resume goes on with it.
    """
    options = {
        "processes": processes,
        "curriculum": curriculum,
        "tasks": tasks,
        "impossible_ratio": impossible_ratio,
        "fresh_rooms": fresh_rooms,
        "episodes": episodes,
        "env_steps": steps,
        "seed": seed,
    }
    training.run_training("assembly-lines", options, out, resume, debug)


@app.command("convert-state")
def convert_state(
    source: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="State dict as JSON, or checkpoint.")
    ],
    target: Annotated[Path, typer.Argument(help="New file: the checkpoint, or the JSON.")],
    debug: Debug = False,
) -> None:
    """Convert a state dict of an earlier tracker to a checkpoint, or back."""
    with one_line_errors(debug):
        tasks = convert(source, target)
    Console(soft_wrap=True).print(f"{tasks} tasks in {target}", highlight=False)


def main() -> None:
    """Runs the command line."""
    try:
        app()
    except OSError as error:
        # The terminal or the file that the output goes to.
        if "--debug" in sys.argv:
            raise
        print_error(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
