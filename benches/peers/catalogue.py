"""The peers that are installed."""

from __future__ import annotations

from importlib.util import find_spec

from benches.peers.base import Peer
from benches.peers.curricle_peer import CurriclePeer
from benches.peers.managed_dict import ManagedDictPeer
from benches.peers.shared_arrays import SharedArraysPeer


def installed() -> list[type[Peer]]:
    """Curricle first; libraries that are not there are left out."""
    peers: list[type[Peer]] = [CurriclePeer, SharedArraysPeer, ManagedDictPeer]
    if find_spec("torchrl") is not None:
        from benches.peers.torchrl_peer import TorchRLPeer

        peers.append(TorchRLPeer)
    if find_spec("syllabus") is not None:
        from benches.peers.syllabus_peer import SyllabusPeer, UncountedSyllabusPeer

        peers += [SyllabusPeer, UncountedSyllabusPeer]
    return peers
