"""``curricle set``: steering a session that runs."""

from contextlib import closing
from typing import Annotated

import typer

from curricle.cli_errors import Debug, one_line_errors
from curricle.cli_names import Name, label_option, share_option
from curricle.cli_tables import print_steering
from curricle.cli_values import output, shown
from curricle.looking import find_session, look_into
from curricle.steering import Changes


def set_(
    name: Name,
    freeze: Annotated[
        bool | None,
        typer.Option(
            "--freeze/--thaw",
            help="Freeze learning progress and weights, so that draws stay as they are.",
            show_default=False,
        ),
    ] = None,
    uniform: Annotated[
        bool | None,
        typer.Option(
            "--uniform/--by-law",
            help="Draw every task alike, or by the law of the session.",
            show_default=False,
        ),
    ] = None,
    min_share: Annotated[
        list[str] | None, share_option("The least share of the draws that a label gets.")
    ] = None,
    max_share: Annotated[list[str] | None, share_option("The most that it gets.")] = None,
    ban: Annotated[list[str] | None, label_option("Draw no task of the label.")] = None,
    unlimit: Annotated[list[str] | None, label_option("Take limits and ban off a label.")] = None,
    debug: Debug = False,
) -> None:
    """Steer a running session, or see how it is steered.

    All processes of the session follow at their next draw. Options that take a label can be
    repeated; a share is within [0, 1], and the other limit of the label stays. Everything is
    checked before the first change. Without options, prints how the session is steered, and the
    last acts. docs/guards.md says what limits do.
    """
    changes = Changes(
        frozen=freeze,
        uniform=uniform,
        least=_shares(min_share or [], "--min-share"),
        most=_shares(max_share or [], "--max-share"),
        banned=tuple(ban or ()),
        unlimited=tuple(unlimit or ()),
    )
    console = output()
    with one_line_errors(debug):
        if changes == Changes():
            print_steering(console, look_into(name))
            return
        with closing(find_session(name, "attach")) as session:
            done = changes.apply(session)
    for what in done or ["nothing to change: the session is steered so already"]:
        console.print(shown(what), soft_wrap=True)


def _shares(given: list[str], option: str) -> dict[str, float]:
    """Shares by label, as LABEL=SHARE gives them; a label may have a = itself."""
    shares: dict[str, float] = {}
    for text in given:
        label, equals, share = text.rpartition("=")
        try:
            number = float(share)
        except ValueError:
            number = float("nan")
        if not equals or not label or not 0.0 <= number <= 1.0:
            raise typer.BadParameter(
                f"{text!r} is no label with a share within [0, 1]; write LABEL=0.05",
                param_hint=f"'{option}'",
            )
        if label in shares:
            raise typer.BadParameter(f"{label!r} is there twice", param_hint=f"'{option}'")
        shares[label] = number
    return shares
