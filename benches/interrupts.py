"""Ctrl-C while processes are started."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


def is_interrupt(error: BaseException | None) -> bool:
    """Whether an error was raised while a Ctrl-C was on its way, as by the release of a lock."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def held_interrupts() -> Iterator[None]:
    """Ctrl-C takes effect at the end of the block, and never in processes that are forked in it.

    What Python runs in the midst of a fork would swallow it. A forked process goes on until the
    one that started it, which got the same Ctrl-C, ends it. For the main thread.

    Raises:
        KeyboardInterrupt: at the end, if one came.
    """
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt
