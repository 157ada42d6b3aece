"""A sign of life during long work, where somebody watches a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

_Item = TypeVar("_Item")

# Work on fewer tasks ends before anybody wonders.
_LONG = 100_000


def _shown(tasks: int) -> bool:
    if tasks < _LONG or not sys.stderr.isatty():
        return False
    try:
        import rich.progress  # noqa: F401 - of the extra "cli"
    except ModuleNotFoundError:
        return False
    return True


@contextmanager
def waiting(what: str, tasks: int) -> Iterator[None]:
    """Shows a spinner with the time on stderr while the block works on many tasks."""
    if not _shown(tasks):
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        progress.add_task(f"{what} {tasks:,} tasks", total=None)
        yield


def counted(items: Iterable[_Item], what: str, tasks: int) -> Iterator[_Item]:
    """The items, with a progress bar on stderr while they are taken."""
    if not _shown(tasks):
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    description = f"{what} {tasks:,} tasks"
    yield from track(items, description, tasks, console=console, transient=True)
