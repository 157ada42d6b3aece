"""Syncs of a session with those of other machines, over any all-gather of bytes."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from curricle._core import Exchange, Session
from curricle.errors import SessionError

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


class SyncingNode:
    """What a process that syncs keeps from one sync to the next."""

    def __init__(self) -> None:
        self._exchange = Exchange()
        self._syncs = threading.Lock()

    def exchange(self, session: Session, all_gather: AllGather) -> Synced:
        """One sync; see `TaskTracker.exchange`."""
        if not self._syncs.acquire(blocking=False):
            raise SessionError(
                "another thread of this process is in a sync of the session: sync in one of them"
            )
        try:
            message: bytes | None = self._exchange.begin(session)
            while message is not None:
                heard = _checked(all_gather(message))
                message = self._exchange.hear(session, heard)
            synced = Synced(**self._exchange.synced())
        finally:
            self._syncs.release()
        _warn_of_losses(synced)
        return synced


def _checked(payloads: object) -> Sequence[bytes]:
    """What a transport has brought, if it is what it has to be."""
    what = type(payloads).__name__
    if isinstance(payloads, list | tuple):
        others = [item for item in payloads if not isinstance(item, bytes | bytearray)]
        if not others:
            return payloads
        what += f" with a {type(others[0]).__name__}"
    raise TypeError(
        f"all_gather returned a {what}: it has to return a list of bytes, those of each node in "
        "the order of ranks"
    )


def _warn_of_losses(synced: Synced) -> None:
    for rank in synced.parted:
        warnings.warn(
            f"rank {rank} had synced with other nodes since it left these: what it has of those "
            f"syncs is not in sync {synced.number} and is lost; let one group of nodes go on at a "
            "time",
            RuntimeWarning,
            stacklevel=5,
        )
    for rank in synced.doubtful:
        warnings.warn(
            f"rank {rank} did not see the end of a sync, and no process that did is left to say "
            "whether its episodes were in it: they are taken for counted. They are lost if the "
            "others had gone on without it",
            RuntimeWarning,
            stacklevel=5,
        )
