"""The tracker of earlier trainers, by its two generations of names."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from curricle import tracker
from curricle._core import TaskData
from curricle.backends.base import TaskMemoryBackend
from curricle.compat.locks import lock_of
from curricle.compat.lp_scorers import EmaLaw, LPScorer, ema_law
from curricle.compat.memory_backend import LocalMemoryBackend, SharedMemoryBackend
from curricle.compat.slot_views import first_free
from curricle.errors import UnknownTaskError

__all__ = ["CentralizedTaskTracker", "LocalTaskTracker", "TaskTracker", "create_task_tracker"]


class TaskTracker(tracker.TaskTracker):
    """A `curricle.TaskTracker` with the calls of earlier trackers.

    Its arguments are those of `curricle.TaskTracker`; the backend that it makes where none is
    given has slots as arrays.

    Example:
        >>> tracker = TaskTracker(max_memory_tasks=10)
        >>> tracker.update_task_performance(7, 0.5)
        >>> tracker.get_state()["task_memory"][7]["completion_count"]
        1
    """

    def __init__(
        self,
        max_memory_tasks: int = 1000,
        ema_alpha: float = 0.1,
        backend: TaskMemoryBackend | None = None,
        default_success_threshold: float = 0.5,
        default_generator_type: float = 0.0,
        enable_task_list_cache: bool = True,
    ) -> None:
        super().__init__(
            max_memory_tasks,
            ema_alpha,
            LocalMemoryBackend(max_memory_tasks) if backend is None else backend,
            default_success_threshold,
            default_generator_type,
            enable_task_list_cache,
        )

    def _bind(self, backend: TaskMemoryBackend) -> None:
        super()._bind(backend)
        self._ema_law: EmaLaw = ema_law(backend.rules)

    def track_task_creation(
        self,
        task_id: int,
        success_threshold: float | None = None,
        seed: float | None = None,
        generator_type: float | None = None,
        *,
        label: str | None = None,
    ) -> bool:
        """Creates a task; False if it was there already (and is left as it is).

        Args:
            task_id: any 64-bit signed integer.
            success_threshold: score from which an episode is a success.
            seed: a whole number within [0, 2**64); earlier trackers kept it as a float.
            generator_type: any finite number.
            label: 1 to 120 bytes of UTF-8.

        Raises:
            CapacityError: the table is full.
        """
        if isinstance(seed, float) and seed.is_integer():
            seed = int(seed)
        return super().track_task_creation(
            task_id,
            success_threshold,
            seed,  # type: ignore[arg-type]
            generator_type,
            label=label,
        )

    def update_bidirectional_emas(
        self, task_id: int, p_fast: float, p_slow: float, p_true: float, random_baseline: float
    ) -> None:
        """EMAs that the caller computed; for an unknown task a warning, and nothing is written."""
        with _warning_of_unknown(task_id):
            super().update_bidirectional_emas(task_id, p_fast, p_slow, p_true, random_baseline)

    def update_lp_score(self, task_id: int, lp_score: float) -> None:
        """LP that the caller computed; for an unknown task a warning, and nothing is written."""
        with _warning_of_unknown(task_id):
            super().update_lp_score(task_id, lp_score)

    def set_task_label(self, task_id: int, label: str | None) -> None:
        """Labels a task; for an unknown one a warning, and nothing is written."""
        with _warning_of_unknown(task_id):
            super().set_task_label(task_id, label)

    def update_task_performance_with_bidirectional_emas(
        self,
        task_id: int,
        score: float,
        scorer: LPScorer | None = None,
        success_threshold: float | None = None,
    ) -> None:
        """One score that moves all EMAs as one; creates the task if it is unknown.

        One update of the core, like `update_task_performance`, where the scorer's steps of the
        EMAs, range of scores and baseline are those of the backend's rules. Else the EMAs of the
        scorer's own steps follow under the table's lock.

        Args:
            task_id: the task.
            score: finite, within [-1e9, 1e9].
            scorer: whose steps p_fast, p_slow and p_true follow; ``None``: those of the backend.
            success_threshold: the task's threshold from now on.

        Raises:
            ValueError: a number out of its range; nothing is written.
            CapacityError: an unknown task and a full table.
        """
        if scorer is None or scorer.ema_law == self._ema_law:
            self.update_task_performance(task_id, score, success_threshold=success_threshold)
            return
        with lock_of(self.backend).hold():
            before = self.backend.read(task_id) or TaskData(task_id)
            after = scorer.rules.advance(before, score)
            self.update_task_performance(task_id, score, success_threshold=success_threshold)
            try:
                self.backend.set_emas(
                    task_id, after.p_fast, after.p_slow, after.p_true, after.random_baseline
                )
            except UnknownTaskError:
                # Evicted by another process since; its score is in the totals.
                return

    def cleanup_shared_memory(self) -> None:
        """Leaves the session; the last process to leave removes it. Nothing for a local one."""
        if not isinstance(self.backend, LocalMemoryBackend):
            super().cleanup_shared_memory()

    @property
    def _task_id_to_index(self) -> Mapping[int, int]:
        return _Slots(self.backend)

    @property
    def _next_free_index(self) -> int:
        return first_free(self.backend)


class LocalTaskTracker(TaskTracker):
    """A tracker of this process alone.

    Args:
        max_memory_tasks: capacity of the table, >= 1.
        ema_alpha: step of ``reward_ema``, ``ema_squared`` and ``success_rate_ema``, in (0, 1].
    """

    def __init__(self, max_memory_tasks: int = 1000, ema_alpha: float = 0.1) -> None:
        super().__init__(max_memory_tasks, ema_alpha)


class CentralizedTaskTracker(TaskTracker):
    """A tracker that all processes share which name its session.

    Args:
        max_memory_tasks: capacity of the table, >= 1; the same in all processes.
        session_id: name of the session. ``None``: CURRICLE_SESSION, else a new unique name.
        ema_alpha: step of ``reward_ema``, ``ema_squared`` and ``success_rate_ema``, in (0, 1].
        task_struct_size: no longer means anything.
        completion_history_size: no longer means anything; totals are exact without a history.
    """

    def __init__(
        self,
        max_memory_tasks: int = 1000,
        session_id: str | None = None,
        ema_alpha: float = 0.1,
        task_struct_size: int | None = None,
        completion_history_size: int = 1000,
    ) -> None:
        if completion_history_size != 1000:
            warnings.warn(
                "completion_history_size no longer means anything: totals are exact without a "
                "history",
                DeprecationWarning,
                stacklevel=2,
            )
        backend = SharedMemoryBackend(max_memory_tasks, session_id, task_struct_size)
        super().__init__(max_memory_tasks, ema_alpha, backend)

    @property
    def session_id(self) -> str | None:
        """Name of the session."""
        return self.backend.name


def create_task_tracker(
    max_memory_tasks: int,
    ema_alpha: float,
    use_shared_memory: bool,
    default_success_threshold: float,
    default_generator_type: float,
    _session_id: str | None = None,
    enable_task_list_cache: bool = True,
) -> TaskTracker:
    """A tracker over shared memory if ``use_shared_memory``, else over its own.

    Args:
        max_memory_tasks: capacity of the table, >= 1.
        ema_alpha: step of ``reward_ema``, ``ema_squared`` and ``success_rate_ema``, in (0, 1].
        use_shared_memory: whether other processes share the table.
        default_success_threshold: score from which an episode is a success.
        default_generator_type: ``generator_type`` of tasks that name none.
        _session_id: name of the session. ``None``: CURRICLE_SESSION, else a new unique name.
        enable_task_list_cache: no longer means anything; the list of tasks needs no cache.
    """
    backend: TaskMemoryBackend | None = None
    if use_shared_memory:
        backend = SharedMemoryBackend(max_memory_tasks, _session_id)
    return TaskTracker(
        max_memory_tasks,
        ema_alpha,
        backend,
        default_success_threshold,
        default_generator_type,
        enable_task_list_cache,
    )


@contextmanager
def _warning_of_unknown(task_id: int) -> Iterator[None]:
    """Where earlier trackers went on: another process may have evicted the task meanwhile."""
    try:
        yield
    except UnknownTaskError:
        warnings.warn(
            f"task {task_id} is not in the tracker (any more), so nothing was written: create it "
            "with track_task_creation first",
            RuntimeWarning,
            stacklevel=4,
        )


class _Slots(Mapping[int, int]):
    """Slots by task id, as they are when they are asked for."""

    def __init__(self, backend: TaskMemoryBackend) -> None:
        self._backend = backend

    def __getitem__(self, task_id: int) -> int:
        slot = self._backend.index(task_id)
        if slot is None:
            raise KeyError(task_id)
        return slot

    def __iter__(self) -> Iterator[int]:
        return iter(self._backend.task_ids().tolist())

    def __len__(self) -> int:
        return len(self._backend)

    def __repr__(self) -> str:
        return repr(dict(self))
