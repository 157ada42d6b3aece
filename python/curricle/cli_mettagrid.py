"""``curricle train mettagrid-assembly-lines``: the same training job in the MettaGrid engine."""

from typing import Annotated

import typer

from curricle.cli_errors import Debug
from curricle.cli_training import (
    DEFAULTS,
    TASK_SETS,
    Drawing,
    Episodes,
    FreshRooms,
    ImpossibleRatio,
    Out,
    Processes,
    Resume,
    Seed,
    Steps,
    run_training,
)
from curricle.training.settings import TaskSet


def mettagrid_assembly_lines(
    processes: Processes = None,
    curriculum: Drawing = None,
    tasks: Annotated[
        TaskSet | None,
        typer.Option(
            help=f"{TASK_SETS} published: of 2 to 4 in rooms of 12x12 and 18x18.",
            show_default=DEFAULTS.tasks,
        ),
    ] = None,
    impossible_ratio: ImpossibleRatio = None,
    fresh_rooms: FreshRooms = None,
    episodes: Episodes = None,
    steps: Steps = None,
    seed: Seed = None,
    out: Out = None,
    resume: Resume = None,
    debug: Debug = False,
) -> None:
    """Train a small agent on chains of assemblers in MettaGrid.

    The tasks of `curricle train assembly-lines`, stepped by the compiled MettaGrid engine, which
    shows the agent what is at most 7 cells away. It comes with the extra "mettagrid".
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
    run_training("mettagrid-assembly-lines", options, out, resume, debug)
