"""What a call costs in one process, peer by peer: ``python -m benches.peers.calls``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benches.peers.base import Peer
from benches.peers.catalogue import installed, noted
from benches.timing import ROUND_SECONDS, ROUNDS, Figures, cost

SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class CallCost:
    """Seconds a task that an operation of a peer takes, by number of tasks."""

    peer: str
    operation: str
    tasks: int
    seconds: Figures


def measure(
    sizes: Sequence[int] = SIZES,
    rounds: int = ROUNDS,
    round_seconds: float = ROUND_SECONDS,
    failed: dict[str, str] | None = None,
) -> list[CallCost]:
    """The costs of all operations of the peers that are installed.

    Args:
        sizes: numbers of tasks.
        rounds: of each operation.
        round_seconds: about how long one takes.
        failed: gets the error of each library that fails, which is left out.
    """
    costs = []
    for tasks in sizes:
        for kind in installed():
            if tasks <= kind.largest and not _measured_by_another(kind):
                with noted(kind, tasks, failed):
                    costs += _measure_peer(kind, tasks, rounds, round_seconds)
    return costs


def _measured_by_another(kind: type[Peer]) -> bool:
    """Whether in one process it is the same as the class that it is derived from."""
    return any(base in installed() for base in kind.__mro__[1:])


def _measure_peer(
    kind: type[Peer], tasks: int, rounds: int, round_seconds: float
) -> list[CallCost]:
    peer = kind(tasks)
    try:
        peer.warm_up()
        costs = []
        for operation, (call, handled) in peer.operations().items():
            took = cost(call, rounds, round_seconds)
            each = Figures([seconds / handled for seconds in took.rounds])
            costs.append(CallCost(peer.name, operation, tasks, each))
        return costs
    finally:
        peer.close()


if __name__ == "__main__":
    for row in measure():
        least, most = row.seconds.range
        print(
            f"{row.peer:30} {row.operation:20} {row.tasks:9,} tasks: "
            f"{least * 1e6:11.3f} to {most * 1e6:11.3f} us",
            flush=True,
        )
