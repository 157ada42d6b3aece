"""The argument that names a session, and what a shell completes it and labels with."""

from typing import Annotated

import typer

from curricle._core import list_sessions
from curricle.looking import look_into


def complete_session(incomplete: str) -> list[str]:
    """Names of sessions that begin so; a completion has nowhere to show an error."""
    try:
        return [
            listed["name"] for listed in list_sessions() if listed["name"].startswith(incomplete)
        ]
    except Exception:
        return []


def complete_label(context: typer.Context, incomplete: str) -> list[str]:
    """Labels, that begin so, of the session that the command line names."""
    try:
        # A command line whose last option has no value yet is not taken apart to the end.
        look = look_into(context.params["name"] or context.args[0])
        return [label for label in sorted(look.label_totals()) if label.startswith(incomplete)]
    except Exception:
        return []


def complete_share(context: typer.Context, incomplete: str) -> list[str]:
    """The same, up to the number that follows the label."""
    return [f"{label}=" for label in complete_label(context, incomplete)]


Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="The session, or the path of its file (with a / in it).",
        autocompletion=complete_session,
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
