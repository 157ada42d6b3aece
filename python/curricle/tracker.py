"""Statistics of tasks: what trainers report to and curricula draw from."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curricle import checks
from curricle._core import Rules, Stream, TaskData, Ticket
from curricle.backends.arrays import step_counts, vector
from curricle.backends.base import TaskMemoryBackend
from curricle.backends.label_rows import LabelRow
from curricle.backends.local import LocalMemoryBackend
from curricle.errors import UnknownTaskError
from curricle.extras import need_extra
from curricle.syncing import AllGather, Synced

STATS = (
    "completion_count",
    "mean_score",
    "reward_ema",
    "ema_squared",
    "lp_score",
    "success_rate_ema",
    "last_score",
    "success_threshold",
    "seed",
    "generator_type",
    "p_fast",
    "p_slow",
    "p_true",
    "random_baseline",
)

_stats_of = attrgetter(*STATS)


class TaskTracker:
    """Keeps the statistics of tasks in a backend.

    Args:
        max_memory_tasks: capacity of the backend that is made where none is given, >= 1.
        ema_alpha: step of ``reward_ema``, ``ema_squared`` and ``success_rate_ema``, in (0, 1].
        backend: where the records live; ``None`` makes a `LocalMemoryBackend`.
        default_success_threshold: score from which an episode is a success.
        default_generator_type: ``generator_type`` of tasks that name none.
        enable_task_list_cache: no longer means anything; the list of tasks needs no cache.

    The rules of a backend that has its own (from a curriculum's config, or of a session that is
    there already) go before this tracker's defaults.

    Attributes:
        backend: where the records live.
        update: ``(task_id, score, env_steps=0) -> LP``, the shortest way to report a score.
        report_one: ``(ticket, score, env_steps=0) -> LP``, ``None`` for a late report.
        draw: ``(stream=None) -> Ticket``, one task by weight.

    Raises:
        ValueError: a number out of its range, or other than in the backend's rules.

    Example:
        >>> tracker = TaskTracker()
        >>> tracker.update_task_performance(7, 0.25)
        >>> tracker.get_task_stats(7)["mean_score"]
        0.25
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
        if not enable_task_list_cache:
            warnings.warn(
                "enable_task_list_cache no longer means anything: the list needs no cache",
                DeprecationWarning,
                stacklevel=2,
            )
        rules = Rules(
            progress="given",
            ema_alpha=ema_alpha,
            success_threshold=default_success_threshold,
            generator_type=default_generator_type,
        )
        backend = LocalMemoryBackend(max_memory_tasks) if backend is None else backend
        backend.start(rules)
        _hold_against(backend.rules, rules)
        self._bind(backend)

    def _bind(self, backend: TaskMemoryBackend) -> None:
        self.backend = backend
        # One look-up, then the backend: a method of the core where the backend is ours.
        self.update = backend.update_score
        self.report_one = backend.report
        self.draw = backend.draw

    def __getstate__(self) -> TaskMemoryBackend:
        return self.backend

    def __setstate__(self, backend: TaskMemoryBackend) -> None:
        self._bind(backend)

    @property
    def max_memory_tasks(self) -> int:
        """Capacity of the backend."""
        return self.backend.max_tasks

    @property
    def ema_alpha(self) -> float:
        """Step of ``reward_ema``, ``ema_squared`` and ``success_rate_ema``."""
        alpha: float = self.backend.rules.as_dict()["ema_alpha"]
        return alpha

    # Tasks.

    def track_task_creation(
        self,
        task_id: int,
        success_threshold: float | None = None,
        seed: int | None = None,
        generator_type: float | None = None,
        *,
        label: str | None = None,
    ) -> bool:
        """Creates a task; False if it was there already (and is left as it is).

        Raises:
            CapacityError: the table is full.
        """
        return self.backend.create(
            checks.integer(task_id, "task_id", checks.MIN_ID, checks.MAX_ID),
            success_threshold=success_threshold,
            seed=seed,
            generator_type=generator_type,
            label=checks.label(label),
        )

    def track_many(
        self, task_ids: ArrayLike, labels: Sequence[str | None] | None = None
    ) -> NDArray[np.bool_]:
        """Creates tasks; True for each that is new, shape (n,)."""
        for label in labels or ():
            checks.label(label)
        return self.backend.create_many(vector(task_ids, np.int64, "task_ids"), labels)

    def replace_task(self, evicted: int, task_id: int, *, label: str | None = None) -> bool:
        """Evicts a task and creates another in one step.

        False, and nothing done, if the one is gone or the other is there already.
        """
        return self.backend.replace(evicted, task_id, label=checks.label(label))

    def remove_task(self, task_id: int, *, evict: bool = False) -> bool:
        """Removes a task; its counts stay in the totals. False if it is unknown."""
        return self.backend.remove(task_id, evict=evict)

    def get_task_index(self, task_id: int) -> int | None:
        """Slot of a task, ``None`` if it is unknown."""
        return self.backend.index(task_id)

    def get_all_tracked_tasks(self) -> list[int]:
        """Ids of all tasks."""
        ids: list[int] = self.backend.task_ids().tolist()
        return ids

    def __contains__(self, task_id: int) -> bool:
        return self.backend.index(task_id) is not None

    def __len__(self) -> int:
        return len(self.backend)

    # Scores.

    def update_task_performance(
        self,
        task_id: int,
        score: float,
        lp_score: float | None = None,
        success_threshold: float | None = None,
    ) -> None:
        """One score; creates the task if it is unknown.

        Args:
            task_id: the task.
            score: finite, within [-1e9, 1e9].
            lp_score: learning progress that the caller computed.
            success_threshold: the task's threshold from now on.

        Raises:
            ValueError: a number out of its range; nothing is written.
            CapacityError: an unknown task and a full table.
        """
        if lp_score is not None:
            checks.real(lp_score, "lp_score", checks.MAX_PROGRESS)
            self.backend.checked_score(score)
            data = self.backend.read(task_id) or TaskData(task_id)
            after = self.backend.rules.advance(data, score).replace(lp_score=lp_score)
            self.backend.weighed(after)
        if success_threshold is not None:
            checks.real(success_threshold, "success_threshold")
            self.backend.checked_score(score)
            if not self.backend.create(task_id, success_threshold=success_threshold):
                self.backend.set_success_threshold(task_id, success_threshold)
        self.update(task_id, score)
        if lp_score is not None:
            self.backend.set_lp(task_id, lp_score)

    def update_batch(
        self, ids: ArrayLike, scores: ArrayLike, env_steps: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """One score an element, in order; checked whole before the first write.

        Args:
            ids: shape (n,), integers.
            scores: shape (n,), finite, within [-1e9, 1e9].
            env_steps: shape (n,), environment steps of each episode, in [0, 2**48].

        Returns:
            LP after each, shape (n,); NaN where a full table kept an unknown task out.

        Raises:
            ValueError: shapes that differ, or a score out of range.
            TypeError: arrays of another kind of numbers.
        """
        return self.backend.update_scores(
            vector(ids, np.int64, "ids"),
            vector(scores, np.float64, "scores"),
            step_counts(env_steps),
        )

    def report(
        self,
        tickets: Sequence[Ticket],
        scores: ArrayLike,
        env_steps: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """Scores of drawn episodes, each once; checked whole before the first write.

        Returns:
            LP after each, shape (n,); NaN for a task that was evicted since the draw.

        Raises:
            ValueError: lengths that differ, a number out of its range, a ticket that was reported
                before or comes twice.
            TypeError: an element that is no ticket.
        """
        return self.backend.report_many(*_reports(tickets, scores, env_steps))

    def report_and_draw(
        self,
        tickets: Sequence[Ticket],
        scores: ArrayLike,
        env_steps: ArrayLike | None,
        n: int,
        *,
        stream: Stream | None = None,
        eviction: tuple[int, float] | None = None,
    ) -> tuple[NDArray[np.float64], list[Ticket], int | None]:
        """`report`, then `sample` of ``n`` with replacement, as one call of the backend.

        Args:
            tickets: k tickets.
            scores: shape (k,).
            env_steps: shape (k,), or None for zeros.
            n: number of draws.
            stream: random numbers of the draws; None: those of this process.
            eviction: ``(min_presentations, percentile)`` of `choose_eviction`, to be asked
                between the two; ``None`` does not ask.

        Returns:
            LP after each report, shape (k,); what was drawn; the task to evict or ``None``. Where
            there is one, nothing is drawn, so that the caller can replace it first.

        Raises:
            ValueError, TypeError: as `report`, with nothing written.
            EmptyTableError: there are no tasks to draw; the reports are made.
        """
        return self.backend.report_and_draw(
            *_reports(tickets, scores, env_steps), n, stream=stream, eviction=eviction
        )

    def update_bidirectional_emas(
        self, task_id: int, p_fast: float, p_slow: float, p_true: float, random_baseline: float
    ) -> None:
        """EMAs that the caller computed; `UnknownTaskError` for an unknown task."""
        self.backend.set_emas(task_id, p_fast, p_slow, p_true, random_baseline)

    def update_lp_score(self, task_id: int, lp_score: float) -> None:
        """Learning progress that the caller computed; `UnknownTaskError` for an unknown task."""
        self.backend.set_lp(task_id, lp_score)

    def set_weights(self, ids: ArrayLike, weights: ArrayLike) -> NDArray[np.bool_]:
        """Weights of draws, shape (n,), in [0, 4096); False for each task that is gone."""
        return self.backend.set_weights(
            vector(ids, np.int64, "ids"), vector(weights, np.float64, "weights")
        )

    # Draws.

    def sample(self, n: int, replace: bool = True, stream: Stream | None = None) -> list[Ticket]:
        """Draws ``n`` tasks by weight, with or without replacement.

        Raises:
            EmptyTableError: there are no tasks, or all of them are banned.
            ValueError: without replacement, more draws than tasks that may be drawn.
        """
        return self.backend.draw_many(n, replace=replace, stream=stream)

    def probabilities(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Ids and the exact distribution that draws follow, shape (n,) each."""
        return self.backend.probabilities()

    def limit_share(self, label: str, least: float = 0.0, most: float = 1.0) -> None:
        """Keeps a label's share of the draws within limits; see `Curriculum.limit_share`."""
        self.backend.limit_share(*checks.share_limits(label, least, most))

    def share_limits(self) -> dict[str, tuple[float, float]]:
        """``(least, most)`` of each label that has limits, in the order of the labels."""
        return dict(sorted(self.backend.share_limits().items()))

    def limited_shares(self) -> dict[str | None, tuple[float, float]]:
        """Shares of the draws, ``(by the law alone, under the limits)``.

        Of each label that has limits and live tasks, and, as ``None``, of all other live tasks
        together; empty where no label has limits.
        """
        return self.backend.limited_shares()

    def stream(self, seed: int | None = None) -> Stream:
        """A stream of (session seed, ``seed``), or of the next number of the session."""
        return self.backend.stream(seed)

    def choose_eviction(self, min_presentations: int = 5, percentile: float = 1.0) -> int | None:
        """The task of least LP among those with at least ``min_presentations`` completions.

        Only if fewer than the share ``percentile`` of all tasks have a lower LP; else ``None``.
        """
        return self.backend.choose_eviction(min_presentations, percentile)

    # Statistics.

    def get_task_stats(self, task_id: int) -> dict[str, float] | None:
        """Statistics of a task by name, ``None`` if it is unknown."""
        data = self.backend.read(task_id)
        if data is None:
            return None
        stats = dict(zip(STATS, _stats_of(data), strict=True))
        stats["age_seconds"] = max(time.time() - data.creation_time, 0.0)
        return stats

    def stats_batch(self, ids: ArrayLike) -> NDArray[Any]:
        """Records of tasks, shape (n,), a structured array in the order of ``ids``.

        Raises:
            UnknownTaskError: an id that is no task.
        """
        wanted = vector(ids, np.int64, "ids")
        table = self.backend.snapshot()
        order = np.argsort(table["task_id"])
        known = table["task_id"][order]
        at = np.searchsorted(known, wanted)
        found = np.zeros(len(wanted), np.bool_)
        inside = at < len(known)
        found[inside] = known[at[inside]] == wanted[inside]
        if not found.all():
            raise UnknownTaskError(f"unknown task {wanted[~found][0]}")
        return table[order[at]]

    def get_global_stats(self) -> dict[str, float]:
        """Statistics of the session.

        Returns:
            mean_score and total_completions over its lifetime, mean_recent_score (the mean
            ``reward_ema`` of the tasks that have a score) and total_tracked_tasks.
        """
        totals = self.backend.totals()
        table = self.backend.snapshot()
        scored = table["reward_ema"][table["completion_count"] > 0]
        completions = totals["completions"]
        return {
            # The sum is kept in units of 2**-32: what is finer than 1e-9 is not the scores'.
            "mean_score": round(totals["score_sum"] / completions, 9) if completions else 0.0,
            "total_completions": completions,
            "mean_recent_score": float(scored.mean()) if len(scored) else 0.0,
            "total_tracked_tasks": totals["tasks"],
        }

    def snapshot(self) -> NDArray[Any]:
        """All records, shape (n,), a structured array with the fields of ``TaskData``."""
        return self.backend.snapshot()

    def totals(self) -> dict[str, float]:
        """Counts of the session, live ones and over its lifetime."""
        return self.backend.totals()

    # Labels.

    def set_task_label(self, task_id: int, label: str | None) -> None:
        """Labels a task; `UnknownTaskError` if it is unknown."""
        self.backend.set_label(task_id, checks.label(label))

    def get_task_label(self, task_id: int) -> str | None:
        """Label of a task, ``None`` if it has none or is unknown."""
        data = self.backend.read(task_id)
        return None if data is None else data.label

    def get_label_completion_counts(self) -> dict[str, int]:
        """Completions by label over the lifetime of the session."""
        return {label: int(counts["completions"]) for label, counts in self.label_totals().items()}

    def label_totals(self) -> dict[str, dict[str, float]]:
        """Counts by label."""
        return self.backend.label_totals()

    def label_changes(self, versions: Any = None) -> tuple[Any, Sequence[LabelRow]]:
        """What changed by label since a call that returned ``versions``; see `LabelRow`."""
        return self.backend.label_changes(versions)

    # The session.

    def verify(self) -> dict[str, int]:
        """Holds records, labels and totals against each other.

        To be exact no update may be in flight; `SessionError` names what disagrees.
        """
        return self.backend.verify()

    def digest(self) -> str:
        """Digest of what machines have in common after a sync, 32 hexadecimal digits.

        Tables with the same tasks, labels, statistics, totals and range of scores have the same,
        whatever the order of their slots. Draws, columns, limits of shares and, where the caller
        gives it, learning progress with the weights are each machine's own, and not in it. Exact
        where nothing changes meanwhile.
        """
        return self.backend.digest()

    def exchange(self, all_gather: AllGather) -> Synced:
        """Syncs the session with those of other machines (nodes), over any transport.

        Each node sends its episodes, and its changes of the set of tasks, since the last sync; all
        replay the same sequence, by rank, onto the state of the last sync. After it all have
        bit-identical tables (see `digest`), with what was reported meanwhile on top. Workers go on
        during a sync. One process of each node calls this, all of them as often; it keeps the
        state of the last sync in its memory. `docs/scaling.md` has the rules.

        Args:
            all_gather: takes this node's bytes and returns the bytes of all nodes in the order of
                their ranks, this node's among them. It is called once a sync, and three times
                where a node has not the state of the last one. What it raises ends the sync, with
                nothing lost: the next one brings the same episodes.

        Returns:
            What was done, with the digest.

        Raises:
            SessionError: a session without ``sync_episodes``; nodes of different settings; two
                ranks of one session; another thread of the process is in a sync.
            TypeError: ``all_gather`` returned no list of bytes.

        Warns:
            RuntimeWarning: a node comes back that synced with others meanwhile, or of which
                nobody is left to know whether its last episodes were counted.
        """
        return self.backend.exchange(all_gather)

    def sync(self, process_group: Any = None) -> Synced:
        """`exchange` through ``torch.distributed``: at the end of a rollout, say.

        Args:
            process_group: a group for tensors on the CPU (gloo), with one process of each node;
                ``None``: the default group.

        Raises:
            ModuleNotFoundError: PyTorch is not installed.
            ValueError: this process is not in the group, there is none, or it has no CPU tensors.
        """
        need_extra("sync", "torch", "torch")
        # Imported by those who need it.
        from curricle.integrations.torch_distributed import all_gather

        return self.exchange(partial(all_gather, process_group=process_group))

    def save(self, path: str) -> int:
        """Writes a checkpoint; returns its size in bytes."""
        return self.backend.save(path)

    def load(self, path: str) -> None:
        """Replaces tasks and limits by those of a checkpoint, all or nothing; `CheckpointError`."""
        self.backend.load(path)

    def get_state(self) -> dict[str, Any]:
        """All tasks as a dict that JSON can hold; `save` is smaller, faster and has more."""
        # Imported by those who need it: only they pay for it.
        from curricle.compat.state_dicts import read_state

        return read_state(self.backend)

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Replaces all tasks by those of a state dict, of earlier trackers too, or of its JSON.

        Raises:
            CheckpointError: an entry that cannot be, by its name and value; nothing is changed.
            CapacityError: more tasks or labels than the table has room for; nothing is changed.
        """
        from curricle.compat.state_dicts import write_state

        write_state(self.backend, state)

    def cleanup_shared_memory(self) -> None:
        """Leaves the session; the last process to leave removes it unless it persists."""
        self.backend.close()
        # Lets go of the session's own methods, and with them of its memory.
        self._bind(self.backend)


def _reports(
    tickets: Sequence[Ticket], scores: ArrayLike, env_steps: ArrayLike | None
) -> tuple[Sequence[Ticket], NDArray[np.float64], NDArray[np.int64] | None]:
    """A batch of reports as backends take it."""
    for at, ticket in enumerate(tickets):
        if not isinstance(ticket, Ticket):
            raise TypeError(f"tickets[{at}] is {ticket!r}; give tickets only, or ids only")
    return tickets, vector(scores, np.float64, "scores"), step_counts(env_steps)


def _hold_against(rules: Rules, given: Rules) -> None:
    """Refuses numbers that the caller chose and that a backend's own rules contradict."""
    defaults, actual = Rules().as_dict(), rules.as_dict()
    chosen = given.as_dict()
    for name in ("ema_alpha", "success_threshold", "generator_type"):
        if chosen[name] not in (actual[name], defaults[name]):
            raise ValueError(
                f"the tracker's {name} is {chosen[name]}, but that of the backend's rules is "
                f"{actual[name]}: leave it out, or make the backend with the same rules"
            )
