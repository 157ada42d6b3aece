"""A turn that at most one process has, without waiting for it."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def turn(session: str) -> Iterator[bool]:
    """Whether this process has the turn of the session now; it ends with the block.

    The turn is a bound abstract socket address: the kernel lets one process have it, leaves
    nothing behind, and frees it when the process dies.
    """
    digest = hashlib.blake2s(session.encode()).hexdigest()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as holder:
        try:
            holder.bind(f"\0curricle-weights-{os.getuid()}-{digest}")
        except OSError:
            yield False
        else:
            yield True
