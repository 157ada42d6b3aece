"""What an algorithm of a curriculum is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

from numpy.typing import ArrayLike, NDArray

from curricle._core import Stream, Ticket
from curricle.backends.base import TaskMemoryBackend
from curricle.backends.factory import create_memory_backend
from curricle.config import SessionConfig
from curricle.tasks import CurriculumTask
from curricle.tracker import TaskTracker


@runtime_checkable
class WeightAlgorithm(Protocol):
    """An algorithm that gives weights for a snapshot of all tasks.

    Where it has an attribute ``update_every`` (default 100), that many completions pass between
    two calls. Where it has an attribute ``columns``, up to 8 names, the snapshot has these fields
    as well, 0.0 for a new task; what ``weights`` assigns to them there, the session keeps, and one
    process at a time computes, so that all processes go on with the same state.
    """

    def weights(self, snapshot: NDArray[Any], /) -> ArrayLike | None:
        """Weights of draws, shape (n,), finite and >= 0, in the order of the snapshot.

        ``None``: they stay as the rules make them, for an algorithm that writes columns only.
        """
        ...


class CurriculumAlgorithm:
    """Scores, draws and evicts the tasks of a tracker.

    The weights that draws follow are kept by the tracker's backend: each update weighs its task
    anew, so that a draw is one call and nothing is scored here.

    Args:
        num_tasks: number of tasks of the pool, >= 1.
        hypers: the configuration.
        backend: where the records live; ``None`` makes one that ``hypers`` asks for.

    Raises:
        ValueError: ``num_tasks`` below 1, or a backend with other rules than ``hypers``.
    """

    def __init__(
        self,
        num_tasks: int,
        hypers: SessionConfig,
        backend: TaskMemoryBackend | None = None,
    ) -> None:
        if num_tasks < 1:
            raise ValueError(f"num_tasks={num_tasks} must be at least 1")
        if backend is None:
            if num_tasks > hypers.max_memory_tasks:
                hypers = hypers.model_copy(update={"max_memory_tasks": num_tasks})
            backend = create_memory_backend(hypers)
        rules = hypers.rules()
        backend.start(rules)
        if backend.rules != rules:
            names = [k for k, v in rules.as_dict().items() if v != backend.rules.as_dict()[k]]
            raise ValueError(f"the backend's rules have another {', '.join(names)} than the config")
        self.num_tasks = num_tasks
        self.hypers = hypers
        self.tracker = TaskTracker(backend=backend)

    def score_tasks(self, ids: Iterable[int]) -> dict[int, float]:
        """Probability of a draw, by task id; 0 for a task that the tracker does not know."""
        known, shares = self.tracker.probabilities()
        table = dict(zip(known.tolist(), shares.tolist(), strict=True))
        return {task_id: table.get(task_id, 0.0) for task_id in ids}

    def get_learning_progress_score(self, task_id: int) -> float:
        """Learning progress of a task; 0 if it is unknown."""
        stats = self.tracker.get_task_stats(task_id)
        return 0.0 if stats is None else stats["lp_score"]

    def update_task_performance(self, task_id: int, score: float) -> None:
        """One score; creates the task if it is unknown."""
        self.tracker.update(task_id, score)

    def on_task_created(self, task: CurriculumTask) -> None:
        """Takes a task into the pool."""
        self.tracker.track_task_creation(task.task_id, label=task.get_label())

    def on_task_sampled(self, task_id: int) -> None:
        """Nothing: the draw itself has counted the task as scheduled."""

    def on_task_evicted(self, task_id: int) -> None:
        """Takes a task out of the pool; its counts stay in the totals."""
        self.tracker.remove_task(task_id, evict=True)

    def choose(self, stream: Stream | None = None) -> Ticket:
        """Draws one task."""
        return self.tracker.draw(stream)

    @property
    def eviction_rule(self) -> tuple[int, float] | None:
        """Arguments of the tracker's ``choose_eviction``, where `recommend_eviction` asks that.

        The question then takes no call of its own. ``None``: it asks something else.
        """
        return None

    def recommend_eviction(
        self, ids: Iterable[int] | None = None, min_presentations: int = 5
    ) -> int | None:
        """The task to evict, among ``ids`` (default: all); here none ever."""
        return None

    def should_evict_task(self, task_id: int, min_presentations: int = 5) -> bool:
        """Whether the task has little enough learning progress to be evicted."""
        return self.recommend_eviction([task_id], min_presentations) == task_id

    def stats(self, prefix: str = "") -> dict[str, float]:
        """Counts of the tracker, and mean and standard deviation of learning progress."""
        names = ("tasks", "completions", "lp_mean", "lp_std", "evicted", "late_reports")
        totals = self.tracker.totals()
        return {f"{prefix}{name}": float(totals[name]) for name in names}
