"""Syncs of a session with those of other machines, over any all-gather of bytes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

from curricle._core import Exchange, Session

AllGather = Callable[[bytes], list[bytes]]
"""Takes this node's bytes and returns those of all nodes, in the order of their ranks."""


@dataclass(frozen=True)
class Synced:
    """What a sync did.

    Attributes:
        number: of the sync, from 1.
        digest: of the state that all nodes have after it, 32 hexadecimal digits.
        nodes: number of nodes that took part.
        rank: of this node.
        episodes: number of episodes that all nodes sent.
        late: those among them whose task was gone: evicted by a node of lower rank, for one.
        sent_bytes: bytes that this node sent.
        heard_bytes: bytes that it heard from all together.
        joined: ranks that had not the state of the last sync and were given it.
        parted: ranks among them that had synced with others meanwhile, which is lost.
        doubtful: ranks among them that left an earlier sync before its end, while nobody who ended
            it lives on: their last episodes are taken for counted.
    """

    number: int
    digest: str
    nodes: int
    rank: int
    episodes: int
    late: int
    sent_bytes: int
    heard_bytes: int
    joined: list[int]
    parted: list[int]
    doubtful: list[int]


def exchange(exchange: Exchange, session: Session, all_gather: AllGather) -> Synced:
    """One sync; see `TaskTracker.exchange`."""
    message: bytes | None = exchange.begin(session)
    while message is not None:
        message = exchange.hear(session, all_gather(message))
    synced = Synced(**exchange.synced())
    for rank in synced.parted:
        warnings.warn(
            f"rank {rank} had synced with other nodes since it left these: what it has of those "
            f"syncs is not in sync {synced.number} and is lost; let one group of nodes go on at a "
            "time",
            RuntimeWarning,
            stacklevel=4,
        )
    for rank in synced.doubtful:
        warnings.warn(
            f"rank {rank} did not see the end of a sync, and no process that did is left to say "
            "whether its episodes were in it: they are taken for counted. They are lost if the "
            "others had gone on without it",
            RuntimeWarning,
            stacklevel=4,
        )
    return synced
