"""What a call costs in one process, peer by peer: ``python -m benches.peers.calls``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

from benches.peers.base import Peer
from benches.peers.catalogue import installed, noted
from benches.timing import ROUND_SECONDS, ROUNDS, Figures, calls_a_round, seconds

SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class CallCost:
    """Seconds a task that an operation of a peer takes, by number of tasks."""

    peer: str
    operation: str
    tasks: int
    seconds: Figures


class _Operation(NamedTuple):
    call: Callable[[], Any]
    tasks_a_call: int
    calls_a_round: int


def measure(
    sizes: Sequence[int] = SIZES,
    rounds: int = ROUNDS,
    round_seconds: float = ROUND_SECONDS,
    failed: dict[str, str] | None = None,
) -> list[CallCost]:
    """The costs of all operations; in each round of one, the peers that are installed take turns.

    Args:
        sizes: numbers of tasks.
        rounds: of each operation.
        round_seconds: about how long one takes.
        failed: gets the error of each library that fails, which is left out.
    """
    costs = []
    for tasks in sizes:
        kinds = [kind for kind in installed() if not _measured_by_another(kind)]
        fitting = [kind for kind in kinds if tasks <= kind.largest]
        costs += _measure_size(fitting, tasks, rounds, round_seconds, failed)
    return costs


def _measured_by_another(kind: type[Peer]) -> bool:
    """Whether in one process it is the same as the class that it is derived from."""
    return any(base in installed() for base in kind.__mro__[1:])


def _measure_size(
    kinds: Sequence[type[Peer]],
    tasks: int,
    rounds: int,
    round_seconds: float,
    failed: dict[str, str] | None,
) -> list[CallCost]:
    ready: dict[type[Peer], dict[str, _Operation]] = {}
    found: dict[tuple[type[Peer], str], list[float]] = {}
    with ExitStack() as peers:
        for kind in kinds:
            with noted(kind, tasks, failed):
                peer = kind(tasks)
                peers.callback(peer.close)
                ready[kind] = _operations(peer, round_seconds)
        for name in dict.fromkeys(name for operations in ready.values() for name in operations):
            for _ in range(rounds):
                for kind in [kind for kind in ready if name in ready[kind]]:
                    operations = ready.pop(kind)
                    with noted(kind, tasks, failed):
                        call, handled, calls = operations[name]
                        took = seconds(call, calls) / (calls * handled)
                        found.setdefault((kind, name), []).append(took)
                        # One that failed does not come back.
                        ready[kind] = operations
    return [
        CallCost(kind.name, name, tasks, Figures(each))
        for (kind, name), each in found.items()
        if kind in ready
    ]


def _operations(peer: Peer, round_seconds: float) -> dict[str, _Operation]:
    peer.warm_up()
    return {
        name: _Operation(call, handled, calls_a_round(call, round_seconds))
        for name, (call, handled) in peer.operations().items()
    }


if __name__ == "__main__":
    for row in measure():
        least, most = row.seconds.range
        print(
            f"{row.peer:30} {row.operation:20} {row.tasks:9,} tasks: "
            f"{least * 1e6:11.3f} to {most * 1e6:11.3f} us",
            flush=True,
        )
