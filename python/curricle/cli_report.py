"""The command line: ``curricle report``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from curricle.cli_errors import one_line_errors


def report(
    folder: Annotated[
        Path,
        typer.Argument(help="Folder of a run, or a log in it.", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The file.", show_default="report.html in the folder"),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of an error.")] = False,
) -> None:
    """Write one HTML file about a run: figures, settings, labels and tasks.

    The folder is that of a run of `curricle train`, running or ended, or one with a log of a
    JsonlLogger or a CsvLogger. The tasks are those of the latest checkpoint of the session in it.
    The file needs no other and no network. A report that is there is replaced, another file is not.
    """
    with one_line_errors(debug):
        try:
            from curricle.report import write_report
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "jinja2":
                raise
            raise ModuleNotFoundError(
                "jinja2 is missing; install it with: pip install 'curricle[report]'",
                name=error.name,
            ) from error
        written = write_report(folder, out)
        for note in written.notes:
            Console(stderr=True, soft_wrap=True).print(note, highlight=False, markup=False)
        Console(soft_wrap=True).print(
            f"{written.path}: {written.size / 1000:,.0f} kB", highlight=False, markup=False
        )
