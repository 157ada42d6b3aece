"""The errors of Curricle; each also derives from the built-in error that it specialises."""


class CurricleError(Exception):
    """Base of all errors that are Curricle's own."""


class CapacityError(CurricleError, RuntimeError):
    """The table of tasks or of labels is full; the message names the limit and the way out."""


class UnknownTaskError(CurricleError, KeyError):
    """No such task in the session."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, which would quote the sentence.
        return Exception.__str__(self)


class EmptyTableError(CurricleError, LookupError):
    """A draw from a table without tasks."""


class SessionError(CurricleError, OSError):
    """A session cannot be created, attached or trusted; the message names both sides."""


class LockTimeoutError(CurricleError, TimeoutError):
    """A lock was not had in time; the message names the holder."""


class CheckpointError(CurricleError, ValueError):
    """A checkpoint cannot be read or written; the session is unchanged."""
