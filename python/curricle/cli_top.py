"""``curricle top``."""

import os
import sys
from contextlib import closing
from typing import Annotated

import typer

from curricle.cli_errors import Debug, one_line_errors
from curricle.top.finding import find


def top(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Name of a session, or path of its file; the live one where there is only one.",
            show_default=False,
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Watch a running session: what is drawn, what is learned, who steers it.

    A look takes no lock and slows nobody. The view outlives the session; ? in it lists the keys.
    Without a terminal that can show it, or to a pipe, it writes one snapshot as text.
    """
    with one_line_errors(debug):
        session, called = find(name)
        with closing(session):
            smart = os.environ.get("TERM", "dumb") != "dumb"
            if not (smart and sys.stdin.isatty() and sys.stdout.isatty()):
                from curricle.top.plain import snapshot

                typer.echo(snapshot(session, called))
                return
            try:
                from curricle.top.app import Top
            except ModuleNotFoundError as error:
                if (error.name or "").partition(".")[0] != "textual":
                    raise
                raise ModuleNotFoundError(
                    "textual is missing; install it with: pip install 'curricle[cli]'"
                ) from error
            Top(session, called).run()
