"""The command line: ``curricle report``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from curricle.cli_errors import Debug, one_line_errors
from curricle.extras import need_extra


def report(
    folder: Annotated[
        Path,
        typer.Argument(help="Folder of a run, or a log in it.", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The file.", show_default="report.html in the folder"),
    ] = None,
    debug: Debug = False,
) -> None:
    """Write one HTML file about a run: figures, settings, labels and tasks.

    The folder is that of a run of `curricle train`, running or ended, or one with a log of a
    JsonlLogger or a CsvLogger. The tasks are those of the latest checkpoint of the session in it.
    The file needs no other and no network. A report that is there is replaced, another file is not.
    """
    with one_line_errors(debug):
        need_extra("curricle report", "report", "jinja2")
        from curricle.report import write_report

        written = write_report(folder, out)
        for note in written.notes:
            Console(stderr=True, soft_wrap=True).print(note, highlight=False, markup=False)
        Console(soft_wrap=True).print(
            f"{written.path}: {written.size / 1000:,.0f} kB", highlight=False, markup=False
        )
