"""Runs the benches and writes ``benches/RESULTS.md``: ``python -m benches.results``.

It needs the extra ``peers``, takes about twenty minutes, and wants a machine that does
nothing else. The figures are kept in ``results.json`` beside the page, from which ``--from`` writes
it anew. Until the last part is measured they are in ``unfinished.json``: a run that is stopped
leaves there what it has, and the results of the run before stay.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from benches import call_costs, core_costs, machine, training_loop, two_processes
from benches.core_costs import CoreCost
from benches.interrupts import is_interrupt
from benches.measured import Measured
from benches.page import page
from benches.peers import calls, catalogue, throughput
from benches.pictures import draw_costs, draw_throughput, draw_training_loop

# What gives the figures of a part, and notes the peers that fail. Parts have the names of the
# fields of `Measured`.
Part = Callable[[dict[str, str]], Any]
FULL: dict[str, Part] = {
    "calls": lambda _: call_costs.measure(),
    "processes": lambda _: two_processes.measure(),
    "peers": lambda failed: calls.measure(failed=failed),
    "workers": lambda failed: throughput.measure(failed=failed),
    "training": lambda _: training_loop.measure(),
    "core": lambda _: core_costs.measure(),
}
QUICK: dict[str, Part] = {
    "calls": lambda _: call_costs.measure(0.001, "not 1000000"),
    "processes": lambda _: two_processes.measure(2, 0.02),
    "peers": lambda failed: calls.measure((100,), 2, 0.001, failed),
    "workers": lambda failed: throughput.measure((100, 1_000), (1, 2), 1, 0.1, failed),
    "training": lambda _: training_loop.measure((2,), {1: 2, 10: 3}, 0.05),
}

app = typer.Typer(add_completion=False)


@app.command()
def main(
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A results.json: write its page anew and measure nothing."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small and short, to see that it runs; no figures.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of RESULTS.md, results.json and the pictures.",
            show_default="benches; with --quick, runs/quick-results",
        ),
    ] = None,
) -> None:
    """Measures, and writes the page with its pictures."""
    if out is None:
        out = Path("runs/quick-results") if quick else Path(__file__).parent
    # A kill in the usual way ends the benches' processes too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _make(out)
    measured = _run(quick, out) if source is None else _load(source)
    _write(out, measured)
    _say(f"wrote {out / 'RESULTS.md'}")
    if measured.failed:
        raise typer.Exit(1)


def _write(out: Path, measured: Measured) -> None:
    try:
        write_page(out, measured)
    except OSError as error:
        _say(f"cannot write to {out} ({error.strerror}); --out names another folder")
        raise typer.Exit(2) from None
    except (ArithmeticError, LookupError, ValueError) as error:
        _say(
            f"no page can be made of these figures ({type(error).__name__}: {error}): some are "
            f"missing, or 0; without --from they are measured anew"
        )
        raise typer.Exit(2) from None


def _make(out: Path) -> None:
    """The folder, or the end: what cannot be written is not to be measured first."""
    try:
        (out / "pictures").mkdir(parents=True, exist_ok=True)
        for folder in (out, out / "pictures"):
            tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        _say(f"cannot write to {out} ({error.strerror}); --out names another folder")
        raise typer.Exit(2) from None


def _load(source: Path) -> Measured:
    try:
        return Measured.load(source)
    except OSError as error:
        fault = error.strerror
    except ValidationError as error:
        first = error.errors()[0]
        fault = ": ".join([*map(str, first["loc"][:1]), first["msg"]])
    _say(f"no results in {source} ({fault}); without --from they are measured anew")
    raise typer.Exit(2)


def _run(quick: bool, out: Path) -> Measured:
    """Measures all; where it is stopped, what it has is kept."""
    parts, left = (QUICK, []) if quick else (FULL, core_costs.read(core_costs.folder()))
    unfinished = out / "unfinished.json"
    unfinished.unlink(missing_ok=True)
    try:
        measured = measure(parts, unfinished, left, quick)
    except KeyboardInterrupt:
        kept = f"--from {unfinished} writes a page of it" if unfinished.exists() else "nothing yet"
        _say(f"stopped; of what was measured: {kept}")
        raise typer.Exit(130) from None
    unfinished.replace(out / "results.json")
    return measured


def measure(
    parts: dict[str, Part], kept: Path, left: Sequence[CoreCost] = (), quick: bool = False
) -> Measured:
    """Measures part by part; what fails is noted and the others go on.

    Args:
        parts: by name, what gives the figures.
        kept: where the figures are written after each part.
        left: what an earlier run of the core's bench left, which is not measured again.
        quick: whether the page is to say that its figures mean nothing.
    """
    measured = Measured(machine.describe(), catalogue.missing(), core=list(left), quick=quick)
    if left:
        parts = {name: part for name, part in parts.items() if name != "core"}
        measured.when["core"] = f"{core_costs.span(left)}, left by `cargo bench`; load not known"
        measured.commits["core"] = "commit not known"
    for name, why in measured.missing.items():
        _say(f"without {name}, which cannot be imported: {why}")
    for number, (name, part) in enumerate(parts.items(), 1):
        began, before = datetime.now(UTC), machine.load()
        measured.commits[name] = machine.commit()
        _say(
            f"measuring {name}, {number} of {len(parts)} ({began:%H:%M} UTC, load average {before})"
        )
        try:
            setattr(measured, name, part(measured.failed))
        # Twenty minutes of figures is not to be lost to one part.
        except Exception as error:
            if is_interrupt(error):
                raise KeyboardInterrupt from error
            traceback.print_exc()
            measured.failed[name] = f"{type(error).__name__}: {error}"
        seconds = (datetime.now(UTC) - began).total_seconds()
        measured.when[name] = (
            f"{began:%Y-%m-%d %H:%M} UTC, {seconds:.0f} s, load average {before} before and "
            f"{machine.load()} after"
        )
        measured.save(kept)
    return measured


def write_page(out: Path, measured: Measured) -> None:
    """Writes the page and its pictures."""
    pictures = out / "pictures"
    pictures.mkdir(exist_ok=True)
    if measured.peers:
        draw_costs(pictures / "costs.png", measured.peers)
    if measured.workers:
        draw_throughput(pictures / "throughput.png", measured.workers)
    if measured.training:
        draw_training_loop(pictures / "training_loop.png", measured.training)
    (out / "RESULTS.md").write_text(page(measured))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    app()
