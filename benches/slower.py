"""Where a call of Curricle costs more than another's, and why."""

from __future__ import annotations

from collections.abc import Sequence

from benches.peers.base import BATCH
from benches.peers.calls import CallCost
from benches.peers.curricle_peer import CurriclePeer
from benches.peers.shared_arrays import SharedArraysPeer

# By its name, as it may not be installed.
_TORCHRL = "TorchRL PrioritizedSampler"
# By operation and peer; said only where the figures have it.
_REASONS = {
    ("score all tasks", SharedArraysPeer.name): (
        "Curricle goes over words that others write meanwhile, and gives the id of each task with "
        "its share, as tasks come and go while a session runs; in the arrays a task's place is its "
        "id, and NumPy adds up what nobody may touch."
    ),
    (f"draw {BATCH:,} at once", _TORCHRL): (
        "Curricle makes an object of each draw, with the task itself and the ticket for its one "
        "report; the other fills an array of indices."
    ),
    (f"update {BATCH:,} at once", _TORCHRL): (
        "Curricle brings averages, counts and the totals of label and session up to date, in such "
        "a way that a process killed in between leaves them whole; the other stores one number."
    ),
}


def slower(costs: Sequence[CallCost]) -> str:
    """A list in Markdown of the operations and peers with a ratio under 1, or that there is none.

    Args:
        costs: with Curricle's of each operation and number of tasks.
    """
    ours = {
        (row.operation, row.tasks): row.seconds for row in costs if row.peer == CurriclePeer.name
    }
    found: dict[tuple[str, str], list[str]] = {}
    for row in costs:
        times = row.seconds.over(ours[row.operation, row.tasks]).median
        if times < 1.0:
            where = found.setdefault((row.operation, row.peer), [])
            where.append(f"{times:.2f}x at {row.tasks:,}")
    if not found:
        return "No call of Curricle took longer than another's."
    lines = []
    for (operation, peer), where in found.items():
        reason = _REASONS.get((operation, peer), "")
        lines.append(f"- {operation}, beside {peer}: {', '.join(where)} tasks. {reason}".rstrip())
    return "\n".join(["Where Curricle is the slower one:", "", *lines])
