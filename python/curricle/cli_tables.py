"""Tables of a session for people, of at most 80 columns."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from curricle._core import Session
from curricle.acts import describe_act, describe_limits
from curricle.cli_values import age, clock, count, number, shown, size
from curricle.overview import describe_steering

# Acts that an overview shows; the session keeps 32.
_ACTS = 8


def print_session(console: Console, found: Mapping[str, Any], rows: int) -> None:
    """Prints what `describe_session` has found, with ``rows`` labels at most."""
    session, totals = found["session"], found["totals"]
    console.print(shown(session["name"] or session["path"], "bold"))
    processes = session["processes"]
    creator = session["creator"]
    _print_pairs(
        console,
        {
            "state": _state(session),
            "file": f"{session['path']}, {size(session['bytes'])}",
            "made": f"{clock(session['created'])} ({age(session['created'])} ago)"
            + (f" by process {creator}" if creator else "")
            + (f", {session['program']}" if session["program"] else ""),
            "processes": "-" if processes is None else " ".join(map(str, processes)) or "none",
            "content": session["content"] or "-",
            "columns": ", ".join(session["columns"]) or "-",
            "seed": str(session["seed"]),
        },
    )
    _heading(console, "Totals")
    _print_grid(console, {"capacity": session["capacity"], **totals})
    _heading(console, "Rules")
    _print_grid(console, found["rules"])
    _heading(console, "Steering")
    _print_steering(console, found, _ACTS)
    labels = found["labels"]
    _heading(console, "Labels by learning progress")
    if not labels:
        console.print("no task has a label")
        return
    ranked = sorted(labels.items(), key=lambda entry: (-entry[1]["lp_mean"], entry[0]))
    table = _table("label", ("tasks", "drawn", "done", "mean score", "LP", "probability"))
    for label, row in ranked[:rows]:
        done = row["completions"]
        table.add_row(
            shown(label),
            count(row["tasks"]),
            count(row["scheduled"]),
            count(done),
            number(row["score_sum"] / done if done else None),
            number(row["lp_mean"]),
            number(row["probability"]),
        )
    console.print(table)
    _print_rest(console, len(ranked) - rows)


def print_label(console: Console, found: Mapping[str, Any]) -> None:
    """Prints what `describe_label` has found."""
    totals, limits = found["totals"], found["limits"]
    console.print(shown(f"label {found['label']}", "bold"))
    text = describe_limits(found["label"], limits["least"], limits["most"])
    _print_pairs(console, {"probability": number(found["probability"]), "limits": text})
    _heading(console, "Totals")
    _print_grid(console, totals)
    _heading(console, "Tasks by learning progress")
    table = _table("task", ("done", "drawn", "reward EMA", "LP", "probability"))
    for task in found["tasks"]:
        table.add_row(
            str(task["task_id"]),
            count(task["completion_count"]),
            count(task["scheduled_count"]),
            number(task["reward_ema"]),
            number(task["lp_score"]),
            number(task["probability"]),
        )
    console.print(table)
    _print_rest(console, int(totals["tasks"]) - len(found["tasks"]))


def print_task(console: Console, found: Mapping[str, Any]) -> None:
    """Prints what `describe_task` has found."""
    record, why = found["record"], found["why"]
    label = "without a label" if record["label"] is None else f"of label {record['label']}"
    console.print(shown(f"task {record['task_id']} {label}", "bold"))
    _heading(console, "Record")
    left_out = ("task_id", "label", "columns", "creation_time")
    fields = {name: value for name, value in record.items() if name not in left_out}
    _print_grid(console, fields | record["columns"])
    _print_pairs(
        console,
        {"created": f"{clock(record['creation_time'])} ({age(record['creation_time'])} ago)"},
    )
    _heading(console, f"Why it is drawn with probability {number(why['probability'])}")
    least, most = why["share_limits"]
    limits = "none" if record["label"] is None else describe_limits(record["label"], least, most)
    _print_pairs(
        console,
        {
            "law": why["law"] + (", frozen" if why["frozen"] else ""),
            "weight": f"{number(why['weight'])}: {why['weight_from']}",
            "share": f"{number(why['share'])} of the draws by the law, among {why['num_tasks']:,}"
            " tasks",
            "floor": f"{number(why['floor'])} of the draws are uniform: "
            f"{number(why['uniform_part'])} for each task",
            "guard": f"{why['guard']}: factor {number(why['guard_factor'])}",
            "limits": limits,
        },
    )
    console.print(
        f"\n{number(why['probability'])} = {number(why['guard_factor'])} * "
        f"((1 - {number(why['floor'])}) * {number(why['share'])} + {number(why['uniform_part'])})"
    )


def print_steering(console: Console, look: Session) -> None:
    """Prints how a session is steered, and all acts that it keeps."""
    found = describe_steering(look)
    _print_steering(console, found, len(found["acts"]))


def _print_steering(console: Console, found: Mapping[str, Any], most_acts: int) -> None:
    steering, acts = found["steering"], found["acts"]
    limits = [
        describe_limits(label, limits["least"], limits["most"])
        for label, limits in steering["share_limits"].items()
    ]
    _print_pairs(
        console,
        {
            "law": steering["law"] + (" (by an act)" if steering["uniform"] else ""),
            "progress": "frozen" if steering["frozen"] else "follows the scores",
            "limits": limits or "none",
        },
    )
    if not acts:
        return
    table = _table("act", ())
    for column in ("by process", "at"):
        table.add_column(column, no_wrap=True)
    for act in acts[len(acts) - most_acts :] if most_acts < len(acts) else acts:
        table.add_row(shown(describe_act(act)), str(act["pid"]), clock(act["time"]))
    console.print(table)
    _print_rest(console, len(acts) - most_acts, "earlier")


def _state(session: Mapping[str, Any]) -> str:
    if session["live"]:
        return "live"
    if session["persist"] is False:
        return "dead: its processes ended without leaving it"
    return "idle: it persists, and nobody is attached"


def _heading(console: Console, text: str) -> None:
    console.print(Text(f"\n{text}", style="bold"))


def _print_pairs(console: Console, pairs: Mapping[str, str | list[str]]) -> None:
    """Prints names and texts, a line for each text."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in pairs.items():
        grid.add_row(
            name, shown(text) if isinstance(text, str) else Text("\n").join(map(shown, text))
        )
    console.print(grid)


def _print_grid(console: Console, values: Mapping[str, Any]) -> None:
    """Prints names and values, two pairs a line."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(2):
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(min_width=16, overflow="fold")
    entries = list(values.items())
    half = (len(entries) + 1) // 2
    for at in range(half):
        cells: list[Text] = []
        for name, value in entries[at::half]:
            cells += [Text(name), shown(_text(value))]
        grid.add_row(*cells)
    console.print(grid)


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return number(value) if isinstance(value, int | float) else str(value)


def _table(first: str, others: Iterable[str]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column(first, overflow="fold")
    for column in others:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _print_rest(console: Console, rest: int, kind: str = "more") -> None:
    if rest > 0:
        console.print(f"and {rest:,} {kind}", style="dim")
