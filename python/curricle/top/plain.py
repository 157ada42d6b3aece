"""One snapshot of a session as text, for a pipe."""

from __future__ import annotations

import time

from curricle._core import Session
from curricle.top.heading import heading
from curricle.top.history import History
from curricle.top.look import look_at
from curricle.top.views import plain_text

# Between two looks, for rates.
_SECONDS = 1.0


def snapshot(session: Session, name: str) -> str:
    """The lines of the heading and of all labels, with rates over a second where it is live."""
    history = History()
    look = look_at(session)
    history.add(look)
    if look.live:
        time.sleep(_SECONDS)
        look = look_at(session)
        history.add(look)
    state = "live" if look.live else "ended"
    return plain_text(heading(name, session.created_at, look, history, state), history)
