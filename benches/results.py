"""Runs the benches and writes ``benches/RESULTS.md``: ``python -m benches.results``.

It needs the extra ``peers``, takes about twenty minutes and one more for each trainer that is
installed, and wants a machine that does nothing else. The figures are kept in ``results.json``
beside the page, from which ``--from`` writes it anew; ``--only`` measures a part of them again.
Until the last part is measured they are in ``unfinished.json``: a run that is stopped leaves there
what it has, and the results of the run before stay.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Container, Sequence
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
from benches.trainers import pairs

# What gives the figures of a part, and notes the peers that fail. Parts have the names of the
# fields of `Measured`.
Part = Callable[[dict[str, str]], Any]
FULL: dict[str, Part] = {
    "calls": lambda _: call_costs.measure(),
    "processes": lambda _: two_processes.measure(),
    "peers": lambda failed: calls.measure(failed=failed),
    "workers": lambda failed: throughput.measure(failed=failed),
    "training": lambda _: training_loop.measure(),
    "trainers": lambda failed: pairs.measure(failed),
    "core": lambda _: core_costs.measure(),
}
QUICK: dict[str, Part] = {
    "calls": lambda _: call_costs.measure(0.001, "not 1000000"),
    "processes": lambda _: two_processes.measure(2, 0.02),
    "peers": lambda failed: calls.measure((100,), 2, 0.001, failed),
    "workers": lambda failed: throughput.measure((100, 1_000), (1, 2), 1, 0.1, failed),
    "training": lambda _: training_loop.measure((2,), {1: 2, 10: 3}, 0.05),
    "trainers": lambda failed: pairs.measure(failed, **pairs.QUICK),
}

app = typer.Typer(add_completion=False)


@app.command()
def main(
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A results.json: write its page anew and measure nothing."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART",
            help=f"Measure this part anew and keep the others of the folder's results.json; may be "
            f"given again. Parts: {', '.join(FULL)}.",
        ),
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
    chosen = _chosen(only, QUICK if quick else FULL)
    if source is not None and only:
        raise typer.BadParameter("--from measures nothing; leave --only out, or --from")
    _make(out)
    if source is not None:
        measured = _load(source, "--from")
    else:
        measured = _run(chosen, quick, out, _kept(out, quick) if only else None)
    _write(out, measured, chosen)
    _say(f"wrote {out / 'RESULTS.md'}")
    if measured.failed:
        raise typer.Exit(1)


def _chosen(only: list[str] | None, parts: dict[str, Part]) -> dict[str, Part]:
    for name in only or ():
        if name not in parts:
            raise typer.BadParameter(f"--only {name}: the parts are {', '.join(parts)}")
    return {name: part for name, part in parts.items() if not only or name in only}


def _kept(out: Path, quick: bool) -> Measured | None:
    """What the folder has of a run before."""
    source = out / "results.json"
    if not source.exists():
        return None
    kept = _load(source, "--only")
    if kept.quick != quick:
        _say(
            f"{source} is of a {'quick' if kept.quick else 'full'} run, which does not go with "
            f"figures of a {'quick' if quick else 'full'} one; --out names another folder"
        )
        raise typer.Exit(2)
    return kept


def _write(out: Path, measured: Measured, drawn: Container[str]) -> None:
    try:
        write_page(out, measured, drawn)
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


def _load(source: Path, option: str) -> Measured:
    try:
        return Measured.load(source)
    except OSError as error:
        fault = error.strerror
    except ValidationError as error:
        first = error.errors()[0]
        fault = ": ".join([*map(str, first["loc"][:1]), first["msg"]])
    _say(f"no results in {source} ({fault}); without {option} they are measured anew")
    raise typer.Exit(2)


def _run(parts: dict[str, Part], quick: bool, out: Path, before: Measured | None) -> Measured:
    """Measures these parts; where it is stopped, what it has is kept."""
    left = core_costs.read(core_costs.folder()) if "core" in parts else []
    unfinished = out / "unfinished.json"
    unfinished.unlink(missing_ok=True)
    try:
        measured = measure(parts, unfinished, left, quick, before)
    except KeyboardInterrupt:
        kept = f"--from {unfinished} writes a page of it" if unfinished.exists() else "nothing yet"
        _say(f"stopped; of what was measured: {kept}")
        raise typer.Exit(130) from None
    measured.save(unfinished)
    unfinished.replace(out / "results.json")
    return measured


def measure(
    parts: dict[str, Part],
    kept: Path,
    left: Sequence[CoreCost] = (),
    quick: bool = False,
    before: Measured | None = None,
) -> Measured:
    """Measures part by part; what fails is noted and the others go on.

    Args:
        parts: by name, what gives the figures.
        kept: where the figures are written after each part.
        left: what an earlier run of the core's bench left, which is not measured again.
        quick: whether the page is to say that its figures mean nothing.
        before: what has the other parts, which stay; None has none.
    """
    measured = before or Measured(machine.describe(), quick=quick)
    here = [line for line in machine.describe() if line not in measured.machine]
    if before is None or not parts.keys().isdisjoint(("peers", "workers")):
        measured.missing = catalogue.missing()
        for name, why in measured.missing.items():
            _say(f"without {name}, which cannot be imported: {why}")
    if left:
        measured.core = list(left)
        parts = {name: part for name, part in parts.items() if name != "core"}
        measured.when["core"] = f"{core_costs.span(left)}, left by `cargo bench`; load not known"
        measured.commits["core"] = "commit not known"
    for number, (name, part) in enumerate(parts.items(), 1):
        began, load = datetime.now(UTC), machine.load()
        measured.commits[name] = machine.commit()
        _forget(measured, name)
        failed: dict[str, str] = {}
        _say(f"measuring {name}, {number} of {len(parts)} ({began:%H:%M} UTC, load average {load})")
        try:
            setattr(measured, name, part(failed))
        # Twenty minutes of figures is not to be lost to one part.
        except Exception as error:
            if is_interrupt(error):
                raise KeyboardInterrupt from error
            traceback.print_exc()
            measured.failed[name] = f"{type(error).__name__}: {error}"
        measured.failed |= {f"{name}: {what}": why for what, why in failed.items()}
        seconds = (datetime.now(UTC) - began).total_seconds()
        facts = [
            f"{began:%Y-%m-%d %H:%M} UTC, {seconds:.0f} s, load average {load} before and "
            f"{machine.load()} after",
            *here,
        ]
        measured.when[name] = "; ".join(facts)
        measured.save(kept)
    return measured


def _forget(measured: Measured, part: str) -> None:
    """Drops what is to be measured anew, and the errors of before."""
    setattr(measured, part, getattr(Measured([]), part))
    measured.failed = {
        what: why for what, why in measured.failed.items() if what.partition(": ")[0] != part
    }


def write_page(out: Path, measured: Measured, drawn: Container[str] = FULL) -> None:
    """Writes the page, and the pictures of some parts."""
    pictures = out / "pictures"
    pictures.mkdir(exist_ok=True)
    if any(part in drawn for part in ("peers", "workers", "training")):
        _draw(pictures, measured, drawn)
    (out / "RESULTS.md").write_text(page(measured))


def _draw(pictures: Path, measured: Measured, drawn: Container[str]) -> None:
    # Where only trainers are measured, Matplotlib need not be installed.
    from benches.pictures import draw_costs, draw_throughput, draw_training_loop

    if measured.peers and "peers" in drawn:
        draw_costs(pictures / "costs.png", measured.peers)
    if measured.workers and "workers" in drawn:
        draw_throughput(pictures / "throughput.png", measured.workers)
    if measured.training and "training" in drawn:
        draw_training_loop(pictures / "training_loop.png", measured.training)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    app()
