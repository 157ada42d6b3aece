"""The curriculum: tasks, the session that keeps their statistics, and draws."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curricle import checks
from curricle._core import Stream, Ticket
from curricle.algorithms import CurriculumAlgorithm, CustomAlgorithm, WeightAlgorithm
from curricle.algorithms.custom import columns_of
from curricle.backends.arrays import step_counts, vector
from curricle.backends.base import TaskMemoryBackend
from curricle.backends.core_backed import CoreBackend
from curricle.config import SessionConfig
from curricle.content import describe
from curricle.explanation import explain
from curricle.extras import need_extra
from curricle.field_names import fields_named
from curricle.generators.base import TaskGenerator
from curricle.generators.fixed import FixedTasks
from curricle.metrics import session_metrics
from curricle.notebook import curriculum_html, curriculum_line
from curricle.opening import (
    agree_on_seed,
    agree_on_size,
    make_algorithm,
    name_session,
    open_backend,
    read_config,
)
from curricle.pool import Pool
from curricle.syncing import AllGather, Synced
from curricle.tasks import CurriculumTask
from curricle.tracker import TaskTracker
from curricle.waiting import waiting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from curricle.envs import CurriculumEnv

Tasks = int | Sequence[Any] | Mapping[str, Any] | TaskGenerator

# Rebuilt tasks that a process keeps, so that a task drawn again costs a look-up.
_REBUILT = 4096


class Curriculum:
    """Draws tasks, takes their scores, and keeps both in a session that processes share.

    All processes of a session share one pool: whoever attaches second finds the pool there, and
    a task that another process created is rebuilt from its id. Pickled (to a worker, say), a
    curriculum attaches to its session again.

    Args:
        tasks: their number (ids 0 to n-1, the id is the configuration), a sequence of
            configurations (ids are positions), a dict of configurations by label, or a
            `TaskGenerator` (ids are drawn at random below ``max_task_id``).
        config: the configuration of an algorithm (default: `NoiseAwareConfig`), or an
            algorithm of one's own: any object with ``weights(snapshot) -> (n,)``.
        session: name of the session. ``None``: that of ``config``, which is CURRICLE_SESSION or
            a name of its own.
        path: a file in place of a name; its session outlives a clean shutdown.
        pool_size: number of tasks that a generator's pool holds; ``None``: the config's
            ``num_active_tasks``. Of other tasks the pool holds all.
        seed: seed of the draws and of a generator's ids, >= 0. ``None``: that of the session or
            the backend, where there is one, else 0.
        persist: keep the session after the last process has left it.
        max_task_id: ids of a generator are below it.
        backend: where the records live, instead of a session.

    Raises:
        ValueError: two names for one number that disagree, arguments that contradict each other,
            or a number out of its range.
        SessionError: the session is there with other tasks, rules, capacity, seed or user.
        CapacityError: more labels than the table can hold.

    Example:
        >>> curriculum = Curriculum({"easy": {"size": 3}, "hard": {"size": 9}})
        >>> task = curriculum.draw()
        >>> curriculum.report(task.ticket, 0.5)
        0.0
        >>> curriculum.metrics()["env_curriculum/num_completed"]
        1.0
    """

    def __init__(
        self,
        tasks: Tasks,
        config: SessionConfig | WeightAlgorithm | None = None,
        *,
        session: str | None = None,
        path: str | None = None,
        pool_size: int | None = None,
        seed: int | None = None,
        persist: bool = False,
        max_task_id: int = 2**31 - 1,
        backend: TaskMemoryBackend | None = None,
    ) -> None:
        if seed is not None:
            checks.integer(seed, "seed", 0, checks.MAX_SEED)
        self._generator = tasks if isinstance(tasks, TaskGenerator) else FixedTasks(tasks)
        hypers, weigher = read_config(config)
        size = agree_on_size(self._generator, hypers, pool_size, max_task_id)
        own: CoreBackend | None = None
        if backend is None:
            place = name_session(hypers, session, path, persist)
            backend = own = open_backend(
                hypers,
                size,
                place,
                seed,
                persist,
                self._generator,
                max_task_id,
                columns_of(weigher),
            )
        elif session is not None or path is not None or persist:
            raise ValueError("give backend, or session, path and persist, not both")
        try:
            self._algorithm = make_algorithm(hypers, weigher, size, backend)
            self._tracker = self._algorithm.tracker
            agree_on_seed(backend, seed, own is not None)
            self._pool = Pool(self._generator, self._algorithm, size, max_task_id)
            self._rebuilt: dict[int, CurriculumTask] = {}
            # Completions between two looks at the pool (a look scans it), 0 for none.
            self._every = 0
            self._since = 0
            if isinstance(self._algorithm, CustomAlgorithm):
                self._every = self._since = self._algorithm.update_every
            elif not isinstance(self._generator, FixedTasks):
                self._every = max(1, size // 64)
            self._pool.fill()
        except BaseException:
            # Else the error's trace would keep a session that nobody can close, or a file would
            # keep one that is half made.
            if own is not None:
                own.discard()
            raise

    # Tasks.

    def draw(self, stream: Stream | None = None) -> CurriculumTask:
        """Draws a task and counts it as scheduled; its ``ticket`` goes to `report`.

        Args:
            stream: random numbers of the draw; ``None``: those of this process.
        """
        if self._every and self._since >= self._every:
            self._look_after()
        ticket = self._tracker.draw(stream)
        return self._rebuild(ticket.task_id).with_ticket(ticket)

    def draw_many(
        self, n: int, *, replace: bool = True, stream: Stream | None = None
    ) -> list[CurriculumTask]:
        """Draws ``n`` tasks at once, with or without replacement; all are counted."""
        if self._every and self._since >= self._every:
            self._look_after()
        tickets = self._tracker.sample(n, replace, stream)
        return [self._rebuild(ticket.task_id).with_ticket(ticket) for ticket in tickets]

    sample = draw_many

    def task(self, task_id: int) -> CurriculumTask:
        """The task of an id, without a draw; it counts nowhere."""
        task_id = checks.integer(task_id, "task_id", checks.MIN_ID, checks.MAX_ID)
        return self._rebuild(task_id).with_ticket(None)

    def eval(self, tasks: Iterable[int] | None = None) -> Iterator[CurriculumTask]:
        """Tasks for an evaluation, which counts nowhere.

        Args:
            tasks: their ids; ``None``: all tasks of the pool, in ascending order.
        """
        ids = sorted(self._tracker.get_all_tracked_tasks()) if tasks is None else tasks
        return map(self.task, ids)

    # Guards.

    def limit_share(self, label: str, least: float = 0.0, most: float = 1.0) -> None:
        """Keeps a label's share of the draws within limits, in all processes of the session.

        From their next draw on, draws follow the distribution within all limits that is closest
        to that of weights and floor (`docs/guards.md`). A least share keeps a label from being
        forgotten, a most share keeps it from crowding out others. Nothing but limits changes:
        inside a label the tasks keep their proportions. Without live tasks a label takes no part;
        where it gets some, its limits hold for them.

        Args:
            label: of tasks that are in the pool, or will be.
            least: share of the draws that the label gets at least, in [0, 1]; those of all labels
                add up to at most 1.
            most: share that it gets at most, in [``least``, 1], unless all tasks of the pool have
                such limits and these add up to less than 1. 0 is a ban, see `ban`.

        A call replaces both limits of the label: ``limit_share(label)`` takes them off. They are
        kept to a billionth, in checkpoints as well. In a pool that evicts tasks, labels that have
        more of the tasks than they may have of the draws are evicted first and not added, and the
        last task of a label with a least share stays.

        Raises:
            ValueError: a share out of its range, least shares that add up to more than 1, or a
                label that is none; nothing is changed.
            TypeError: no string, or no number.
            CapacityError: more labels than the table can hold.
        """
        self._tracker.limit_share(label, least, most)
        if (least, most) != (0.0, 1.0) and isinstance(self._generator, FixedTasks):
            known = {known for known in self._generator.labels() or () if known is not None}
            if label not in known:
                close = difflib.get_close_matches(label, known, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                warnings.warn(
                    f"no task has the label {label!r}, so that its limits do nothing{hint}",
                    RuntimeWarning,
                    stacklevel=2,
                )

    def ban(self, label: str) -> None:
        """Draws no task of the label from now on; ``limit_share(label)`` takes the ban off.

        Tickets of draws before it can be reported. Where all labels of the pool are banned, a
        draw raises `EmptyTableError`.
        """
        self.limit_share(label, most=0.0)

    def freeze(self, frozen: bool = True) -> None:
        """Freezes what is drawn by, in all processes of the session from their next call on.

        Tasks are drawn with the probabilities that they have now, and none is evicted. Scores go
        on to count, and the averages behind learning progress follow them; learning progress and
        weights do not. ``freeze(False)`` thaws: a task's learning progress follows at its next
        score. Not in checkpoints.
        """
        self._tracker.backend.steer(frozen=frozen)

    def draw_uniformly(self, uniform: bool = True) -> None:
        """Draws every task alike, in all processes of the session from their next draw on.

        Limits of labels hold all the same, and learning progress goes on.
        ``draw_uniformly(False)`` goes back to the law of the session. Not in checkpoints.
        """
        self._tracker.backend.steer(uniform=uniform)

    def acts(self) -> list[dict[str, Any]]:
        """The last 32 times that somebody steered the session, oldest first.

        Returns:
            For each: ``serial`` (int, from 1), ``time`` (seconds since the epoch), ``pid`` of the
            process, and ``act``: "freeze", "draw_uniformly" (both with ``on``, a bool) or
            "limit_share" (with ``label``, ``least`` and ``most``); None for what an act has not.
        """
        return self._tracker.backend.acts()

    def share_limits(self) -> dict[str, tuple[float, float]]:
        """``(least, most)`` of each label that has limits."""
        return self._tracker.share_limits()

    # Scores.

    def report(
        self,
        tickets_or_ids: Ticket | int | Sequence[Ticket] | ArrayLike,
        scores: ArrayLike,
        env_steps: ArrayLike | None = None,
    ) -> Any:
        """Reports the scores of finished episodes.

        Args:
            tickets_or_ids: a ticket or a task id, or a sequence of either.
            scores: one score (finite, within [-1e9, 1e9]), or shape (n,).
            env_steps: environment steps of the episode, or shape (n,), within [0, 2**48].

        Returns:
            Learning progress after it, a float, or shape (n,). For a task that is no longer in
            the pool ``None``, or NaN: such a score is not counted.

        Raises:
            ValueError: a number out of its range, a ticket that was reported before, lengths
                that differ; nothing is written.
            TypeError: no tickets or ids, or both in one batch; no numbers.
        """
        if isinstance(tickets_or_ids, Ticket):
            steps: Any = 0 if env_steps is None else env_steps
            try:
                progress = self._tracker.report_one(tickets_or_ids, scores, steps)  # type: ignore[arg-type]
            except (TypeError, ValueError, OverflowError):
                # Only now, because a check costs more than the report: which argument it was.
                checks.real(scores, "score", checks.MAX_SCORE)
                checks.integer(steps, "env_steps", 0, checks.MAX_STEPS)
                raise
            self._since += 1
            return progress
        if isinstance(tickets_or_ids, CurriculumTask):
            raise TypeError(f"{tickets_or_ids} is a task; report its ticket, task.ticket")
        if not isinstance(tickets_or_ids, list | tuple) and np.ndim(tickets_or_ids) == 0:  # type: ignore[arg-type]
            task_id = checks.integer(
                tickets_or_ids, "the ticket or task id", checks.MIN_ID, checks.MAX_ID
            )
            score = checks.real(scores, "score", checks.MAX_SCORE)
            count = checks.integer(
                0 if env_steps is None else env_steps, "env_steps", 0, checks.MAX_STEPS
            )
            (lp,) = self._report_ids([task_id], [score], [count])
            return None if np.isnan(lp) else float(lp)
        if isinstance(tickets_or_ids, Sequence) and any(
            isinstance(item, Ticket) for item in tickets_or_ids
        ):
            batch = self._tracker.report(tickets_or_ids, scores, env_steps)  # type: ignore[arg-type]
            self._since += len(tickets_or_ids)
            return batch
        return self._report_ids(tickets_or_ids, scores, env_steps)  # type: ignore[arg-type]

    def report_and_draw(
        self,
        tickets: Sequence[Ticket],
        scores: ArrayLike,
        env_steps: ArrayLike | None,
        n: int,
        *,
        stream: Stream | None = None,
    ) -> tuple[NDArray[np.float64], list[CurriculumTask]]:
        """Reports finished episodes and draws ``n`` tasks, with replacement, in one core call.

        What `report` and then `draw_many` do. Only the eviction of a task, or new weights of an
        algorithm of one's own, take calls besides.

        Args:
            tickets: k tickets.
            scores: shape (k,), finite, within [-1e9, 1e9].
            env_steps: shape (k,), environment steps of the episodes, within [0, 2**48].
            n: number of draws, >= 0.
            stream: random numbers of the draws; ``None``: those of this process.

        Returns:
            Learning progress after each report, shape (k,), NaN for a task that is no longer in
            the pool; the tasks that were drawn.

        Raises:
            ValueError, TypeError: as `report`; nothing is written or drawn.
        """
        due = bool(self._every) and self._since + len(tickets) >= self._every
        rule = self._algorithm.eviction_rule if due else None
        if due and rule is None:
            progress = self._tracker.report(tickets, scores, env_steps)
            self._look_after()
            drawn = self._tracker.sample(n, stream=stream)
        else:
            progress, drawn, evicted = self._tracker.report_and_draw(
                tickets, scores, env_steps, n, stream=stream, eviction=rule
            )
            self._since = 0 if due else self._since + len(tickets)
            if evicted is not None:
                self._pool.replace(evicted)
                drawn = self._tracker.sample(n, stream=stream)
        return progress, [self._rebuild(one.task_id).with_ticket(one) for one in drawn]

    def _report_ids(
        self, ids: ArrayLike, scores: ArrayLike, env_steps: ArrayLike | None
    ) -> NDArray[np.float64]:
        task_ids, values = vector(ids, np.int64, "ids"), vector(scores, np.float64, "scores")
        if len(task_ids) != len(values):
            raise ValueError(f"{len(task_ids)} ids and {len(values)} scores")
        steps = step_counts(env_steps)
        if steps is None:
            steps = np.zeros(len(task_ids), np.int64)
        if len(steps) != len(task_ids):
            raise ValueError(f"{len(task_ids)} ids and {len(steps)} env_steps")
        known = np.array([task_id in self._tracker for task_id in task_ids.tolist()], np.bool_)
        # What is not written is checked as well.
        self._tracker.backend.check_rows(values[~known], steps[~known])
        progress = np.full(len(task_ids), np.nan)
        progress[known] = self._tracker.update_batch(task_ids[known], values[known], steps[known])
        self._since += len(task_ids)
        return progress

    def _rebuild(self, task_id: int) -> CurriculumTask:
        task = self._rebuilt.get(task_id)
        if task is None:
            task = self._generator.task(task_id)
            if len(self._rebuilt) >= _REBUILT:
                self._rebuilt.clear()
            self._rebuilt[task_id] = task
        return task

    def _look_after(self) -> None:
        if isinstance(self._algorithm, CustomAlgorithm):
            self._algorithm.refresh()
        else:
            self._pool.renew()
        # Last: where weights raised, the next draw raises again.
        self._since = 0

    # Views.

    def probabilities(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Ids and the exact distribution that draws follow, shape (n,) each."""
        return self._tracker.probabilities()

    def explain(self, task_id: int) -> dict[str, Any]:
        """Why a task has its probability: its statistics, and what makes the probability.

        ``probability = guard_factor * ((1 - floor) * share + uniform_part)``. ``guard`` names the
        guard that sets the factor:

        - "none": the factor is 1.
        - "minimum share of its label", "maximum share of its label": `limit_share` says so.
        - "ban of its label": the factor is 0.
        - "shares of other labels": what the limits of others leave is more or less.

        ``share_limits`` is ``(least, most)`` of the label, (0.0, 1.0) where it has no limits.
        Where the law alone never draws a task of the label and a guard does, nothing can be
        multiplied: ``guard_factor`` is infinite, and the probability uniform inside the label.
        ``law`` is "uniform" while `draw_uniformly` is on; ``frozen`` says whether `freeze` is.

        Raises:
            UnknownTaskError: a task that is not in the pool.
        """
        return explain(self._tracker.backend, task_id)

    def plot_labels(self, max_labels: int = 20) -> Figure:
        """A picture of the labels now: share of draws, mean score, mean learning progress.

        Shares are those of `probabilities`, each beside the label's share of the tasks; scores and
        learning progress are means over the live tasks. Needs the extra ``curricle[plots]``.

        Args:
            max_labels: labels with a bar of their own, those drawn most, >= 1; the others share
                one.

        Returns:
            A `matplotlib.figure.Figure`, which a notebook shows; ``savefig`` writes it.
        """
        checks.integer(max_labels, "max_labels", 1, checks.MAX_ID)
        need_extra("plot_labels", "plots", "matplotlib")
        from curricle.curriculum_plots import labels_picture

        return labels_picture(self._tracker, max_labels)

    def plot_progress(self) -> Figure:
        """A picture of the tasks now: learning progress against mean reward, and who is drawn.

        To the right, what share of the draws the most drawn tasks get. Needs the extra
        ``curricle[plots]``.

        Returns:
            A `matplotlib.figure.Figure`, which a notebook shows; ``savefig`` writes it.
        """
        need_extra("plot_progress", "plots", "matplotlib")
        from curricle.curriculum_plots import progress_picture

        return progress_picture(self._tracker)

    def metrics(self) -> dict[str, float]:
        """Flat metrics of the whole session (``env_curriculum/...``), all Python floats."""
        return session_metrics(self._tracker)

    def label_totals(self) -> dict[str, dict[str, float]]:
        """Counts by label: lifetime ones, and learning progress of the live tasks."""
        return self._tracker.label_totals()

    @property
    def tracker(self) -> TaskTracker:
        """The statistics of the tasks."""
        return self._tracker

    @property
    def algorithm(self) -> CurriculumAlgorithm:
        """How tasks are chosen."""
        return self._algorithm

    @property
    def session(self) -> str | None:
        """Name of the session, ``None`` where it has none."""
        return self._tracker.backend.name

    @property
    def pool_size(self) -> int:
        """Number of tasks that draws choose from."""
        return self._pool.size

    @cached_property
    def content(self) -> str:
        """The tasks in a few words, the same in all processes: their number, and a hash.

        Fixed tasks are told apart by labels and configurations, those of a generator by its
        configuration.
        """
        return describe(self._generator, self._pool.size, self._pool.max_task_id)

    @property
    def seed(self) -> int:
        """Seed of the session's draws."""
        return self._tracker.backend.seed

    # The session.

    def wrap(self, env: Any) -> CurriculumEnv:
        """The environment, with its tasks from this curriculum."""
        # Later than the module: the environments import the curriculum.
        from curricle.envs import CurriculumEnv

        return CurriculumEnv(env, self)

    def stream(self, seed: int | None = None) -> Stream:
        """A stream of (session seed, ``seed``), or of the next number of the session."""
        return self._tracker.stream(seed)

    def verify(self) -> dict[str, int]:
        """Holds records, labels and totals against each other.

        To be exact no update may be in flight; `SessionError` names what disagrees.
        """
        return self._tracker.verify()

    def sync(self, process_group: Any = None) -> Synced:
        """Syncs the session with those of other machines through ``torch.distributed``.

        Needs ``sync_episodes`` in the configuration; see `TaskTracker.sync` and
        `TaskTracker.exchange`, which does the same over any transport.
        """
        with fields_named(self._algorithm.hypers):
            synced = self._tracker.sync(process_group)
        self._since = self._every
        return synced

    def exchange(self, all_gather: AllGather) -> Synced:
        """Syncs the session with those of other machines; see `TaskTracker.exchange`."""
        with fields_named(self._algorithm.hypers):
            synced = self._tracker.exchange(all_gather)
        self._since = self._every
        return synced

    def save(self, path: str) -> int:
        """Writes a checkpoint of the session; returns its size in bytes.

        The next draw looks at the pool, here as in the session that loads the checkpoint, so
        that the two go on alike.
        """
        with waiting("saving", len(self._tracker)):
            size = self._tracker.save(path)
        self._since = self._every
        return size

    def load(self, path: str) -> None:
        """Replaces the session's tasks by those of a checkpoint, all or nothing.

        Then the pool is filled up: tasks that the checkpoint lacks are created, and tasks that
        it has without a label get theirs. So a session grows by loading into a larger one. The
        session's seed becomes that of the checkpoint; its rules stay, and so do its limits of
        shares, if it has any; else it gets those of the checkpoint.

        Raises:
            CheckpointError: the file is no checkpoint, or it has tasks that a fixed set of tasks
                does not have; nothing is changed.
            CapacityError: more tasks or labels than the table can hold.

        Warns:
            RuntimeWarning: the checkpoint was saved under other rules, or tasks have other labels
                in it, which then stay (of a generator's tasks, 1,000 are compared).
        """
        with waiting("loading", self._tracker.max_memory_tasks):
            self._pool.load(path)
        self._since = self._every

    def close(self) -> None:
        """Leaves the session; the last process to leave removes it unless it persists."""
        self._tracker.cleanup_shared_memory()

    def __repr__(self) -> str:
        return curriculum_line(self._tracker, type(self._algorithm.hypers).__name__)

    def _repr_html_(self) -> str:
        return curriculum_html(self._tracker, type(self._algorithm.hypers).__name__)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_rebuilt": {}}
