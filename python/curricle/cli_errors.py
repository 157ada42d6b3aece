"""How a command ends when something goes wrong that is not its own fault."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from curricle.errors import CurricleError

INTERRUPTED = 130

Debug = Annotated[bool, typer.Option("--debug", help="Show the trace of an error.")]


@contextmanager
def one_line_errors(debug: bool = False) -> Iterator[None]:
    """Ends the command with one line and exit code 1; ``debug`` shows the trace instead."""
    try:
        yield
    except (CurricleError, ModuleNotFoundError, OSError, ValueError) as error:
        # Nobody reads any more: typer ends without a word.
        if debug or isinstance(error, BrokenPipeError):
            raise
        print_error(error)
        raise typer.Exit(1) from error


def print_error(error: Exception) -> None:
    """Prints the line of an error, for a command that goes on."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    # A message has names and labels of users: no markup.
    text = str(error)
    if isinstance(error, OSError) and not isinstance(error, CurricleError) and error.strerror:
        where = "" if error.filename is None else f"{error.filename}: "
        text = f"{where}{error.strerror.lower()}"
    console.print("[red]error:[/]", Text(" ".join(text.splitlines())))
