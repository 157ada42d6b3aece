"""Looking into a session that other processes work on."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from typing import Literal

from curricle._core import Session, list_sessions
from curricle.errors import SessionError


def look_into(session: str) -> Session:
    """A session for reading; whoever looks is none of its processes and disturbs none.

    Args:
        session: name of a session of this machine, or the path of its file (with a ``/`` in it).

    Raises:
        SessionError: there is no such session, with the names that come close, or it is another
            user's or damaged.
    """
    return find_session(session, "read-only")


def find_session(session: str, mode: Literal["attach", "read-only"]) -> Session:
    """A session by its name or path: `look_into`, or one to change as one of its processes."""
    if os.sep in session:
        return Session(path=session, mode=mode)
    known = [facts["name"] for facts in list_sessions()]
    if session in known:
        return Session(name=session, mode=mode)
    raise no_such_session(session, known)


def no_such_session(session: str, known: Iterable[str]) -> SessionError:
    """The error that says so, with those of the ``known`` names that come close."""
    hint = did_you_mean(session, known) or "curricle ls lists them"
    return SessionError(f"there is no session {session!r} on this machine; {hint}")


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """A question that names what comes close to ``text``; empty where nothing does."""
    close = difflib.get_close_matches(text, list(known), n=3)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else ""
