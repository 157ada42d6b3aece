"""Progress bars of benches."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress

_Item = TypeVar("_Item")


def progress(items: Collection[_Item], what: str) -> Iterator[_Item]:
    """The items, with a progress bar on stderr if that is a terminal.

    The bar moves between the items only: the thread of a bar that moves by itself would run beside
    what is measured.
    """
    silent = not sys.stderr.isatty()
    console = Console(stderr=True)
    with Progress(console=console, auto_refresh=False, transient=True, disable=silent) as bar:
        task = bar.add_task(what, total=len(items))
        bar.refresh()
        for item in items:
            yield item
            bar.advance(task)
            bar.refresh()
