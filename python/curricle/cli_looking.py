"""``curricle show`` and ``curricle export``: what is in a session."""

from pathlib import Path
from typing import Annotated, Any

import typer

from curricle.cli_errors import Debug, one_line_errors
from curricle.cli_names import Json, Name, label_option
from curricle.cli_tables import print_label, print_session, print_task
from curricle.cli_values import output, print_json, size
from curricle.exporting import FORMATS, export
from curricle.looking import look_into
from curricle.overview import describe_label, describe_session, describe_task


def show(
    name: Name,
    task: Annotated[
        int | None,
        typer.Option(
            metavar="ID",
            help="One task: its record, and why it has its probability.",
            show_default=False,
        ),
    ] = None,
    label: Annotated[str | None, label_option("One label, and its tasks.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="Labels, or tasks of a label, at most.")] = 20,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show what is in a session: all of it, one label or one task.

    Totals, rules, how it is steered and by whom, and its labels by learning progress. Dead sessions
    can be looked at as well. Looking disturbs no session.
    """
    if task is not None and label is not None:
        raise typer.BadParameter("give it or --task, not both", param_hint="'--label'")
    found: dict[str, Any]
    with one_line_errors(debug):
        look = look_into(name)
        if task is not None:
            found = describe_task(look, task)
        elif label is not None:
            found = describe_label(look, label, rows)
        else:
            found = describe_session(look)
    if json:
        print_json(found)
    elif task is not None:
        print_task(output(), found)
    elif label is not None:
        print_label(output(), found)
    else:
        print_session(output(), found, rows)


def export_(
    name: Name,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help=f"The file; its suffix, one of {', '.join(FORMATS)}, says the format.",
            dir_okay=False,
            show_default=False,
        ),
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write all tasks of a session to a file, a row for each.

    Columns: task_id, label, every field of the record, the columns of an algorithm's own, and
    probability. The file appears complete or not at all. Parquet needs the extra "parquet".
    """
    with one_line_errors(debug):
        tasks, columns = export(look_into(name), file, force=force)
        written = file.stat().st_size
    if json:
        print_json({"file": str(file), "tasks": tasks, "columns": columns, "bytes": written})
    else:
        output().print(
            f"{tasks:,} tasks, {columns} columns, {size(written)} in {file}",
            markup=False,
            soft_wrap=True,
        )
