"""How commands show values: short for people, exact as JSON for scripts."""

import json
import os
import time
from typing import Any

import numpy as np
import typer
from rich.console import Console
from rich.text import Text

# Wide enough for any row where no terminal says how wide it is: a row is a line for a script.
_WIDE = 1000


def output() -> Console:
    """Where tables go; as wide as the terminal, and as wide as they are where there is none."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDE
    return console


def print_json(value: Any) -> None:
    """Prints a value of dicts, sequences and numbers as JSON, with null for NaN and infinity."""
    typer.echo(json.dumps(_plain(value), ensure_ascii=False, allow_nan=False, indent=2))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def shown(text: str, style: str = "") -> Text:
    """A text of users as it stands: without markup, and with what is not printable escaped."""
    return Text(text if text.isprintable() else repr(text)[1:-1], style)


def number(value: float | None) -> str:
    """An integer in full, else four significant digits; a dash where there is no number."""
    if value is None or np.isnan(value):
        return "-"
    if np.isfinite(value) and value == int(value):
        return f"{int(value):,}"
    return f"{value:.4g}"


def count(value: float | None) -> str:
    """A count in at most five characters, as 950, 12.3k or 4.5M; a dash where there is none."""
    return "-" if value is None else _scaled(value, 1000.0, ("", "k", "M", "G", "T", "P"))


def size(value: float) -> str:
    """A number of bytes in at most five characters, as 6.4M, by powers of 1024."""
    return _scaled(value, 1024.0, ("B", "K", "M", "G", "T", "P"))


def _scaled(value: float, step: float, units: tuple[str, ...]) -> str:
    at = 0
    # What would be rounded to the next unit is shown in it.
    while abs(value) >= 999.5 and at < len(units) - 1:
        value /= step
        at += 1
    return (
        f"{value:.0f}{units[at]}" if at == 0 or abs(value) >= 99.95 else f"{value:.1f}{units[at]}"
    )


def age(since: float | None) -> str:
    """How long ago a time (seconds since the epoch) was, in at most three characters or so."""
    if since is None:
        return "-"
    seconds = max(0.0, time.time() - since)
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:.0f}s"


def clock(at: float | None) -> str:
    """A time (seconds since the epoch) as date and time of day of this machine's zone."""
    if at is None:
        return "-"
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
