"""What stays of a session whose handle was closed: its settings, and an error for the rest."""

from __future__ import annotations

from typing import Any, NoReturn

from curricle._core import Rules, Session
from curricle.errors import SessionError


class ClosedSession:
    """Stands in for a closed session, whose memory goes with the last call that still reads it.

    Args:
        session: the session; it is closed already.

    Raises:
        SessionError: by every use but that of the attributes and of ``close``.
    """

    closed = True

    def __init__(self, session: Session) -> None:
        self.rules: Rules = session.rules
        self.columns = session.columns
        self.seed = session.seed
        self.capacity = session.capacity
        self.max_labels = session.max_labels
        self.name, self.path = session.name, session.path
        self.created = session.created
        try:
            len(session)
        except SessionError as error:
            self._error = str(error)

    def close(self, *, discard: bool = False) -> None:
        """Does nothing: closed is closed."""

    def __getattr__(self, name: str) -> Any:
        def refused(*_: Any, **__: Any) -> NoReturn:
            raise SessionError(self._error)

        # No method of a session has an underscore; what looks for such a name takes its absence.
        if name.startswith("_") or not hasattr(Session, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if callable(getattr(Session, name)):
            return refused
        return refused()

    def __len__(self) -> int:
        raise SessionError(self._error)

    def __reduce__(self) -> NoReturn:
        raise SessionError(self._error)
