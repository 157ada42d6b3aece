"""``curricle simulate``: an algorithm and its settings on a synthetic student."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import track
from rich.table import Table

from curricle.algorithms.catalogue import ALGORITHMS
from curricle.cli_errors import Debug
from curricle.config import SessionConfig
from curricle.errors import CurricleError
from curricle.simulate import Simulation, simulate
from curricle.simulation_config import make_config
from curricle.simulation_summary import BASELINE, Arms, summarise
from curricle.students import HypercubeStudent, NoisyChainStudent, Student

PICTURES = (".png", ".pdf", ".svg")

app = typer.Typer(
    help="Try an algorithm on a synthetic student, before training an agent with it.",
    no_args_is_help=True,
)

Algorithm = Annotated[str, typer.Option(help=f"How tasks are drawn: {', '.join(ALGORITHMS)}.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="A field of the algorithm's configuration, as rand_task_rate=0.2; can be repeated.",
        show_default=False,
    ),
]
Episodes = Annotated[int, typer.Option(min=1, help="Episodes of each simulation.")]
Seeds = Annotated[int, typer.Option(min=1, help="Number of simulations, with the seeds 0, 1, ...")]
Out = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False,
        help=f"Picture to write; its suffix, one of {', '.join(PICTURES)}, says the format.",
        show_default=False,
    ),
]


@app.command()
def hypercube(
    dimensions: Annotated[
        int, typer.Option(min=1, max=20, help="Dimensions of the space of tasks.")
    ] = 2,
    cubes: Annotated[int, typer.Option(min=1, help="Cubes a dimension.")] = 10,
    useless_dimensions: Annotated[
        int,
        typer.Option(min=0, max=20, help="Dimensions that make no difference."),
    ] = 0,
    algorithm: Algorithm = "noise-aware",
    settings: Settings = None,
    episodes: Episodes = 20_000,
    seeds: Seeds = 5,
    out: Out = None,
    debug: Debug = False,
) -> None:
    """A grid of tasks, of which only those next to what was learned can be learned.

    The toy environment of Portelas et al. 2019. A cube of tasks takes 75 episodes before its
    neighbours can be learned; at best, all 100 of the default are mastered after 7,600 episodes.
    """
    _simulate(
        "Hypercube",
        lambda seed: HypercubeStudent(
            dimensions, cubes, useless_dimensions=useless_dimensions, seed=seed
        ),
        algorithm,
        settings or [],
        episodes,
        seeds,
        out,
        debug,
    )


@app.command("noisy-chain")
def noisy_chain(
    chain: Annotated[int, typer.Option(min=1, help="Skills, each of which needs the last.")] = 100,
    impossible: Annotated[int, typer.Option(min=0, help="Tasks that never succeed.")] = 40,
    coins: Annotated[
        int, typer.Option(min=0, help="Tasks that succeed by chance, whatever is learned.")
    ] = 40,
    solved: Annotated[int, typer.Option(min=0, help="Tasks that nearly always succeed.")] = 20,
    coin_probability: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Of success of a coin.")
    ] = 0.5,
    solved_probability: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Of success of a solved task.")
    ] = 0.95,
    noise: Annotated[
        float,
        typer.Option(min=0.0, max=10.0, help="Standard deviation of noise on success (0 or 1)."),
    ] = 0.0,
    scale: Annotated[float, typer.Option(help="Score of a success above that of a failure.")] = 1.0,
    offset: Annotated[float, typer.Option(help="Score of a failure.")] = 0.0,
    algorithm: Algorithm = "noise-aware",
    settings: Settings = None,
    episodes: Episodes = 40_000,
    seeds: Seeds = 5,
    out: Out = None,
    debug: Debug = False,
) -> None:
    """Skills to be learned one after the other, among tasks that look as if they taught something.

    A skill takes 51 episodes before the next one can be learned and is mastered with 91; at best,
    all 100 of the default are mastered after 9,100 episodes.
    """
    _simulate(
        "Noisy chain",
        lambda seed: NoisyChainStudent(
            chain,
            impossible,
            coins,
            solved,
            coin_probability=coin_probability,
            solved_probability=solved_probability,
            noise=noise,
            scale=scale,
            offset=offset,
            seed=seed,
        ),
        algorithm,
        settings or [],
        episodes,
        seeds,
        out,
        debug,
    )


def _simulate(
    name: str,
    make_student: Callable[[int], Student],
    algorithm: str,
    settings: list[str],
    episodes: int,
    seeds: int,
    out: Path | None,
    debug: bool,
) -> None:
    """Simulates the algorithm and the baseline; prints the table and writes the picture."""
    if out is not None:
        _check_picture(out)
    if algorithm not in ALGORITHMS:
        raise typer.BadParameter(
            f"{algorithm!r} is none of {', '.join(ALGORITHMS)}", param_hint="'--algorithm'"
        )
    fields: dict[str, dict[str, Any]] = {algorithm: _read_fields(settings)}
    fields.setdefault(BASELINE, {})
    console = Console()
    arms: dict[str, list[Simulation]] = {name: [] for name in fields}
    runs = [(arm, seed) for arm in arms for seed in range(seeds)]
    try:
        for arm, seed in track(runs, "simulating", console=console, transient=True):
            student = make_student(seed)
            config = _make_config(arm, student, episodes, fields[arm])
            arms[arm].append(simulate(student, config, episodes, seed=seed))
        title = f"{name}, {student.num_tasks:,} tasks, {student.goals:,} to master"
        console.print(_table(arms, f"{title} (episodes: {episodes:,}, seeds: {seeds})"))
        if out is not None:
            from curricle.simulation_plots import draw_simulations

            draw_simulations(out, arms, title)
            console.print(f"picture in {out}", highlight=False, soft_wrap=True)
    except (CurricleError, OSError, ValueError) as error:
        if debug:
            raise
        raise typer.BadParameter(str(error)) from error


def _table(arms: Arms, title: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("mean ± standard deviation")
    summaries = [summarise(simulations) for simulations in arms.values()]
    for name in arms:
        table.add_column(name, justify="right")
    for figure in summaries[0]:
        table.add_row(figure, *(summary[figure] for summary in summaries))
    return table


def _check_picture(path: Path) -> None:
    """Refuses a file that no picture can be written to, before the work is done."""
    if path.suffix not in PICTURES:
        raise typer.BadParameter(
            f"{path} is no picture by its suffix; take one of {', '.join(PICTURES)}",
            param_hint="'--out'",
        )
    if not path.parent.is_dir():
        raise typer.BadParameter(
            f"there is no folder {path.parent}; make it first", param_hint="'--out'"
        )


def _read_fields(settings: list[str]) -> dict[str, Any]:
    """Fields of a configuration, as FIELD=VALUE gives them."""
    fields = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise typer.BadParameter(
                f"{setting!r} has no value; write FIELD=VALUE", param_hint="'--set'"
            )
        fields[name.strip()] = _value(text.strip())
    return fields


def _make_config(
    algorithm: str, student: Student, episodes: int, fields: dict[str, Any]
) -> SessionConfig:
    """The algorithm's configuration; what is wrong with the fields is an error of the command."""
    try:
        with warnings.catch_warnings():
            # A field that means nothing any more would else be set without a word.
            warnings.simplefilter("error", DeprecationWarning)
            return make_config(algorithm, student, episodes, fields)
    except ValidationError as error:
        message = "; ".join(_describe(problem) for problem in error.errors())
    except DeprecationWarning as warning:
        message = str(warning)
    except ModuleNotFoundError as error:
        raise typer.BadParameter(str(error), param_hint="'--algorithm'") from error
    kind = ALGORITHMS[algorithm]
    raise typer.BadParameter(
        f"{message}. All fields: python -m pydoc {kind.__module__}.{kind.__qualname__}",
        param_hint="'--set'",
    )


def _value(text: str) -> Any:
    """A number, true, false, null or a list as JSON has them; anything else is a string."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _describe(problem: Any) -> str:
    """A problem that pydantic found, in one line."""
    where = ".".join(str(part) for part in problem["loc"])
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{where}={problem['input']!r}: {message}" if where else message
