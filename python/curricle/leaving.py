"""Leaving sessions at the end of a process, however it ends short of being killed.

A session that is still open when its process ends would count the process as a member, and its
memory would stay. Dropping the last reference leaves a session, but not all ends of a process
drop what it holds: multiprocessing children end in ``os._exit``, and daemon threads keep theirs.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Protocol, TypeAlias
from weakref import WeakSet

from curricle.errors import SessionError

_ShowError: TypeAlias = Callable[[threading.ExceptHookArgs], Any]


class _Leaver(Protocol):
    def close(self) -> None: ...


class _Members:
    """What is open in this process, and whether its end is being watched."""

    def __init__(self) -> None:
        self.open: WeakSet[_Leaver] = WeakSet()
        self.watched = False

    def watch(self) -> None:
        # Imported late: only processes that share a session need it.
        from multiprocessing import util

        self.watched = True
        self._finish_with_multiprocessing()
        # A child clears the finalizers that it got from its parent, then calls this.
        util.register_after_fork(self, _Members._finish_with_multiprocessing)
        # A child of a bare os.fork ends without multiprocessing.
        os.register_at_fork(after_in_child=lambda: atexit.register(self.leave))

    def _finish_with_multiprocessing(self) -> None:
        from multiprocessing import util

        # Below 0: after the children are joined, and daemon children ended, so that the last to
        # leave is alive to remove the memory.
        util.Finalize(None, self.leave, exitpriority=-100)

    def leave(self) -> None:
        if self.open:
            threading.excepthook = _except_of_daemons(threading.excepthook)
        with ExitStack() as leaving:
            for member in list(self.open):
                leaving.callback(member.close)


def _except_of_daemons(show: _ShowError) -> _ShowError:
    """A hook that is silent where a daemon thread finds its session closed.

    Such threads go on until the interpreter stops them, for moments in which that is no error.
    """

    def show_others(error: threading.ExceptHookArgs) -> None:
        of_daemon = error.thread is not None and error.thread.daemon
        if not (of_daemon and issubclass(error.exc_type, SessionError)):
            show(error)

    return show_others


_MEMBERS = _Members()


def leave_at_exit(member: _Leaver) -> None:
    """Closes ``member`` when the process ends, if it is alive then; closing twice is no harm."""
    if not _MEMBERS.watched:
        _MEMBERS.watch()
    _MEMBERS.open.add(member)
