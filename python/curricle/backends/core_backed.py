"""What the local and the shared backend have in common: every method is one call of the core."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, cast

from curricle._core import Rules, Session
from curricle.backends.base import TaskMemoryBackend
from curricle.backends.closed import ClosedSession
from curricle.syncing import AllGather, Synced, SyncingNode

# Room for labels where nobody says how much.
LABELS_AT_LEAST, LABELS_AT_MOST = 256, 4096


class _Core:
    """A method of the session, kept in the backend so that hot calls cost no Python frame."""

    def __init__(self, method: str) -> None:
        self.method = method

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, backend: CoreBackend | None, owner: type) -> Any:
        if backend is None:
            return self
        bound = getattr(backend.session, self.method)
        vars(backend)[self.name] = bound
        return bound


class CoreBackend(TaskMemoryBackend):
    """A backend over a session of the compiled core.

    The session opens at first use, so that a tracker can still say by which rules.

    Args:
        max_tasks: capacity of the table, >= 1.
        task_struct_size: no longer means anything; the core owns the layout of a record.
        rules: how scores become statistics and weights. ``None``: those of the session that is
            there already, else those of the tracker that uses the backend.
        columns: names of up to 8 columns for an algorithm's own state.
        seed: seed of the random streams.
        max_labels: number of labels that the table can hold. ``None``: one for each task and each
            inactive label, at least 256 and at most 4096.
        max_inactive_labels: labels without tasks that keep an entry of their own.
        sync_episodes: episodes that may lie between two syncs with other machines; 0: none.

    Raises:
        ValueError: at first use, a number out of its range.
        SessionError: at first use, a session of other capacity, rules or columns.
    """

    def __init__(
        self,
        max_tasks: int,
        task_struct_size: int | None = None,
        *,
        rules: Rules | None = None,
        columns: Sequence[str] = (),
        seed: int = 0,
        max_labels: int | None = None,
        max_inactive_labels: int = 100,
        sync_episodes: int = 0,
    ) -> None:
        if task_struct_size is not None:
            warnings.warn(
                "task_struct_size no longer means anything: the compiled core owns the layout "
                "of a record; name an algorithm's own state in columns",
                DeprecationWarning,
                stacklevel=3,
            )
        self.max_tasks = max_tasks
        self._rules = rules
        self._options: dict[str, Any] = {
            "columns": tuple(columns),
            "seed": seed,
            "max_labels": max_labels,
            "max_inactive_labels": max_inactive_labels,
            "sync_episodes": sync_episodes,
        }
        self._session: Session | None = None
        self._node: SyncingNode | None = None

    read_task = _Core("read")
    read = _Core("read")
    write_task = _Core("write")
    create = _Core("create")
    create_many = _Core("create_many")
    replace = _Core("replace")
    remove = _Core("remove")
    clear = _Core("clear")
    set_label = _Core("set_label")
    update_score = _Core("update")
    update_scores = _Core("update_many")
    report = _Core("report")
    report_many = _Core("report_many")
    report_and_draw = _Core("report_and_draw")
    set_success_threshold = _Core("set_success_threshold")
    set_lp = _Core("set_lp")
    set_emas = _Core("set_emas")
    set_weights = _Core("set_weights")
    draw = _Core("draw")
    draw_many = _Core("draw_many")
    probabilities = _Core("probabilities")
    limit_share = _Core("limit_share")
    share_limits = _Core("share_limits")
    limited_shares = _Core("limited_shares")
    steer = _Core("steer")
    acts = _Core("acts")
    choose_eviction = _Core("choose_eviction")
    stream = _Core("stream")
    index = _Core("index")
    task_ids = _Core("task_ids")
    snapshot = _Core("snapshot")
    labels = _Core("labels")
    totals = _Core("totals")
    label_totals = _Core("label_totals")
    label_changes = _Core("label_changes")
    verify = _Core("verify")
    digest = _Core("digest")
    save = _Core("save")
    load = _Core("load")

    @abstractmethod
    def _open(self, rules: Rules | None) -> Session:
        """Opens the session; ``rules`` go before those of the backend, which may have none."""

    @property
    def session(self) -> Session:
        """The core's session; opens it at first use."""
        if self._session is None:
            self._session = self._open(self._rules)
        return self._session

    def start(self, rules: Rules) -> None:
        """Opens the session, by these rules if neither backend nor session has any yet."""
        if self._session is None:
            self._session = self._open(self._rules if self._rules is not None else rules)

    def _session_options(self) -> dict[str, Any]:
        options = dict(self._options)
        if options["max_labels"] is None:
            labels = self.max_tasks + options["max_inactive_labels"]
            options["max_labels"] = min(max(labels, LABELS_AT_LEAST), LABELS_AT_MOST)
        return options

    def allocate(self, max_tasks: int) -> None:
        """Opens the session for ``max_tasks`` tasks; ValueError if it is open for others."""
        if self._session is not None and max_tasks != self.max_tasks:
            raise ValueError(
                f"max_tasks={max_tasks}, but the session is open for {self.max_tasks} tasks; "
                "a session grows by loading its checkpoint into a larger one"
            )
        self.max_tasks = max_tasks
        _ = self.session

    def get_all_task_ids(self) -> list[int]:
        """Ids of all tasks in order of their slots."""
        ids: list[int] = self.session.task_ids().tolist()
        return ids

    def __len__(self) -> int:
        return len(self.session)

    def delete_task(self, task_id: int) -> None:
        """Removes a task; its counts stay in the totals."""
        self.session.remove(task_id)

    @property
    def rules(self) -> Rules:
        """The rules of the session."""
        return self.session.rules

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of an algorithm's own columns."""
        return self.session.columns

    @property
    def frozen(self) -> bool:
        """Whether scores leave learning progress and weights as they are."""
        return self.session.frozen

    @property
    def uniform(self) -> bool:
        """Whether every task is drawn alike, whatever the law of the rules."""
        return self.session.uniform

    @property
    def seed(self) -> int:
        """Seed of the random streams."""
        return self.session.seed

    @property
    def stream_state(self) -> tuple[int, int, int, int]:
        """State of the stream that `draw` uses where none is given."""
        return self.session.stream_state

    @stream_state.setter
    def stream_state(self, words: tuple[int, int, int, int]) -> None:
        self.session.stream_state = words

    def exchange(self, all_gather: AllGather) -> Synced:
        """Syncs the session with those of other machines; see `TaskTracker.exchange`."""
        if self._node is None:
            self._node = SyncingNode()
        return self._node.exchange(self.session, all_gather)

    def close(self) -> None:
        """Leaves the session; the last process to leave removes it unless it persists."""
        self._leave(discard=False)

    def discard(self) -> None:
        """Leaves the session; if this backend has made it, nothing stays of it."""
        self._leave(discard=True)

    def _leave(self, *, discard: bool) -> None:
        session = self._session
        if session is None or session.closed:
            return
        try:
            session.close(discard=discard and session.created)
        finally:
            # Nothing but calls of other threads that are under way keeps the memory now.
            self._session = cast("Session", ClosedSession(session))
            hot = {k for k, v in vars(CoreBackend).items() if isinstance(v, _Core)}
            for name in hot & vars(self).keys():
                del vars(self)[name]

    def __getstate__(self) -> dict[str, Any]:
        _ = self.session
        own = vars(CoreBackend)
        state = {k: v for k, v in vars(self).items() if not isinstance(own.get(k), _Core)}
        # The state of the last sync stays with the process that syncs.
        return state | {"_node": None}
