"""What processes spend on processors, whatever else the machine does."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def processor_seconds(pids: Iterable[int]) -> float:
    """Seconds that the threads of processes have spent on processors.

    Linux keeps them in nanoseconds. Threads that have ended are not in it.
    """
    return (
        sum(
            int(thread.read_text().split()[0])
            for pid in pids
            for thread in Path(f"/proc/{pid}/task").glob("*/schedstat")
        )
        / 1e9
    )
