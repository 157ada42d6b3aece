"""The peers that are installed."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from benches.interrupts import is_interrupt
from benches.peers.base import Peer
from benches.peers.curricle_peer import CurriclePeer
from benches.peers.managed_dict import ManagedDictPeer
from benches.peers.shared_arrays import SharedArraysPeer


def installed() -> list[type[Peer]]:
    """Curricle first; libraries that cannot be imported are left out."""
    return _find()[0]


def missing() -> dict[str, str]:
    """By name the libraries that cannot be imported, and why."""
    return _find()[1]


@contextmanager
def noted(kind: type[Peer], tasks: int, failed: dict[str, str] | None) -> Iterator[None]:
    """Notes and prints an error of a library, so that the others' figures are not lost.

    Args:
        kind: the peer that is measured; errors of Curricle itself go on.
        tasks: its number of tasks.
        failed: where errors are noted; None lets them go on.
    """
    try:
        yield
    except Exception as error:
        if is_interrupt(error):
            raise KeyboardInterrupt from error
        if failed is None or kind is CurriclePeer:
            raise
        traceback.print_exc()
        failed[f"{kind.name}, {tasks:,} tasks"] = f"{type(error).__name__}: {error}"


@cache
def _find() -> tuple[list[type[Peer]], dict[str, str]]:
    peers: list[type[Peer]] = [CurriclePeer, SharedArraysPeer, ManagedDictPeer]
    failures: dict[str, str] = {}
    for name, load in _LIBRARIES.items():
        try:
            peers += load()
        # Libraries of this size fail in many ways, as where one of their own is of another version.
        except Exception as error:
            failures[name] = f"{type(error).__name__}: {error}"
    return peers, failures


def _torchrl() -> list[type[Peer]]:
    from benches.peers.torchrl_peer import TorchRLPeer

    return [TorchRLPeer]


def _syllabus() -> list[type[Peer]]:
    from benches.peers.syllabus_peer import SyllabusPeer, UncountedSyllabusPeer

    return [SyllabusPeer, UncountedSyllabusPeer]


_LIBRARIES: dict[str, Callable[[], list[type[Peer]]]] = {
    "torchrl": _torchrl,
    "syllabus-rl": _syllabus,
}
