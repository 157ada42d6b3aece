"""Types of the compiled core; ``tests/test_stubs.py`` holds them against the built module."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

__version__: str

@final
class Rules:
    """How a session turns scores into statistics and weights; fixed for the life of the session.

    Args:
        ema_alpha: step of ``reward_ema``, ``ema_squared`` and ``success_rate_ema``, in (0, 1].
        ema_timescale: step ``a`` of the fast EMA and of ``p_true``, in (0, 1].
        slow_timescale_factor: ``b = a * factor`` is the step of the slow EMA, factor in (0, 1].
        score_range: ``(lo, hi)`` that maps scores to [0, 1]; ``None`` leaves scores as they are
            and divides learning progress by the range of the scores that the session has seen.
        baseline: ``None``, a fixed number in [0, 1), or ``"mean"`` for the mean of a task's first
            ``baseline_samples`` scores, capped at 0.75.
        baseline_samples: number of first scores that make the baseline, at least 1.
        reweighting: ``t`` of R(p) = p(1-t) / (p + t(1-2p)), in (0, 1); 0.5 is the identity.
        noise_deviations: standard deviations of pure noise taken off the learning progress, >= 0.
        progress: "bidirectional", "variance" (of the score), "noise-aware", or "given" (set by
            the caller).
        law: "proportional", "sigmoid" (z-scored), or "uniform".
        amplification: ``A`` of the sigmoid law, > 0.
        floor: share of draws that is uniform over the tasks, in [0, 1].
        exploration: weight of a task without a score, in [0, 4096).
        exploration_blend: share of the learning progress in the weight of a task that has
            scores, but fewer than ``min_samples``, in [0, 1].
        min_samples: scores from which a task's weight is its learning progress alone.
        retry_by_column: whether a task that fails is tried again, under "noise-aware", by the
            weight in its first column, in [0, 4096), instead of a constant.
        progress_floor: least learning progress, in [0, 4096).
        performance_bonus: multiple of ``p_true`` added to the learning progress, in [0, 4096).
        success_threshold: threshold of tasks that name none.
        generator_type: ``generator_type`` of tasks that name none.

    Raises:
        ValueError: a number out of its range, or a baseline or reweighting without
            ``score_range``.
    """

    def __new__(
        cls,
        *,
        ema_alpha: float = 0.1,
        ema_timescale: float = 0.1,
        slow_timescale_factor: float = 0.2,
        score_range: tuple[float, float] | None = None,
        baseline: float | Literal["mean"] | None = None,
        baseline_samples: int = 5,
        reweighting: float = 0.5,
        noise_deviations: float = 0.0,
        progress: Literal["bidirectional", "variance", "noise-aware", "given"] = "bidirectional",
        law: Literal["proportional", "sigmoid", "uniform"] = "proportional",
        amplification: float = 10.0,
        floor: float = 0.0,
        exploration: float = 0.1,
        exploration_blend: float = 0.5,
        min_samples: int = 10,
        progress_floor: float = 0.0,
        performance_bonus: float = 0.0,
        success_threshold: float = 0.5,
        generator_type: float = 0.0,
        retry_by_column: bool = False,
    ) -> Rules: ...
    def as_dict(self) -> dict[str, Any]: ...
    def check_score(self, score: float) -> None:
        """ValueError for a score out of its range under these rules."""
    def advance(
        self,
        data: TaskData,
        score: float,
        env_steps: int = 0,
        *,
        span: float | None = None,
        lowest: float = 0.0,
        now: float | None = None,
    ) -> TaskData:
        """The record after one more score; ``data`` stays as it is.

        ``span`` is (highest - lowest) score of the session so far, used where there is no
        ``score_range``, as is ``lowest`` by "noise-aware" progress. This is the one place of the
        update formulas: sessions use it too.
        """
    def weigh(self, data: TaskData) -> float:
        """The weight of a record under the proportional law."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class TaskData:
    """One task's record. A plain mutable value: changing it changes no session."""

    task_id: int
    generation: int
    creation_time: float
    last_scheduled: int
    last_completed: int
    completion_count: int
    scheduled_count: int
    env_steps: int
    reward_ema: float
    ema_squared: float
    success_rate_ema: float
    total_score: float
    last_score: float
    p_fast: float
    p_slow: float
    p_true: float
    random_baseline: float
    lp_score: float
    weight: float
    success_threshold: float
    seed: int
    generator_type: float
    evidence: float
    label: str | None
    columns: tuple[float, ...]
    def __new__(
        cls,
        task_id: int,
        *,
        generation: int = 0,
        creation_time: float = 0.0,
        last_scheduled: int = 0,
        last_completed: int = 0,
        completion_count: int = 0,
        scheduled_count: int = 0,
        env_steps: int = 0,
        reward_ema: float = 0.0,
        ema_squared: float = 0.0,
        success_rate_ema: float = 0.0,
        total_score: float = 0.0,
        last_score: float = 0.0,
        p_fast: float = 0.0,
        p_slow: float = 0.0,
        p_true: float = 0.0,
        random_baseline: float = 0.0,
        lp_score: float = 0.0,
        weight: float = 0.0,
        success_threshold: float = 0.5,
        seed: int = 0,
        generator_type: float = 0.0,
        evidence: float = 0.0,
        label: str | None = None,
        columns: Sequence[float] = (),
    ) -> TaskData: ...
    @property
    def mean_score(self) -> float: ...
    def replace(self, **changes: Any) -> TaskData: ...
    def as_dict(self) -> dict[str, Any]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Ticket:
    """What a draw hands out: the task, the tenancy of its slot and the number of the draw.

    It can be reported once, by whichever process, and so can all its copies together.
    """

    def __new__(cls, task_id: int, slot: int, generation: int, serial: int) -> Ticket: ...
    @property
    def task_id(self) -> int: ...
    @property
    def slot(self) -> int: ...
    @property
    def generation(self) -> int: ...
    @property
    def serial(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Stream:
    """A stream of random draws. State: four 64-bit words."""

    def __new__(cls, seed: int, number: int = 0) -> Stream: ...
    @property
    def state(self) -> tuple[int, int, int, int]: ...
    @state.setter
    def state(self, words: tuple[int, int, int, int]) -> None: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def __setstate__(self, words: tuple[int, int, int, int], /) -> None: ...
    def random(self) -> float:
        """The next number of [0, 1)."""

@final
class Exchange:
    """A node's part in the syncs of its session, and the state of the last one.

    What `begin` and `hear` give is to be said to all nodes; `hear` takes what all have said, in the
    order of ranks, until it gives nothing more.
    """

    def __new__(cls) -> Exchange: ...
    def begin(self, session: Session) -> bytes:
        """Begins a sync: what to say first.

        Raises:
            SessionError: the session keeps no journal.
        """

    def hear(self, session: Session, messages: Sequence[bytes]) -> bytes | None:
        """Hears what all have said; what to say next, None where the sync is done.

        Raises:
            SessionError: nodes that do not fit together, or a message that none can have sent.
        """

    def synced(self) -> dict[str, Any]:
        """What the last sync did, by the names of `curricle.syncing.Synced`."""

@final
class Session:
    """The table of one session: by ``name``, by ``path``, or of this process alone (neither).

    All methods may be called from any thread and any process. Reads take no lock.
    """

    def __new__(
        cls,
        capacity: int | None = None,
        rules: Rules | None = None,
        *,
        name: str | None = None,
        path: str | None = None,
        content: str = "",
        columns: Sequence[str] = (),
        max_labels: int = 256,
        max_inactive_labels: int = 100,
        sync_episodes: int = 0,
        seed: int = 0,
        mode: Literal["create-or-attach", "create", "attach", "read-only"] = "create-or-attach",
        persist: bool = False,
        lock_timeout: float = 10.0,
    ) -> Session:
        """Opens a session. With ``mode="attach"`` or ``"read-only"``, ``capacity`` and ``rules``
        may be left out and come from the session; where they are given they must agree.

        Raises:
            ValueError: a number out of its range, a name that cannot be one.
            SessionError: the session is of another kind, user, boot or container, is missing
                (attach), exists (create), is no session, or memory is short.
        """
    @property
    def name(self) -> str | None: ...
    @property
    def path(self) -> str | None: ...
    @property
    def capacity(self) -> int: ...
    @property
    def rules(self) -> Rules: ...
    @property
    def content(self) -> str: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def max_labels(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def created(self) -> bool: ...
    @property
    def read_only(self) -> bool: ...
    @property
    def closed(self) -> bool: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def created_at(self) -> float | None: ...
    @property
    def live(self) -> bool: ...
    def close(self, *, discard: bool = False) -> None:
        """Leaves the session; the last process to leave removes it unless it persists.

        With ``discard`` that process removes it in any case. The memory itself is given back when
        the object goes, as another thread may be in the midst of a read.
        """
    def __len__(self) -> int: ...
    def __contains__(self, task_id: object, /) -> bool: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

    # Structure: creation, removal, labels.
    def create(
        self,
        task_id: int,
        *,
        success_threshold: float | None = None,
        seed: int | None = None,
        generator_type: float | None = None,
        label: str | None = None,
    ) -> bool:
        """True if the task is new, False if it was there already (and is left as it is)."""
    def create_many(
        self, task_ids: NDArray[np.int64], labels: Sequence[str | None] | None = None
    ) -> NDArray[np.bool_]: ...
    def replace(self, evicted: int, task_id: int, *, label: str | None = None) -> bool:
        """Evicts one task and creates another in one operation.

        False, and nothing done, if ``evicted`` is gone or ``task_id`` is there already.
        """
    def remove(self, task_id: int, *, evict: bool = False) -> bool: ...
    def clear(self) -> None: ...
    def set_label(self, task_id: int, label: str | None) -> None: ...
    def label(self, task_id: int) -> str | None: ...
    def limit_share(self, label: str, least: float = 0.0, most: float = 1.0) -> None:
        """Limits the share of the draws that the tasks of a label get; 0 and 1 take limits off.

        Every process follows them from its next draw on. They are kept in units of 1e-9, and the
        label is not folded into "other" while it has them.

        Raises:
            ValueError: not 0 <= least <= most <= 1, or least shares that add up to more than 1.
            CapacityError: the table of labels is full.
        """
    def steer(self, *, frozen: bool | None = None, uniform: bool | None = None) -> None:
        """Freezes or thaws learning progress and weights, and makes draws uniform or not, in all
        processes from their next call on; None leaves either as it is.

        Frozen tasks are drawn as they were, and none is evicted: scores count, and averages follow
        them, but not what is drawn by. Thawed, each task's progress follows at its next score.
        """
    @property
    def frozen(self) -> bool: ...
    @property
    def uniform(self) -> bool: ...
    def acts(self) -> list[dict[str, Any]]:
        """The last 32 changes of limits, freezing and uniform draws, oldest first.

        serial (its number from 1), time (seconds since the epoch), pid, and act of each: "freeze",
        "draw_uniformly" (both with on) or "limit_share" (with label, least, most); None for what
        an act has not.
        """
    def share_limits(self) -> dict[str, tuple[float, float]]:
        """The labels that have limits: the least and the most share of the draws."""
    def limited_shares(self) -> dict[str | None, tuple[float, float]]:
        """The shares of draws of labels that have limits and tasks, and (None) of all other tasks
        together: by the law alone, and under the limits. Empty where no label has limits.
        """

    # Records.
    def read(self, task_id: int) -> TaskData | None: ...
    def field(self, task_id: int, name: str) -> float:
        """One numeric field; UnknownTaskError if the task is unknown."""
    def write(self, task_id: int, data: TaskData) -> None:
        """Writes a whole record (creates the task if it is unknown). ``generation`` and
        ``weight`` of ``data`` are ignored: the session owns them.
        """
    def index(self, task_id: int) -> int | None:
        """The slot of a task; creation takes the lowest free slot."""
    def task_ids(self) -> NDArray[np.int64]:
        """Ids of all tasks in order of their slots."""
    def snapshot(self) -> NDArray[Any]:
        """All records, shape (n,), a structured array with the names of ``TaskData`` (``label``
        as index into ``labels()``, -1 for none) and one field a column.
        """
    def labels(self) -> list[str | None]: ...

    # Updates.
    def update(self, task_id: int, score: float, env_steps: int = 0) -> float:
        """One score under the rules; an unknown task is created. Returns the task's LP."""
    def update_many(
        self,
        task_ids: NDArray[np.int64],
        scores: NDArray[np.float64],
        env_steps: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float64]:
        """Checked whole before the first write; LP per element, NaN where a full table kept
        an unknown task out.
        """
    def report(self, ticket: Ticket, score: float, env_steps: int = 0) -> float | None:
        """Reports a drawn episode once. LP after it, or None if the task was evicted since
        (counted as late). ValueError for a ticket that was reported before.
        """
    def report_many(
        self,
        tickets: Sequence[Ticket],
        scores: NDArray[np.float64],
        env_steps: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float64]:
        """Reports drawn episodes, each once; checked whole before the first write. LP per
        element, NaN where the task was evicted since (counted as late). ValueError for a ticket
        that was reported before or comes twice.
        """
    def report_and_draw(
        self,
        tickets: Sequence[Ticket],
        scores: NDArray[np.float64],
        env_steps: NDArray[np.int64] | None,
        n: int,
        *,
        stream: Stream | None = None,
        eviction: tuple[int, float] | None = None,
    ) -> tuple[NDArray[np.float64], list[Ticket], int | None]:
        """``report_many`` and then ``draw_many(n)`` in one call. ``eviction``: the arguments of
        ``choose_eviction``, asked between the two; where it names a task, nothing is drawn.
        """
    def set_success_threshold(self, task_id: int, success_threshold: float) -> None: ...
    def set_lp(self, task_id: int, lp_score: float) -> None: ...
    def set_emas(
        self, task_id: int, p_fast: float, p_slow: float, p_true: float, random_baseline: float
    ) -> None: ...
    def set_column(self, task_id: int, name: str, value: float) -> None: ...
    def set_columns(
        self, name: str, task_ids: NDArray[np.int64], values: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """One column of tasks, shape (n,), finite; False for those that are gone."""
    def set_weights(
        self, task_ids: NDArray[np.int64], weights: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Weights of draws, each in [0, 4096); False where the task is gone."""

    # Draws.
    def draw(self, stream: Stream | None = None) -> Ticket:
        """One task by weight; LookupError from an empty table."""
    def draw_many(
        self, n: int, *, replace: bool = True, stream: Stream | None = None
    ) -> list[Ticket]: ...
    def probabilities(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Ids and the exact distribution that draws follow."""
    def choose_eviction(self, min_presentations: int = 5, percentile: float = 1.0) -> int | None:
        """The task of least LP among those with at least ``min_presentations`` completions, if
        its LP lies within the lowest ``percentile`` of all; None where there is none.
        """
    def stream(self, seed: int | None = None) -> Stream:
        """A stream of (session seed, seed), or of (session seed, next stream number)."""
    @property
    def stream_state(self) -> tuple[int, int, int, int]:
        """State of the stream that ``draw()`` uses in this handle."""
    @stream_state.setter
    def stream_state(self, words: tuple[int, int, int, int]) -> None: ...

    # Totals.
    def totals(self) -> dict[str, float]:
        """tasks, created, evicted, removed, completions (lifetime), live_completions, scheduled,
        score_sum (lifetime), live_score_sum, env_steps, lp_mean, lp_std, weight_sum,
        late_reports, recoveries, lock_waits, score_min, score_max.
        """
    def label_totals(self) -> dict[str, dict[str, float]]:
        """Per label: tasks, created, evicted, completions (lifetime), scheduled, score_sum
        (lifetime), env_steps (lifetime), lp_sum (live tasks), lp_mean.
        """
    def label_changes(
        self, versions: NDArray[np.uint64] | None = None
    ) -> tuple[NDArray[np.uint64], list[tuple[int, str | None, float, float, float, float, float]]]:
        """The labels that changed since a call that returned ``versions`` (all, for None).

        ``versions`` for the next call, and a row for each label: number, text (None for a label
        that is gone), mean LP, completions, draws, mean score, evictions.
        """
    def verify(self) -> dict[str, int]:
        """Holds records, index, labels and totals against each other; SessionError names what
        disagrees. To be exact no update may be in flight.
        """
    def digest(self) -> str:
        """Digest of what nodes have in common after a sync, 32 hexadecimal digits.

        Of the tasks with their labels and statistics, the totals, and the range of scores; not of
        draws, columns, limits, the order of slots, and, where the caller gives it, learning
        progress with the weights. Exact where nothing changes meanwhile.
        """

    @property
    def sync_episodes(self) -> int:
        """Episodes that may lie between two syncs with other machines; 0 without a journal."""

    def save(self, path: str) -> int:
        """Writes a checkpoint (atomically); returns its size in bytes."""
    def load(self, path: str) -> None:
        """Replaces the tasks by those of a checkpoint, all or nothing, and the seed by its own;
        CheckpointError. RuntimeWarning where it was saved under other rules: the session's stay.
        """

def checkpoint_columns(path: str | Path) -> list[str] | None:
    """The columns that a session must have to load a checkpoint; None for a file that is none.

    Raises:
        CheckpointError: it is of another version, or the file cannot be read.
    """

def list_sessions() -> list[dict[str, Any]]:
    """All named sessions of this machine, dead ones and other users' included.

    name, path, live and persist (None for another user's), bytes, created (seconds since the
    epoch) and creator (a process id; None where that is not known), processes (ids of those
    attached; None where the system does not tell), modified (seconds since the epoch), owner (a
    user id) of each.
    """

def remove_session(name: str, *, force: bool = False) -> bool: ...
