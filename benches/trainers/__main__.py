"""Steps a second of trainers that people use, with a curriculum over without."""

from __future__ import annotations

import signal
from typing import Annotated

import typer

from benches.machine import commit, describe, load
from benches.page import trainers
from benches.trainers.catalogue import TRAINERS
from benches.trainers.pairs import PAIRS, QUICK, measure

app = typer.Typer(add_completion=False)


def _known(names: list[str] | None) -> list[str]:
    for name in names or ():
        if name not in TRAINERS:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(TRAINERS)}")
    return names or list(TRAINERS)


@app.command()
def main(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help=f"Trainers: {', '.join(TRAINERS)}.",
            show_default="all",
            callback=_known,
        ),
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, help="How often both arms train.")] = PAIRS,
    quick: Annotated[
        bool, typer.Option("--quick", help="Two short pairs, to see that it runs; no figures.")
    ] = False,
) -> None:
    """Steps a second of trainers, the curriculum on over off: a table in Markdown.

    Each trainer has a process of its own for a minute or two, and two arms that
    take turns in pairs: its usual loop with four workers, with the curriculum as
    docs/integrations.md shows it, and without. All tasks are alike and the policy
    does not learn, so that both arms do the same work. What cannot be imported is
    named, and the others go on.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    failed: dict[str, str] = {}
    before = load()
    how = QUICK if quick else {"pairs": pairs}
    found = measure(failed, names or (), **how)
    print(*describe(), sep="\n")
    print(f"{commit()}; load average {before} before and {load()} after\n")
    print(trainers(found))
    for title, why in failed.items():
        print(f"\n{title} failed: {why}")
    if failed:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
