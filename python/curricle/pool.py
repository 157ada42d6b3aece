"""The pool of a session: which tasks are in it, and what takes an evicted task's place."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from curricle._core import Stream
from curricle.algorithms.base import CurriculumAlgorithm
from curricle.backends.base import TaskMemoryBackend
from curricle.backends.core_backed import CoreBackend
from curricle.backends.local import LocalMemoryBackend
from curricle.backends.share_limits import replace_limits
from curricle.errors import CheckpointError
from curricle.generators.base import TaskGenerator
from curricle.generators.fixed import FixedTasks
from curricle.tracker import TaskTracker
from curricle.waiting import counted, waiting

# Any number: sets the streams of ids apart from the streams of draws.
_IDS = 0x9C6E_31B5_0D47_A2F3
_ALL_BITS = 2**64 - 1
# Tasks of a generator whose labels a load compares, as to make one may take long.
_COMPARED = 1000


class Pool:
    """Fills and renews the pool that all processes of a session share.

    Which ids come is a function of the session's seed and of the tasks that they replace, so
    that several processes fill one pool and a resumed session goes on as it would have.

    Args:
        generator: makes the tasks.
        algorithm: says which task to evict.
        size: number of tasks of the pool.
        max_task_id: ids of a task generator are drawn from 0 to ``max_task_id - 1``.
    """

    def __init__(
        self,
        generator: TaskGenerator,
        algorithm: CurriculumAlgorithm,
        size: int,
        max_task_id: int,
    ) -> None:
        self.generator = generator
        self.algorithm = algorithm
        self.size = size
        self.max_task_id = max_task_id

    def fill(self) -> None:
        """Creates the tasks of the pool; those that are there, or once were, stay as they are.

        Raises:
            ValueError: the session has tasks beyond a fixed set, so another process has others.
        """
        tracker = self.algorithm.tracker
        if isinstance(self.generator, FixedTasks):
            ids = tracker.get_all_tracked_tasks()
            if self._beyond(ids):
                raise ValueError(
                    f"the session has tasks {min(ids)} to {max(ids)}, this curriculum 0 to "
                    f"{self.size - 1}: give all processes the same tasks, or another session"
                )
        # Later, ids that are missing were evicted.
        if tracker.totals()["created"] >= self.size:
            return
        if isinstance(self.generator, FixedTasks):
            labels = self.generator.labels()
            with waiting("creating", self.size):
                tracker.track_many(np.arange(self.size), labels)
            return
        for task_id in counted(self._first_ids(tracker), "creating", self.size):
            tracker.track_task_creation(task_id, label=self._label(task_id))

    def load(self, path: str) -> None:
        """Loads a checkpoint, creates the tasks that it lacks and labels those without a label.

        Limits of shares that the session has stay; then those of the checkpoint are not taken.
        Where tasks have other labels than here, those of the checkpoint stay, with a warning.

        Raises:
            CheckpointError: the file is no checkpoint, or has tasks beyond a fixed set; nothing
                is changed.
        """
        backend = self.algorithm.tracker.backend
        limits = backend.share_limits()
        if not isinstance(backend, CoreBackend):
            if isinstance(self.generator, FixedTasks):
                self._load_or_go_back(path)
            else:
                backend.load(path)
            self._compare_labels(path, backend)
            if limits:
                replace_limits(backend, limits)
            self._complete(self.algorithm.tracker)
            return
        # Made whole beside the session, which then changes at once: the others never draw from
        # half a pool, whatever happens to this process.
        session = backend.session
        whole = LocalMemoryBackend(
            session.capacity,
            rules=session.rules,
            columns=session.columns,
            max_labels=session.max_labels,
            # Keeps the number of the sync whose state the checkpoint is.
            sync_episodes=session.sync_episodes,
        )
        whole.load(path)
        if isinstance(self.generator, FixedTasks):
            self._refuse_beyond(path, whole.task_ids().tolist())
        self._compare_labels(path, whole)
        if limits:
            replace_limits(whole, limits)
        if self._complete(TaskTracker(backend=whole)) or limits:
            with tempfile.TemporaryDirectory() as folder:
                completed = str(Path(folder, "checkpoint"))
                whole.save(completed)
                backend.load(completed)
        else:
            with warnings.catch_warnings():
                # What there is to say of other rules was said above.
                warnings.simplefilter("ignore")
                backend.load(path)
        whole.close()

    def _load_or_go_back(self, path: str) -> None:
        """Loads into a backend whose files only the backend itself can read."""
        backend = self.algorithm.tracker.backend
        with tempfile.TemporaryDirectory() as folder:
            before = str(Path(folder, "before"))
            backend.save(before)
            backend.load(path)
            try:
                self._refuse_beyond(path, backend.task_ids().tolist())
            except CheckpointError:
                backend.load(before)
                raise

    def _refuse_beyond(self, path: str, ids: list[int]) -> None:
        beyond = self._beyond(ids)
        if beyond:
            raise CheckpointError(
                f"{path} has {len(beyond)} tasks beyond those of this curriculum, task {beyond[0]} "
                f"for one, and there are 0 to {self.size - 1}: give the curriculum all tasks of "
                "the checkpoint"
            )

    def _beyond(self, ids: Iterable[int]) -> list[int]:
        return sorted(task_id for task_id in ids if not 0 <= task_id < self.size)

    def _compare_labels(self, path: str, loaded: TaskMemoryBackend) -> None:
        """Warns where tasks have other labels in a checkpoint than here."""
        labels: list[str | None] | None = None
        compared_at_most: int | None = _COMPARED
        if isinstance(self.generator, FixedTasks):
            labels, compared_at_most = self.generator.labels(), None
            if labels is None:
                return
        table, names = loaded.snapshot()[:compared_at_most], loaded.labels()
        ids, there = table["task_id"], table["label"]
        at = {name: position for position, name in enumerate(names)} | {None: -1}
        if labels is None:
            here = np.array([at.get(self._label(task_id), -2) for task_id in ids.tolist()])
        else:
            here = np.array([at.get(label, -2) for label in labels])[ids]
        compared = (there >= 0) & (here != -1)
        differ = np.flatnonzero(compared & (here != there))
        if len(differ) > 0:
            first = differ[ids[differ].argmin()]
            task_id, label = ids[first], names[there[first]]
            warnings.warn(
                f"{path}: the label of task {task_id} is {label!r} there and "
                f"{self._label(task_id)!r} here; {len(differ)} of {compared.sum()} differ so. "
                "Labels and statistics of the checkpoint stay, while draws say the labels of "
                "here: start without it if these are other tasks, else rename them by "
                "tracker.set_task_label",
                RuntimeWarning,
                stacklevel=4,
            )

    def _label(self, task_id: int) -> str | None:
        return self.generator.task(task_id).get_label()

    def _complete(self, tracker: TaskTracker) -> bool:
        """Labels tasks that have no label and fills the pool up; whether anything was missing."""
        labelled = self.label_tasks(tracker)
        return self.top_up(tracker) or labelled

    def label_tasks(self, tracker: TaskTracker) -> bool:
        """Gives tasks without a label that of their generator; whether there were any."""
        labelled = False
        table = tracker.snapshot()
        for task_id in table["task_id"][table["label"] < 0].tolist():
            label = self._label(task_id)
            if label is not None:
                tracker.set_task_label(task_id, label)
                labelled = True
        return labelled

    def top_up(self, tracker: TaskTracker) -> bool:
        """Creates tasks until the pool is full, in the order in which `fill` would."""
        missing = self.size - len(tracker)
        if missing <= 0:
            return False
        if isinstance(self.generator, FixedTasks):
            ids: Iterable[int] = range(self.size)
        else:
            ids = self._first_ids(tracker)
        for task_id in ids:
            if missing == 0:
                break
            label = self._label(task_id)
            missing -= tracker.track_task_creation(task_id, label=label)
        return True

    def renew(self) -> bool:
        """Evicts the task that the algorithm recommends, if any, and creates a fresh one."""
        evicted = self.algorithm.recommend_eviction()
        return evicted is not None and self.replace(evicted)

    def replace(self, evicted: int) -> bool:
        """Evicts a task and creates a fresh one; false where nothing changed.

        A task that a process took out when it was killed is made up for.
        """
        tracker = self.algorithm.tracker
        if len(tracker) < self.size:
            self.top_up(tracker)
        if len(tracker) > self.size:
            return tracker.remove_task(evicted, evict=True)
        stream = Stream(_seed(tracker), self._tenancy(evicted))
        full = self._full_labels(tracker)
        # Where nearly all ids are in the pool, or nearly all labels have what they may have, the
        # task that is there may as well stay.
        for _ in range(64):
            task_id = int(stream.random() * self.max_task_id)
            if task_id not in tracker:
                label = self._label(task_id)
                if label not in full:
                    return tracker.replace_task(evicted, task_id, label=label)
        return False

    def _full_labels(self, tracker: TaskTracker) -> set[str | None]:
        """Labels that with one task more would have more of the pool than of the draws."""
        limited = {label: most for label, (_, most) in tracker.share_limits().items() if most < 1.0}
        if not limited:
            return set()
        totals = tracker.label_totals()
        tasks = {label: totals[label]["tasks"] if label in totals else 0.0 for label in limited}
        return {label for label, most in limited.items() if tasks[label] + 1 > most * self.size}

    def _tenancy(self, task_id: int) -> int:
        """A number of the task and of its time in the pool."""
        data = self.algorithm.tracker.backend.read(task_id)
        generation = 0 if data is None else data.generation
        return (generation << 32 ^ task_id) & _ALL_BITS

    def _first_ids(self, tracker: TaskTracker) -> list[int]:
        """``size`` different ids, each set of them equally likely (Floyd's algorithm)."""
        stream = Stream(_seed(tracker), _ALL_BITS)
        ids: dict[int, None] = {}
        for last in range(self.max_task_id - self.size, self.max_task_id):
            task_id = int(stream.random() * (last + 1))
            ids[last if task_id in ids else task_id] = None
        return list(ids)


def _seed(tracker: TaskTracker) -> int:
    """Seed of the ids of a pool, which is another one after a load."""
    return tracker.backend.seed ^ _IDS
