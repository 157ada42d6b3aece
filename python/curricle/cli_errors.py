"""How a command ends when something goes wrong that is not its own fault."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from curricle.errors import CurricleError

INTERRUPTED = 130


@contextmanager
def one_line_errors(debug: bool = False) -> Iterator[None]:
    """Ends the command with one line and exit code 1; ``debug`` shows the trace instead."""
    try:
        yield
    except (CurricleError, ModuleNotFoundError, OSError, ValueError) as error:
        if debug:
            raise
        Console(stderr=True, soft_wrap=True).print("[red]error:[/]", error, highlight=False)
        raise typer.Exit(1) from error
