"""Nodes on one machine: a session each, and an all-gather among threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from curricle import Curriculum, TaskTracker
from curricle.syncing import AllGather, Synced

Syncs = Curriculum | TaskTracker


class Room:
    """Where as many threads as there are nodes leave their bytes and take those of all."""

    def __init__(self, nodes: int) -> None:
        self.barrier = threading.Barrier(nodes, timeout=60)
        self.messages: list[bytes] = [b""] * nodes

    def door(self, rank: int) -> AllGather:
        """The all-gather of one node."""

        def all_gather(message: bytes) -> list[bytes]:
            self.messages[rank] = message
            self.barrier.wait()
            messages = list(self.messages)
            self.barrier.wait()
            return messages

        return all_gather


def at_once(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """What they give, each in a thread of its own."""
    with ThreadPoolExecutor(len(works)) as threads:
        return [each.result() for each in [threads.submit(work) for work in works]]


def sync(nodes: Sequence[Syncs], room: Room | None = None) -> list[Synced]:
    """One sync of all nodes."""
    room = room or Room(len(nodes))

    def part(rank: int) -> Synced:
        try:
            return nodes[rank].exchange(room.door(rank))
        except BaseException:
            # Nobody waits for a node that failed.
            room.barrier.abort()
            raise

    return at_once([lambda rank=rank: part(rank) for rank in range(len(nodes))])
