"""The table that processes share by its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from curricle._core import Rules, Session
from curricle.backends.core_backed import CoreBackend
from curricle.config import session_name
from curricle.errors import SessionError
from curricle.leaving import leave_at_exit


class SharedMemoryBackend(CoreBackend):
    """Task records in shared memory: every process that names the session works on them.

    Args:
        max_tasks: capacity of the table, >= 1; the same in all processes.
        session_id: name of the session. ``None``: CURRICLE_SESSION, else a new unique name.
        task_struct_size: no longer means anything.
        path: a file in place of a name; its session outlives a clean shutdown.
        rules: as in `CoreBackend`.
        columns: as in `CoreBackend`.
        seed: as in `CoreBackend`.
        max_labels: as in `CoreBackend`.
        max_inactive_labels: as in `CoreBackend`.
        sync_episodes: as in `CoreBackend`.
        persist: keep the session after the last process has left it.
        content: what the session is for, at most 120 bytes of UTF-8; a session that says another
            one is refused. "" says nothing.

    Pickled, it attaches to the session again. A process that ends without `close` leaves the
    session all the same, unless it is killed.

    Example:
        >>> backend = SharedMemoryBackend(100, "example-of-shared")
        >>> other = SharedMemoryBackend(100, "example-of-shared")
        >>> backend.create(7)
        True
        >>> other.get_all_task_ids()
        [7]
    """

    def __init__(
        self,
        max_tasks: int,
        session_id: str | None = None,
        task_struct_size: int | None = None,
        *,
        path: str | None = None,
        rules: Rules | None = None,
        columns: Sequence[str] = (),
        seed: int = 0,
        max_labels: int | None = None,
        max_inactive_labels: int = 100,
        sync_episodes: int = 0,
        persist: bool = False,
        content: str = "",
    ) -> None:
        super().__init__(
            max_tasks,
            task_struct_size,
            rules=rules,
            columns=columns,
            seed=seed,
            max_labels=max_labels,
            max_inactive_labels=max_inactive_labels,
            sync_episodes=sync_episodes,
        )
        if session_id is not None and path is not None:
            raise ValueError(f"give session_id={session_id!r} or path={path!r}, not both")
        self.path = path
        self.name = session_name() if session_id is None and path is None else session_id
        self._persist = persist
        self._content = content

    @property
    def session_id(self) -> str | None:
        """Name of the session; ``None`` where it has a path."""
        return self.name

    def _open(self, rules: Rules | None) -> Session:
        options: dict[str, Any] = {
            **self._session_options(),
            "name": self.name,
            "path": self.path,
            "persist": self._persist,
            "content": self._content,
        }
        leave_at_exit(self)
        if self._rules is None:
            # The rules of a session that is there already count, not a tracker's defaults.
            try:
                return Session(self.max_tasks, mode="attach", **options)
            except SessionError:
                pass
        return Session(self.max_tasks, rules or Rules(progress="given"), **options)

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        leave_at_exit(self)
