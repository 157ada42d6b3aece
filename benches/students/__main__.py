"""Runs every algorithm on every student: ``python -m benches.students``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benches.markdown import markdown_table
from benches.students.cases import CASES, run_case
from benches.students.settings import REPORTED_SEEDS, SETTINGS
from curricle.algorithms.catalogue import ALGORITHMS
from curricle.simulate import Simulation
from curricle.simulation_plots import draw_simulations
from curricle.simulation_summary import summarise

app = typer.Typer(add_completion=False)


@app.command()
def main(
    case: Annotated[
        list[str] | None, typer.Option(help=f"Of {', '.join(CASES)}; all by default.")
    ] = None,
    algorithm: Annotated[
        list[str] | None, typer.Option(help=f"Of {', '.join(ALGORITHMS)}; all by default.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("runs/students"),
) -> None:
    """Prints a table for each student and one of them all, and writes pictures.

    Tables are Markdown; what was mastered, and all else, is mean ± standard deviation over seeds.
    """
    cases = _chosen(case, CASES, "case")
    algorithms = _chosen(algorithm, ALGORITHMS, "algorithm")
    out.mkdir(parents=True, exist_ok=True)
    progress = Console(stderr=True)
    overview: dict[str, dict[str, str]] = {name: {} for name in algorithms}
    for key in cases:
        arms: dict[str, list[Simulation]] = {}
        for name in algorithms:
            with progress.status(f"{key}: {name}"):
                arms[name] = run_case(key, name, SETTINGS.get(name, {}), REPORTED_SEEDS)
        summaries = {name: summarise(simulations) for name, simulations in arms.items()}
        title = f"{CASES[key].title}, {CASES[key].episodes:,} episodes"
        print(f"\n## {title}\n\n{_by_algorithm(summaries)}", flush=True)
        draw_simulations(out / f"{key}.png", arms, title)
        for name, summary in summaries.items():
            overview[name][key] = summary["mastered"]
    print(f"\n## Mastered\n\n{_by_algorithm(overview)}\n\nPictures are in {out}.")


def _by_algorithm(rows: Mapping[str, Mapping[str, str]]) -> str:
    """A table of figures by name, with a row for each algorithm."""
    names = list(next(iter(rows.values())))
    lines = [[row, *(figures[name] for name in names)] for row, figures in rows.items()]
    return markdown_table(["algorithm", *names], lines)


def _chosen(names: list[str] | None, known: Iterable[str], option: str) -> list[str]:
    for name in names or []:
        if name not in known:
            raise typer.BadParameter(
                f"{name!r} is none of {', '.join(known)}", param_hint=f"'--{option}'"
            )
    return names or list(known)


if __name__ == "__main__":
    app()
