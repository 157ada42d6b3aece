"""The drop-in curriculum: a full pool of tasks, drawn and evicted by an algorithm."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Mapping
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    field_validator,
    model_validator,
)

from curricle import config as clean
from curricle._core import Stream
from curricle.checks import MAX_SCORE, MAX_SEED, real
from curricle.compat.config import LearningProgressConfig, drop_in
from curricle.compat.curriculum_base import CurriculumAlgorithm, CurriculumTask
from curricle.compat.curriculum_state import (
    ALGORITHM,
    RANDOM,
    TASKS,
    load_records,
    random_state,
    read_count,
    read_random_state,
    task_entry,
)
from curricle.compat.labelled_algorithm import LabelledAlgorithm, RandomAlgorithm
from curricle.compat.learning_progress_algorithm import LearningProgressAlgorithm
from curricle.compat.pool_tasks import PoolTasks
from curricle.compat.stats import LabelEvents, label_stats
from curricle.generators.base import GeneratorOrConfig, TaskGenerator
from curricle.opening import name_session, open_backend
from curricle.pool import Pool

__all__ = [
    "Curriculum",
    "CurriculumAlgorithm",
    "CurriculumConfig",
    "CurriculumTask",
    "LearningProgressConfig",
]

# Evicted tasks that are kept for the reports of their episodes.
_MOST_LATE = 1024

# Pool statistics, and the counts of the session that they come from.
_LIFETIME = {
    "num_created": "created",
    "num_evicted": "evicted",
    "num_completed": "completions",
    "num_scheduled": "scheduled",
}


class CurriculumConfig(BaseModel):
    """What a `Curriculum` is made of.

    Attributes:
        task_generator: makes the tasks: a generator, the configuration of one, or a dict of the
            fields of one.
        num_active_tasks: number of tasks of the pool, >= 1. Left out, it becomes that of
            ``algorithm_config``, where it was given there.
        max_task_id: ids are below it; at least ``num_active_tasks``.
        min_presentations_for_eviction: completions below which no task is evicted, >= 0. The
            algorithm's ``min_samples_for_lp`` holds besides, for without a learning progress
            there is nothing to choose by.
        algorithm_config: a `LearningProgressConfig`, or a dict of its fields; ``None`` or a
            `UniformConfig` draws every task alike and evicts none.
        seed: seed of the curriculum that `make` makes.

    Raises:
        pydantic.ValidationError: (a ``ValueError``) an unknown field, a wrong type, or a number
            out of its range.
    """

    model_config = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, validate_assignment=True
    )

    task_generator: GeneratorOrConfig
    num_active_tasks: int = Field(default=1000, ge=1)
    max_task_id: int = Field(default=1_000_000, ge=1)
    min_presentations_for_eviction: int = Field(default=5, ge=0)
    algorithm_config: SerializeAsAny[clean.LearningProgressConfig | clean.UniformConfig] | None = (
        None
    )
    seed: int = 0

    def __init__(self, task_generator: Any, **fields: Any) -> None:
        super().__init__(task_generator=task_generator, **fields)

    @field_validator("algorithm_config", mode="plain")
    @classmethod
    def _config_of_fields(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            return LearningProgressConfig.model_validate(dict(given))
        if given is None or isinstance(given, clean.LearningProgressConfig | clean.UniformConfig):
            return given
        raise ValueError(
            f"{given!r} is a {type(given).__name__}; give a LearningProgressConfig, a dict of its "
            "fields, or None to draw every task alike"
        )

    @model_validator(mode="after")
    def _ids_suffice(self) -> Self:
        hypers = self.algorithm_config
        if hypers is not None and "num_active_tasks" in (
            hypers.model_fields_set - self.model_fields_set
        ):
            object.__setattr__(self, "num_active_tasks", hypers.num_active_tasks)
        if self.num_active_tasks > self.max_task_id:
            raise ValueError(
                f"num_active_tasks={self.num_active_tasks} is above "
                f"max_task_id={self.max_task_id}: each task of the pool needs an id of its own"
            )
        return self

    def make(self) -> Curriculum:
        """A curriculum of this configuration."""
        return Curriculum(self, self.seed)


class Curriculum:
    """Draws tasks from a full pool, takes their scores, and evicts tasks without progress.

    Every process whose ``algorithm_config`` names the same session works on the same pool, and a
    pickled curriculum attaches to its session again. Without an ``algorithm_config`` each
    curriculum has a session of its own.

    Args:
        config: what it is made of.
        seed: seed of its draws. The seed of whoever makes the session is that of the task ids.

    Raises:
        ValueError: tasks that differ in what all must share: agents, actions, resources.
        SessionError: the session is there with other tasks, rules or capacity.

    Example:
        >>> from curricle.compat.task_generator import SingleTaskGenerator
        >>> generator = SingleTaskGenerator.Config(env={"size": 3}, label="small")
        >>> curriculum = CurriculumConfig(task_generator=generator, num_active_tasks=4).make()
        >>> task = curriculum.get_task()
        >>> curriculum.update_task_performance(task._task_id, 0.5)
        >>> curriculum.stats()["num_completed"]
        1.0
    """

    def __init__(self, config: CurriculumConfig, seed: int = 0) -> None:
        self._config = config
        self._rng = random.Random(seed)
        self._process = os.getpid()
        given = config.task_generator
        self._task_generator = given if isinstance(given, TaskGenerator) else given.create()
        self._made = PoolTasks(self._task_generator)
        size = config.num_active_tasks
        hypers: clean.SessionConfig
        if isinstance(config.algorithm_config, clean.LearningProgressConfig):
            hypers = drop_in(config.algorithm_config)
        else:
            hypers = config.algorithm_config or clean.UniformConfig(num_active_tasks=size)
        place = name_session(hypers, None, None, False)
        backend = open_backend(
            hypers, size, place, seed & MAX_SEED, False, self._task_generator, config.max_task_id
        )
        try:
            self._algorithm: LabelledAlgorithm
            if isinstance(config.algorithm_config, clean.LearningProgressConfig):
                self._algorithm = LearningProgressAlgorithm(size, config.algorithm_config, backend)
            else:
                assert isinstance(hypers, clean.UniformConfig)
                self._algorithm = RandomAlgorithm(size, hypers, backend)
            self._tracker = self._algorithm.tracker
            self._pool = Pool(self._made, self._algorithm, size, config.max_task_id)
            self._pool.fill()
            self._explore()
        except BaseException:
            backend.discard()
            raise
        self._cache: dict[int, CurriculumTask] = {}
        self._events = LabelEvents()
        # Completions between two looks for a task to evict.
        self._every = max(1, size // 64)
        self._since = 0
        # What happened before a state was loaded, which the session did not see.
        self._before = dict.fromkeys(_LIFETIME, 0)

    def get_task(self) -> CurriculumTask:
        """Draws a task; before, the least promising one may be evicted for a fresh one."""
        if self._since >= self._every:
            self._since = 0
            self._renew()
        if self._process != os.getpid():
            self._separate()
        ticket = self._tracker.draw(Stream(self._rng.getrandbits(64)))
        task = self._task(ticket.task_id)
        task.drawn(ticket)
        self._events.count("per_label_samples", task._label)
        return task

    def update_task_performance(self, task_id: int, score: float) -> None:
        """The score of one episode.

        A score of a task that is no longer in the pool is late: where the task was drawn here, it
        counts as a completion and among the algorithm's ``late_reports``; the statistics of the
        task and of its label are without it.

        Raises:
            ValueError: a score that is not finite, beyond 1e9, or outside of ``score_range``.
        """
        score = real(score, "score", MAX_SCORE)
        task = self._cache.get(task_id)
        ticket = None if task is None else task.take_ticket()
        if ticket is not None:
            # Exact where another process evicts the task meanwhile.
            in_time = self._algorithm.report(ticket, score)
        else:
            in_time = task_id in self._tracker
            if in_time:
                self._algorithm.update_task_performance(task_id, score)
        if not in_time:
            if task is not None:
                if ticket is not None:
                    task.reported_late(score)
                    self._events.count("per_label_completion_counts", task._label)
                if not task.is_played():
                    del self._cache[task_id]
            return
        task = self._task(task_id)
        task.reported(score)
        self._events.count("per_label_completion_counts", task._label)
        self._since += 1

    def stats(self) -> dict[str, float]:
        """Statistics of the session, all floats; reading them changes nothing.

        Returns:
            The pool statistics (num_created, num_evicted, num_completed, num_scheduled over its
            lifetime, and num_active_tasks), ``per_label_.../LABEL`` for each label, and the
            algorithm's own as ``algorithm/...``. Completions of tasks that were evicted while
            they were played are in num_completed and in no table by label.
        """
        lifetime = self._lifetime()
        return {
            **lifetime,
            "num_active_tasks": float(len(self._tracker)),
            **label_stats(self._algorithm.labels.refresh()),
            **self._algorithm.stats("algorithm/"),
            # With those before a state was loaded, as in num_evicted.
            "algorithm/evicted": lifetime["num_evicted"],
        }

    def take_events(self) -> dict[str, dict[str, float]]:
        """Completions, draws and evictions of this curriculum by label, each handed out once.

        Returns:
            ``per_label_completion_counts``, ``per_label_samples`` and ``per_label_evictions``,
            each a dict by label; those without an event are left out.
        """
        return self._events.take()

    # State.

    def get_state(self) -> dict[str, Any]:
        """The whole state; JSON can hold it if it can hold the generator's slice values."""
        records = (self._tracker.backend.read(task_id) for task_id in self._task_ids)
        return {
            RANDOM: random_state(self._rng),
            **{name: int(value) for name, value in self._lifetime().items()},
            TASKS: {
                data.task_id: task_entry(data, self._task(data.task_id).get_slice_values())
                for data in records
                if data is not None
            },
            ALGORITHM: self._algorithm.get_state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Replaces the session's tasks by those of a state, and fills up the pool.

        Keys that the state lacks leave what they stand for as it is. Lifetime counts of the state
        are known to this curriculum and to its pickled copies; tasks and scores to the session.

        Raises:
            CheckpointError: no tasks, or entries that cannot be; nothing is changed.
            CapacityError: more tasks or labels than the table can hold.
        """
        saved = {name: read_count(state, name) for name in _LIFETIME if name in state}
        rng = read_random_state(state)
        scheduled = load_records(self._algorithm, state)
        saved.setdefault("num_scheduled", scheduled)
        if len(self._tracker) > self._pool.size:
            warnings.warn(
                f"the state has {len(self._tracker)} tasks for a pool of {self._pool.size}; "
                "evictions will bring it down",
                RuntimeWarning,
                stacklevel=2,
            )
        if rng is not None:
            self._rng.setstate(rng.getstate())
        self._cache.clear()
        self._pool.label_tasks(self._tracker)
        self._pool.top_up(self._tracker)
        self._explore()
        self._before = dict.fromkeys(_LIFETIME, 0)
        self._before = {
            name: saved.get(name, int(count)) - int(count)
            for name, count in self._lifetime().items()
        }

    # What trainers read.

    @property
    def _tasks(self) -> dict[int, CurriculumTask]:
        return {task_id: self._task(task_id) for task_id in self._tracker.get_all_tracked_tasks()}

    @property
    def _task_ids(self) -> set[int]:
        return set(self._tracker.get_all_tracked_tasks())

    @property
    def _num_created(self) -> int:
        return int(self._lifetime()["num_created"])

    @property
    def _num_evicted(self) -> int:
        return int(self._lifetime()["num_evicted"])

    # Parts.

    def _lifetime(self) -> dict[str, float]:
        counts = self._tracker.totals()
        stats = {
            name: float(counts[total] + self._before[name]) for name, total in _LIFETIME.items()
        }
        # Completed after their eviction, and completed without a report yet.
        unreported = sum(task._unreported for task in self._cache.values())
        stats["num_completed"] += counts["late_reports"] + unreported
        return stats

    def _task(self, task_id: int) -> CurriculumTask:
        task = self._cache.get(task_id)
        if task is None:
            if len(self._cache) >= 2 * self._pool.size + _MOST_LATE:
                self._forget_evicted()
            task = self._made.task(task_id)
            task.belong_to(self._tracker)
            self._cache[task_id] = task
        return task

    def _forget_evicted(self) -> None:
        """Keeps the tasks of the pool, and of the others the latest that may be being played."""
        live = self._task_ids
        gone = [i for i, task in self._cache.items() if i not in live and task.is_played()]
        kept = live.union(gone[-_MOST_LATE:])
        self._cache = {i: task for i, task in self._cache.items() if i in kept}

    def replace_invalid(self, task_id: int) -> None:
        """Puts a fresh task in the place of one that no environment could be set up for."""
        self._pool.replace(task_id)
        self._explore()

    def _renew(self) -> None:
        evicted = self._algorithm.recommend_eviction(
            min_presentations=self._config.min_presentations_for_eviction
        )
        if evicted is None:
            return
        label = self._task(evicted)._label
        if self._pool.replace(evicted) and evicted not in self._tracker:
            self._events.count("per_label_evictions", label)
        self._algorithm.labels.refresh()
        self._explore()

    def _explore(self) -> None:
        """Gives the tasks without a score the LP by which they are explored."""
        if isinstance(self._algorithm, LearningProgressAlgorithm):
            table = self._tracker.snapshot()
            bonus = self._algorithm.hypers.exploration_bonus
            new = (table["completion_count"] == 0) & (table["lp_score"] != bonus)
            for task_id in table["task_id"][new].tolist():
                self._algorithm.explore(task_id)

    def _separate(self) -> None:
        """Goes on with random numbers that no other process of the session has."""
        self._process = os.getpid()
        self._rng = random.Random(self._tracker.stream().random())

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_cache": {}, "_events": LabelEvents()}
