"""``curricle ls`` and ``curricle rm``: the sessions of this machine."""

import dataclasses
from typing import Annotated

import typer
from rich.table import Table

from curricle._core import remove_session
from curricle.cli_errors import Debug, one_line_errors, print_error
from curricle.cli_names import Json, session_argument
from curricle.cli_values import age, count, output, print_json, shown, size
from curricle.errors import SessionError
from curricle.looking import no_such_session
from curricle.session_facts import SessionFacts, survey

# Seconds between the two looks that rates follow from.
_MOMENT = 0.5

_STYLES = {"live": "green", "dead": "red", "unreadable": "red"}


def ls(json: Json = False, debug: Debug = False) -> None:
    """List the sessions of this machine.

    RATE is episodes a second, counted over half a second; PROCS is the number of attached
    processes; CREATOR, where there is room, the process that made the session and, while it lives,
    its program. A session is live, idle (it persists, and nobody is attached), dead (killed
    processes left it; `curricle rm --dead` removes it), unreadable (the line below says why) or
    another user's. A + marks a live one that will persist. Looking disturbs no session.
    """
    with one_line_errors(debug):
        sessions = survey(_MOMENT)
    if json:
        print_json([dataclasses.asdict(facts) for facts in sessions])
        return
    console = output()
    if not sessions:
        console.print("no sessions on this machine")
        return
    table = _table(sessions)
    unbounded = console.options.update(max_width=10_000)
    if console.measure(table, options=unbounded).maximum > console.width:
        table = _table(sessions, creators=False)
    console.print(table)
    for facts in sessions:
        if facts.reason is not None:
            console.print(shown(f"{facts.name}: {facts.reason}"), soft_wrap=True)


def _table(sessions: list[SessionFacts], *, creators: bool = True) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("NAME", overflow="fold", min_width=12)
    table.add_column("STATE", no_wrap=True)
    for column in ("TASKS", "DONE", "RATE/s", "PROCS"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("AGE", "SIZE"):
        table.add_column(column, justify="right", no_wrap=True)
    if creators:
        table.add_column("CREATOR", no_wrap=True)
    for facts in sessions:
        has_tasks = facts.tasks is not None
        table.add_row(
            shown(facts.name),
            shown(_state(facts), _STYLES.get(facts.state, "")),
            f"{count(facts.tasks)}/{count(facts.capacity)}" if has_tasks else "-",
            count(facts.completions),
            count(facts.rate),
            "-" if facts.processes is None else str(len(facts.processes)),
            age(facts.created),
            size(facts.bytes),
            *([shown(_creator(facts))] if creators else []),
        )
    return table


def _state(facts: SessionFacts) -> str:
    if facts.state == "foreign":
        return f"of {facts.owner}"
    return "live+" if facts.state == "live" and facts.persist else facts.state


def _creator(facts: SessionFacts) -> str:
    if facts.creator is None:
        return "-"
    return f"{facts.creator} {facts.program}" if facts.program else str(facts.creator)


def rm(
    names: Annotated[list[str] | None, session_argument("The sessions.")] = None,
    dead: Annotated[
        bool, typer.Option("--dead", help="Remove all dead sessions of yours.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Remove live sessions as well; their processes go on, but none can join them.",
        ),
    ] = False,
    debug: Debug = False,
) -> None:
    """Remove sessions.

    A live session is refused without --force. What can be removed is, and the exit code is 1 if
    anything could not be. --dead removes what killed processes left. It leaves alone idle sessions,
    which persist on purpose, unreadable ones and those of other users; the first two can be removed
    by their names.
    """
    if dead == bool(names):
        raise typer.BadParameter("give names of sessions, or --dead", param_hint="'NAME'")
    if dead and force:
        raise typer.BadParameter("no dead session needs it", param_hint="'--force'")
    with one_line_errors(debug):
        found = survey(0.0)
    console = output()
    failed = False
    if dead:
        names = [facts.name for facts in found if facts.state == "dead"]
        if not names:
            console.print("no dead sessions")
    for name in dict.fromkeys(names or []):
        try:
            if remove_session(name, force=force):
                console.print(shown(f"removed {name}"), soft_wrap=True)
            # A dead session that is gone is what was asked for.
            elif not dead:
                raise no_such_session(name, [facts.name for facts in found])
        except (SessionError, ValueError) as error:
            if debug:
                raise
            print_error(error)
            failed = True
    if failed:
        raise typer.Exit(1)
