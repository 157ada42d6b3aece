"""The seam between trackers and memory: four methods to write, the rest follows from them."""

from __future__ import annotations

import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curricle import checks
from curricle._core import Rules, Stream, TaskData, Ticket
from curricle.backends.files import read_file, write_file
from curricle.backends.label_rows import LabelRow, gone_row, label_row
from curricle.backends.ledger import Ledger
from curricle.backends.records import distribution, eviction_choice, to_array
from curricle.backends.share_limits import (
    BILLIONTHS,
    Groups,
    evictions_under,
    group,
    set_limits,
)
from curricle.errors import CapacityError, EmptyTableError, SessionError, UnknownTaskError
from curricle.syncing import AllGather, Synced


class TaskMemoryBackend(ABC):
    """A table of task records, by task id.

    A subclass writes `allocate`, `read_task`, `write_task` and `get_all_task_ids`; everything
    else has a default on top of those four, in NumPy and for one process. What records cannot
    hold (counts of removed tasks, tickets, the random stream) the defaults keep in this process.

    Attributes:
        max_tasks: number of tasks that the table can hold.
        name: name of the session that other processes can attach to, or ``None``.

    Example:
        >>> class DictBackend(TaskMemoryBackend):
        ...     def __init__(self, max_tasks):
        ...         self.allocate(max_tasks)
        ...     def allocate(self, max_tasks):
        ...         self.max_tasks, self.tasks = max_tasks, {}
        ...     def read_task(self, task_id):
        ...         return self.tasks.get(task_id)
        ...     def write_task(self, task_id, data):
        ...         if task_id not in self.tasks and len(self.tasks) >= self.max_tasks:
        ...             raise CapacityError(f"the table is full: {self.max_tasks} tasks")
        ...         self.tasks[task_id] = data
        ...     def get_all_task_ids(self):
        ...         return list(self.tasks)
    """

    max_tasks: int
    name: str | None = None
    _rules: Rules | None = None

    @abstractmethod
    def allocate(self, max_tasks: int) -> None:
        """Makes room for ``max_tasks`` tasks."""

    @abstractmethod
    def read_task(self, task_id: int) -> TaskData | None:
        """The record of a task, ``None`` if the task is unknown."""

    @abstractmethod
    def write_task(self, task_id: int, data: TaskData) -> None:
        """Writes a record; creates the task if it is unknown, `CapacityError` if it cannot."""

    @abstractmethod
    def get_all_task_ids(self) -> list[int]:
        """Ids of all tasks."""

    # What a subclass may override besides, in ascending order of need.

    def update(self, task_id: int, fn: Callable[[TaskData], TaskData]) -> TaskData:
        """Replaces a record by ``fn(record)`` and returns it.

        The default reads and writes: not one step where several processes share the table.
        """
        data = fn(self._known(task_id))
        self.write_task(task_id, data)
        return data

    def delete_task(self, task_id: int) -> None:
        """Frees a record.

        The default hides the task in this process and keeps its room, so that nothing can be
        evicted once the table is full.
        """
        self._ledger.hidden.add(task_id)

    def start(self, rules: Rules) -> None:
        """Called by a tracker before any use: rules to follow where the backend has none."""
        if self._rules is None:
            self._rules = rules

    @property
    def rules(self) -> Rules:
        """How scores become statistics and weights."""
        if self._rules is None:
            self._rules = Rules(progress="given")
        return self._rules

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of an algorithm's own columns."""
        return ()

    @property
    def seed(self) -> int:
        """Seed of the random streams."""
        return self._ledger.seed

    def close(self) -> None:
        """Gives the memory back, or leaves the session."""
        return None

    # Structure.

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
        task_id = checks.integer(task_id, "task_id", checks.MIN_ID, checks.MAX_ID)
        if self.read(task_id) is not None:
            return False
        defaults = self.rules.as_dict()
        threshold = _or(success_threshold, defaults["success_threshold"])
        kind = _or(generator_type, defaults["generator_type"])
        data = TaskData(
            task_id,
            generation=(self._ledger.created + 1) & 0xFFFF_FFFF,
            creation_time=time.time(),
            success_threshold=checks.real(threshold, "success_threshold"),
            seed=checks.integer(_or(seed, 0), "seed", 0, checks.MAX_SEED),
            generator_type=checks.real(kind, "generator_type"),
            label=checks.label(label),
        )
        self.write_task(task_id, data.replace(weight=self.rules.weigh(data)))
        self._ledger.hidden.discard(task_id)
        self._ledger.created += 1
        return True

    def create_many(
        self, task_ids: NDArray[np.int64], labels: Sequence[str | None] | None = None
    ) -> NDArray[np.bool_]:
        """`create` for each id; True where the task is new."""
        given = [None] * len(task_ids) if labels is None else labels
        if len(given) != len(task_ids):
            raise ValueError(f"{len(given)} labels for {len(task_ids)} tasks")
        for label in given:
            checks.label(label)
        self._check_room(task_ids)
        pairs = zip(task_ids.tolist(), given, strict=True)
        return np.array([self.create(i, label=label) for i, label in pairs], dtype=np.bool_)

    def replace(self, evicted: int, task_id: int, *, label: str | None = None) -> bool:
        """Evicts a task and creates another; False if the one is gone or the other there."""
        task_id = checks.integer(task_id, "task_id", checks.MIN_ID, checks.MAX_ID)
        if self.read(evicted) is None or self.read(task_id) is not None:
            return False
        checks.label(label)
        if task_id not in self._ledger.hidden and self._is_full_for_good():
            raise CapacityError(_FULL.format(self.max_tasks))
        self.remove(evicted, evict=True)
        return self.create(task_id, label=label)

    def remove(self, task_id: int, *, evict: bool = False) -> bool:
        """Removes a task and keeps its counts in the totals; False if it is unknown."""
        task_id = checks.integer(task_id, "task_id", checks.MIN_ID, checks.MAX_ID)
        data = self.read(task_id)
        if data is None:
            return False
        self._ledger.retire(data, evict=evict)
        self.delete_task(task_id)
        return True

    def clear(self) -> None:
        """Removes all tasks, and takes off all limits of shares."""
        for task_id in self.task_ids().tolist():
            self.remove(task_id)
        self._ledger.limits.clear()

    def set_label(self, task_id: int, label: str | None) -> None:
        """Labels a task, or takes its label off."""
        checks.label(label)
        self.update(task_id, lambda data: data.replace(label=label))

    def set_success_threshold(self, task_id: int, success_threshold: float) -> None:
        """The score from which an episode of this task is a success."""
        checks.real(success_threshold, "success_threshold")
        self.update(task_id, lambda data: data.replace(success_threshold=success_threshold))

    # Scores.

    def update_score(self, task_id: int, score: float, env_steps: int = 0) -> float:
        """One score under the rules; creates an unknown task. Returns the task's LP."""
        score = self.checked_score(score)
        env_steps = checks.integer(env_steps, "env_steps", 0, checks.MAX_STEPS)
        self.create(task_id)
        self._ledger.see(score)
        self._ledger.tick += 1
        tick, span, lowest = self._ledger.tick, self._ledger.span, self._ledger.score_min

        def advanced(data: TaskData) -> TaskData:
            new = self.rules.advance(data, score, env_steps, span=span, lowest=lowest)
            # Where learning progress is given, the weight is the caller's as well.
            given = self.rules.as_dict()["progress"] == "given"
            frozen = self.frozen
            return new.replace(
                last_completed=tick,
                weight=data.weight if given or frozen else new.weight,
                lp_score=data.lp_score if frozen else new.lp_score,
            )

        return self.update(task_id, advanced).lp_score

    def update_scores(
        self,
        task_ids: NDArray[np.int64],
        scores: NDArray[np.float64],
        env_steps: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float64]:
        """One score an element, checked whole before the first write.

        Returns:
            LP after each, shape (n,), NaN where a full table kept an unknown task out.
        """
        steps = np.zeros(len(task_ids), np.int64) if env_steps is None else env_steps
        if not len(task_ids) == len(scores) == len(steps):
            raise ValueError(f"{len(task_ids)} ids, {len(scores)} scores, {len(steps)} env_steps")
        self.check_rows(scores, steps)
        progress = np.full(len(task_ids), np.nan)
        columns = (task_ids.tolist(), scores.tolist(), steps.tolist())
        for at, element in enumerate(zip(*columns, strict=True)):
            try:
                progress[at] = self.update_score(*element)
            except CapacityError:
                continue
        return progress

    def report(self, ticket: Ticket, score: float, env_steps: int = 0) -> float | None:
        """The score of a drawn episode, once; LP after it, None if the task was evicted since."""
        score = self.checked_score(score)
        env_steps = checks.integer(env_steps, "env_steps", 0, checks.MAX_STEPS)
        self._ledger.consume(ticket)
        data = self.read(ticket.task_id)
        if data is None or data.generation != ticket.generation:
            self._ledger.late_reports += 1
            return None
        return self.update_score(ticket.task_id, score, env_steps)

    def report_many(
        self,
        tickets: Sequence[Ticket],
        scores: NDArray[np.float64],
        env_steps: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float64]:
        """`report` for each ticket, checked whole before the first write.

        Returns:
            LP after each, shape (n,), NaN where the task was evicted since the draw.
        """
        steps = np.zeros(len(tickets), np.int64) if env_steps is None else env_steps
        if not len(tickets) == len(scores) == len(steps):
            raise ValueError(
                f"{len(tickets)} tickets, {len(scores)} scores, {len(steps)} env_steps"
            )
        self.check_rows(scores, steps)
        self._ledger.check_unreported(tickets)
        rows = zip(tickets, scores.tolist(), steps.tolist(), strict=True)
        progress = [self.report(*row) for row in rows]
        return np.array([np.nan if lp is None else lp for lp in progress], np.float64)

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
        """`report_many`, then `draw_many` of ``n``, in one call where the backend can.

        Args:
            tickets: k tickets.
            scores: shape (k,).
            env_steps: shape (k,), or None for zeros.
            n: number of draws.
            stream: random numbers of the draws; None: those of this process.
            eviction: the arguments of `choose_eviction`, to be asked between the two; ``None``
                does not ask.

        Returns:
            LP after each report, shape (k,); what was drawn; the task to evict or None. Where
            there is one, nothing is drawn, so that the caller can replace it first.
        """
        progress = self.report_many(tickets, scores, env_steps)
        evict = None if eviction is None else self.choose_eviction(*eviction)
        drawn = self.draw_many(n, stream=stream) if evict is None else []
        return progress, drawn, evict

    def set_lp(self, task_id: int, lp_score: float) -> None:
        """A learning progress that the caller computed; weighs the task anew."""
        checks.real(lp_score, "lp_score", checks.MAX_PROGRESS)
        self.update(task_id, lambda data: self.weighed(data.replace(lp_score=lp_score)))

    def set_emas(
        self, task_id: int, p_fast: float, p_slow: float, p_true: float, random_baseline: float
    ) -> None:
        """EMAs that the caller computed."""
        emas = {"p_fast": p_fast, "p_slow": p_slow, "p_true": p_true}
        emas["random_baseline"] = random_baseline
        for name, value in emas.items():
            checks.real(value, name, checks.MAX_SCORE)
        if self.rules.as_dict()["baseline"] is not None and not 0.0 <= random_baseline < 1.0:
            raise ValueError(
                f"random_baseline {random_baseline} is out of range: under rules with a baseline "
                "it is in [0, 1)"
            )
        self.update(task_id, lambda data: data.replace(**emas))

    def set_weights(
        self, task_ids: NDArray[np.int64], weights: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Weights of draws, each in [0, 4096); False where the task is gone.

        The weight is the task's ``lp_score`` as well: what its algorithm has published.
        """
        if len(task_ids) != len(weights):
            raise ValueError(f"{len(task_ids)} ids and {len(weights)} weights")
        wrong = weights[~((weights >= 0.0) & (weights < _WEIGHT_LIMIT))]
        if wrong.size:
            raise ValueError(
                f"weight {wrong[0]} is not in [0, {_WEIGHT_LIMIT}); scale weights down"
            )
        known = np.array([self.read(i) is not None for i in task_ids.tolist()], dtype=np.bool_)
        pairs = zip(task_ids[known].tolist(), weights[known].tolist(), strict=True)
        for task_id, weight in pairs:
            self.update(task_id, partial(TaskData.replace, weight=weight, lp_score=weight))
        return known

    # Draws.

    def draw(self, stream: Stream | None = None) -> Ticket:
        """One task by weight; `EmptyTableError` from an empty table."""
        return self.draw_many(1, stream=stream)[0]

    def draw_many(
        self, n: int, *, replace: bool = True, stream: Stream | None = None
    ) -> list[Ticket]:
        """``n`` tasks by weight, with or without replacement."""
        n = checks.integer(n, "n", 0, checks.MAX_ID)
        stream = stream or self._ledger.stream
        ids, shares = self.probabilities()
        if len(ids) == 0:
            raise EmptyTableError("there is no task to draw: create tasks first")
        if n > 0 and not shares.any():
            banned = ", ".join(repr(label) for label in self.limited_shares())
            raise EmptyTableError(
                f"no task may be drawn: every label in the pool is banned ({banned}); allow one "
                "again with limit_share(label), or create tasks of another label"
            )
        if not replace and n > np.count_nonzero(shares):
            raise ValueError(f"{n} draws without replacement from {np.count_nonzero(shares)} tasks")
        tickets = []
        for _ in range(n):
            bounds = np.cumsum(shares)
            point = stream.random() * bounds[-1]
            at = int(np.searchsorted(bounds, point, side="right"))
            if not replace:
                shares[at] = 0.0
            tickets.append(self._ledger.ticket(self.update(int(ids[at]), self._scheduled)))
        return tickets

    def probabilities(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Ids and the exact distribution that draws follow, shape (n,) each."""
        ids, law, groups = self._grouped()
        return ids, law if groups is None else groups.distribution(law)

    def limit_share(self, label: str, least: float = 0.0, most: float = 1.0) -> None:
        """Keeps a label's share of the draws within [least, most], in [0, 1]; (0, 1) is free.

        The least shares of all labels add up to at most 1. A label need not have tasks yet.
        """
        before = self.share_limits().get(label, (0.0, 1.0))
        set_limits(self._ledger.limits, label, least, most)
        after = self.share_limits().get(label, (0.0, 1.0))
        if after != before:
            self._ledger.steering.note("limit_share", label=label, limits=after)

    def steer(self, *, frozen: bool | None = None, uniform: bool | None = None) -> None:
        """Freezes or thaws progress, and makes draws uniform or not; None leaves it as it is.

        See `Curriculum.freeze` and `Curriculum.draw_uniformly`.
        """
        self._ledger.steering.steer(frozen, uniform)

    @property
    def frozen(self) -> bool:
        """Whether scores leave learning progress and weights as they are."""
        return self._ledger.steering.frozen

    @property
    def uniform(self) -> bool:
        """Whether every task is drawn alike, whatever the law of the rules."""
        return self._ledger.steering.uniform

    def acts(self) -> list[dict[str, Any]]:
        """The last 32 acts of steering, oldest first.

        ``serial`` (a number from 1), ``time`` (seconds since the epoch), ``pid``, and ``act``:
        "freeze", "draw_uniformly" (both with ``on``) or "limit_share" (with ``label``, ``least``,
        ``most``); None for what an act has not.
        """
        return [dict(act) for act in self._ledger.steering.acts]

    def share_limits(self) -> dict[str, tuple[float, float]]:
        """Least and most share of the draws, of each label that has limits."""
        limits = self._ledger.limits.items()
        return {label: (least / BILLIONTHS, most / BILLIONTHS) for label, (least, most) in limits}

    def limited_shares(self) -> dict[str | None, tuple[float, float]]:
        """Shares of the draws: by the law alone, and under the limits.

        Of each label that has limits and live tasks, and, as ``None``, of all other live tasks
        together; empty where no label has limits.
        """
        _, _, groups = self._grouped()
        if groups is None:
            return {}
        shares = zip(groups.shares.tolist(), groups.limited.tolist(), strict=True)
        return dict(zip(groups.names, shares, strict=True))

    def choose_eviction(self, min_presentations: int = 5, percentile: float = 1.0) -> int | None:
        """The task of least LP among those with at least ``min_presentations`` completions.

        Only if its LP lies within the lowest ``percentile`` of all; else None. Before all others
        goes a task of a label that has more of the tasks than it may have of the draws; the last
        task of a label that has a least share stays. None as well while progress is frozen, and,
        with a warning, from a full table whose `delete_task` gives no room back.
        """
        checks.integer(min_presentations, "min_presentations", 0, checks.MAX_SEED)
        if not 0.0 <= checks.real(percentile, "percentile") <= 1.0:
            raise ValueError(f"percentile is {percentile}; it must be within [0, 1]")
        if self.frozen:
            return None
        if self._is_full_for_good():
            warnings.warn(_FULL.format(self.max_tasks), RuntimeWarning, stacklevel=2)
            return None
        table, limits = self.snapshot(), self._ledger.limits
        if not limits:
            return eviction_choice(table, min_presentations, percentile)
        overfull, last = evictions_under(table, self.labels(), limits)
        if overfull.any():
            return eviction_choice(table[overfull], 0, 1.0)
        return eviction_choice(table, min_presentations, percentile, last)

    def stream(self, seed: int | None = None) -> Stream:
        """A stream of (session seed, ``seed``), or of the next number of the session."""
        if seed is not None:
            seed = checks.integer(seed, "seed", 0, checks.MAX_SEED)
            return Stream(self.seed ^ 0x5EED_5EED_5EED_5EED, seed)
        self._ledger.streams += 1
        return Stream(self.seed, self._ledger.streams - 1)

    @property
    def stream_state(self) -> tuple[int, int, int, int]:
        """State of the stream that `draw` uses where none is given."""
        return self._ledger.stream.state

    @stream_state.setter
    def stream_state(self, words: tuple[int, int, int, int]) -> None:
        self._ledger.stream.state = words

    # Views.

    def read(self, task_id: int) -> TaskData | None:
        """The record of a task that was not removed, else ``None``."""
        return None if task_id in self._ledger.hidden else self.read_task(task_id)

    def index(self, task_id: int) -> int | None:
        """Position of a task in the table."""
        ids = self.task_ids().tolist()
        return ids.index(task_id) if task_id in ids else None

    def __len__(self) -> int:
        return len(self.task_ids())

    def task_ids(self) -> NDArray[np.int64]:
        """Ids of all tasks, shape (n,)."""
        hidden = self._ledger.hidden
        return np.array([i for i in self.get_all_task_ids() if i not in hidden], dtype=np.int64)

    def snapshot(self) -> NDArray[Any]:
        """All records, shape (n,): the fields of `TaskData`, ``label`` by position."""
        return to_array(self._records(), self.labels())

    def labels(self) -> list[str | None]:
        """The labels that ``snapshot()["label"]`` counts through."""
        known = {data.label for data in self._records() if data.label is not None}
        return [*sorted(known)]

    def totals(self) -> dict[str, float]:
        """Counts of the table: live ones, and over its lifetime."""
        records, ledger = self._records(), self._ledger
        progress = np.array([data.lp_score for data in records]) if records else np.zeros(1)
        return {
            "tasks": len(records),
            "created": ledger.created,
            "evicted": ledger.evicted,
            "removed": ledger.removed,
            "live_completions": sum(data.completion_count for data in records),
            "live_score_sum": sum(data.total_score for data in records),
            "lp_mean": float(progress.mean()),
            "lp_std": float(progress.std()),
            "weight_sum": sum(data.weight for data in records),
            "late_reports": ledger.late_reports,
            "score_min": ledger.score_min,
            "score_max": ledger.score_max,
            **ledger.totals(records),
        }

    def label_totals(self) -> dict[str, dict[str, float]]:
        """Per label: tasks, created, evicted, completions, scheduled, score_sum, env_steps, LP."""
        return self._ledger.label_totals(self._records())

    def label_changes(self, versions: Any = None) -> tuple[Any, Sequence[LabelRow]]:
        """The labels that may have changed since a call that returned ``versions``.

        Args:
            versions: ``None`` for all labels.

        Returns:
            ``versions`` for the next call, and the rows.
        """
        totals = self.label_totals()
        gone = map(gone_row, (versions or set()) - totals.keys())
        rows = (label_row(label, counts) for label, counts in totals.items())
        return set(totals), [*gone, *rows]

    def verify(self) -> dict[str, int]:
        """Holds ids and records against each other; `SessionError` names what disagrees."""
        ids = self.get_all_task_ids()
        if len(set(ids)) != len(ids):
            raise SessionError(f"{len(ids) - len(set(ids))} task ids come twice")
        for task_id in ids:
            data = self.read_task(task_id)
            if data is None or data.task_id != task_id:
                raise SessionError(f"the record of task {task_id} is {data}")
        return {"tasks": len(self._records()), "labels": len(self.labels())}

    def digest(self) -> str:
        """Digest of what machines have in common after a sync; see `TaskTracker.digest`."""
        raise SessionError(f"a {type(self).__name__} has no digest; use a backend of the core")

    def exchange(self, all_gather: AllGather) -> Synced:
        """Syncs the session with those of other machines; see `TaskTracker.exchange`."""
        raise SessionError(f"a {type(self).__name__} cannot sync; use a SharedMemoryBackend")

    def save(self, path: str) -> int:
        """Writes all records to a file; returns its size in bytes."""
        return write_file(self, path)

    def load(self, path: str) -> None:
        """Replaces the tasks by those of a file; `CheckpointError` names what failed."""
        read_file(self, path)

    # Within.

    @cached_property
    def _ledger(self) -> Ledger:
        return Ledger()

    def _is_full_for_good(self) -> bool:
        """Whether no task can come: the table is full, and removing one frees no room."""
        if type(self).delete_task is not TaskMemoryBackend.delete_task:
            return False
        return len(self.get_all_task_ids()) >= self.max_tasks

    def _check_room(self, task_ids: NDArray[np.int64]) -> None:
        """CapacityError unless all tasks that are new fit in beside those that are there."""
        there = set(self.get_all_task_ids())
        if len(there.union(task_ids.tolist())) > self.max_tasks:
            raise CapacityError(
                f"the table is full: {len(there)} of {self.max_tasks} tasks, and not all of "
                f"{len(task_ids)} fit in; evict or remove some, or allocate more"
            )

    def check_rows(self, scores: NDArray[np.float64], steps: NDArray[np.int64]) -> None:
        """ValueError for a score or a number of environment steps out of its range."""
        for at, (score, count) in enumerate(zip(scores.tolist(), steps.tolist(), strict=True)):
            self.checked_score(score)
            checks.integer(count, f"env_steps[{at}]", 0, checks.MAX_STEPS)

    def checked_score(self, score: float) -> float:
        """The score as a float; ValueError where it is out of its range under the rules."""
        value = checks.real(score, "score", checks.MAX_SCORE)
        self.rules.check_score(value)
        return value

    def _known(self, task_id: int) -> TaskData:
        data = self.read(task_id)
        if data is None:
            raise UnknownTaskError(f"unknown task {task_id}")
        return data

    def _grouped(self) -> tuple[NDArray[np.int64], NDArray[np.float64], Groups | None]:
        """Ids, probabilities by the law alone, and the groups that limits make of the tasks."""
        table, limits = self.snapshot(), self._ledger.limits
        law = distribution(self.rules, table, uniform=self.uniform)
        groups = group(table, self.labels(), law, limits) if limits and len(table) else None
        return table["task_id"].copy(), law, groups

    def _records(self) -> list[TaskData]:
        return [self._known(task_id) for task_id in self.task_ids().tolist()]

    def _scheduled(self, data: TaskData) -> TaskData:
        self._ledger.tick += 1
        return data.replace(
            scheduled_count=data.scheduled_count + 1, last_scheduled=self._ledger.tick
        )

    def weighed(self, data: TaskData) -> TaskData:
        """The record with its weight under the rules; ValueError unless that is below 4096."""
        weight = self.rules.weigh(data)
        if not weight < _WEIGHT_LIMIT:
            raise ValueError(
                f"lp_score {data.lp_score} gives weight {weight}, which is not below "
                f"{_WEIGHT_LIMIT}; scale learning progress down"
            )
        return data.replace(weight=weight)


_FULL = (
    "the table is full: {} tasks, with removed ones, which keep their room because the backend "
    "does not override delete_task; define it, so that tasks can be evicted"
)

_WEIGHT_LIMIT = 4096.0


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value
