"""The table of one process."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from curricle._core import Rules, Session, Stream
from curricle.backends.core_backed import CoreBackend


class LocalMemoryBackend(CoreBackend):
    """Task records in private memory; the arguments are those of `CoreBackend`.

    After a fork each process has a copy of its own, and so has whoever unpickles a backend. A
    copy in another process draws from another random stream.

    Example:
        >>> backend = LocalMemoryBackend(100)
        >>> backend.create(7, label="maze")
        True
        >>> backend.get_all_task_ids()
        [7]
    """

    def _open(self, rules: Rules | None) -> Session:
        if rules is None:
            rules = Rules(progress="given")
        return Session(self.max_tasks, rules, **self._session_options())

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        with tempfile.TemporaryDirectory() as folder:
            table = Path(folder, "table")
            self.save(str(table))
            return state | {
                "_session": None,
                "_rules": self.rules,
                "table": table.read_bytes(),
                "pid": os.getpid(),
            }

    def __setstate__(self, state: dict[str, Any]) -> None:
        content, pid = state.pop("table"), state.pop("pid")
        vars(self).update(state)
        with tempfile.TemporaryDirectory() as folder:
            table = Path(folder, "table")
            table.write_bytes(content)
            self.load(str(table))
        if pid != os.getpid():
            self.stream_state = Stream(self.seed, _AFTER_PICKLING + os.getpid()).state


# Numbers of streams that no session gets to by counting.
_AFTER_PICKLING = 2**63
