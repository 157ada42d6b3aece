"""``curricle top``."""

import os
import sys
from contextlib import closing
from typing import Annotated

import typer

from curricle.cli_errors import Debug, one_line_errors
from curricle.cli_names import session_argument
from curricle.extras import need_extra
from curricle.top.finding import find


def top(
    name: Annotated[
        str | None,
        session_argument(
            "Name of a session, or path of its file; the live one where there is only one."
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Watch a running session: what is drawn, what is learned, who steers it.

    A look takes no lock, and the view gives way to whoever else wants its core (nice 19). It
    outlives the session; ? in it lists the keys. Without a terminal that can show it, or to a pipe,
    it writes one snapshot as text.
    """
    with one_line_errors(debug):
        session, called = find(name)
        with closing(session):
            smart = os.environ.get("TERM", "dumb") != "dumb"
            if not (smart and sys.stdin.isatty() and sys.stdout.isatty()):
                from curricle.top.plain import snapshot

                typer.echo(snapshot(session, called))
                return
            need_extra("curricle top", "cli", "textual")
            from curricle.top.app import Top

            # Where both want the same core, the trainer goes first.
            os.nice(19)
            Top(session, called).run()
