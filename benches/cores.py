"""Which cores workers run on, where arms are compared."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence


def bind_workers(pids: Iterable[int], cores: Sequence[int]) -> None:
    """Each to one core, in turn from the second one on: the n-th of every arm to the same."""
    for number, pid in enumerate(pids, 1):
        os.sched_setaffinity(pid, {cores[number % len(cores)]})
