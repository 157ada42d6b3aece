"""Which session is meant."""

from __future__ import annotations

from curricle._core import Session, list_sessions
from curricle.errors import SessionError
from curricle.looking import look_into


def find(name: str | None) -> tuple[Session, str]:
    """The session of a name or path, or the only live one, for reading, and what it is called.

    Raises:
        SessionError: there is none of the name; or none is named and there is not one live one.
    """
    if name is not None:
        return look_into(name), name
    live = sorted(facts["name"] for facts in list_sessions() if facts["live"])
    if not live:
        raise SessionError("no session is live on this machine; name a dead one to look into it")
    if len(live) > 1:
        raise SessionError(f"{len(live)} sessions are live; name one of them: {', '.join(live)}")
    return look_into(live[0]), live[0]
