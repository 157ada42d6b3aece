"""The argument that names a session, and what a shell completes it and labels with."""

from typing import Annotated, Any

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


def label_option(what: str) -> Any:
    """An option that takes a label of the session."""
    return typer.Option(
        metavar="LABEL", help=what, autocompletion=complete_label, show_default=False
    )


def share_option(what: str) -> Any:
    """An option that takes a label of the session and a share of the draws."""
    return typer.Option(
        metavar="LABEL=SHARE", help=what, autocompletion=complete_share, show_default=False
    )


def session_argument(what: str) -> Any:
    """An argument that names a session."""
    return typer.Argument(
        metavar="NAME", help=what, autocompletion=complete_session, show_default=False
    )


Name = Annotated[str, session_argument("The session, or the path of its file (with a / in it).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
