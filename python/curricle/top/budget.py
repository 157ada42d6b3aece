"""How often a session can be looked at for a small share of a processor."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

#: Most of a processor that looks may take, and as much again reading tasks while they are shown.
MOST_WORK = 0.01

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Budget:
    """Spaces looks so that all that the process does for them takes at most `MOST_WORK`.

    That is its processor time from the beginning of one look to that of the next, all threads and
    the painting included, up to what else a user asks for by a key in between.

    Attributes:
        needed: seconds from the beginning of the look before to that of the last one for which
            its work was `MOST_WORK` of a processor.
    """

    def __init__(self) -> None:
        self.needed = 0.0
        self._at = time.monotonic()
        self._spent = time.process_time()
        self._counted: float | None = 0.0

    def begin(self) -> None:
        """A look begins."""
        self.needed = self._work() / MOST_WORK
        self._at, self._spent, self._counted = time.monotonic(), time.process_time(), None

    def stop_counting(self) -> None:
        """What comes from now to the next look is not for looking."""
        self._counted = self._work()

    def rest(self, interval: float) -> float:
        """Seconds until the next look may begin; looks are to be ``interval`` apart, or more."""
        return max(interval, self._work() / MOST_WORK) - (time.monotonic() - self._at)

    def _work(self) -> float:
        return time.process_time() - self._spent if self._counted is None else self._counted

    def apart(
        self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> tuple[_T, float]:
        """What a call returns that is not for looking, and seconds of processor time it took."""
        began = time.thread_time()
        found = call(*args, **kwargs)
        work = time.thread_time() - began
        if self._counted is None:
            self._spent += work
        return found, work
