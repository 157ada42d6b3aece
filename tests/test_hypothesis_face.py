"""Any sequence of calls, right and wrong ones, against a plain model: a refusal changes nothing."""

import copy
import pickle
import secrets
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from curricle import (
    CapacityError,
    Curriculum,
    EmptyTableError,
    LearningProgressConfig,
    LocalMemoryBackend,
    Rules,
    TaskData,
    TaskTracker,
    UnknownTaskError,
)
from curricle._core import Stream
from refusals import unchanged

CAPACITY = 6
RULES = Rules(score_range=(-10.0, 10.0), min_samples=2, floor=0.1)
REFUSALS = (ValueError, TypeError, OverflowError, UnknownTaskError, CapacityError)
QUICK = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
BEYOND = 10**400

ids = st.sampled_from([-(2**63), -3, 0, 1, 2, 3, 4, 5, 6, 2**63 - 1])
given_ids = st.one_of(ids, ids.map(np.int64))
scores = st.floats(-10.0, 10.0)
given_scores = st.one_of(
    scores, scores.map(np.float64), st.integers(-10, 10), st.integers(-10, 10).map(np.int32)
)
labels = st.one_of(
    st.none(),
    st.sampled_from(["a", "b", "a\0b", "\0", "é" * 60, "\N{PILE OF POO}" * 30, " ", "other"]),
)

wrong_ids = st.sampled_from(
    [
        2**63,
        -(2**63) - 1,
        BEYOND,
        1.0,
        True,
        None,
        "1",
        b"1",
        [1],
        np.float64(1.0),
        np.uint64(2**63),
    ]
)
wrong_scores = st.sampled_from(
    [float("nan"), float("inf"), -float("inf"), 10.5, 1e300, BEYOND, None, "0.5", [0.5], 1j]
)
wrong_labels = st.one_of(
    st.sampled_from(["", "x" * 121, "é" * 61, 7, b"a", ["a"], True]),
    st.text(st.characters(categories=["Cs"]), min_size=1, max_size=3),
)
wrong_steps = st.sampled_from([-1, 2**48 + 1, BEYOND, 1.5, "1", [1]])


def strided(values, dtype):
    """The same numbers, two elements apart and from the back."""
    return np.repeat(np.asarray(values, dtype)[::-1], 2)[::-2]


forms = st.sampled_from([list, np.asarray, tuple, "strided"])


def formed(form, values, dtype):
    if form == "strided":
        return strided(values, dtype)
    return form(values) if form in (list, tuple) else form(values, dtype)


wrong_arrays = st.sampled_from(
    [
        (np.zeros((1, 2), np.int64), [0.5, 0.5]),
        ([1, 2], [0.5]),
        ([1.0, 2.0], [0.5, 0.5]),
        (["1", "2"], [0.5, 0.5]),
        ([1, None], [0.5, 0.5]),
        ([1, 2**63], [0.5, 0.5]),
        ([True, False], [0.5, 0.5]),
        ([1, 2], [0.5, float("nan")]),
        ([1, 2], [0.5, 11.0]),
        ([1, 2], ["a", "b"]),
        ([1, 2], np.zeros(2, np.complex128)),
        ([1, 2], np.zeros((2, 2))[:, :1]),
        (1, 0.5),
        (np.array([1, 2], "datetime64[s]"), [0.5, 0.5]),
    ]
)


class Task(NamedTuple):
    """What the model knows of a task."""

    scores: tuple[float, ...] = ()
    label: str | None = None
    scheduled: int = 0


class Face(RuleBasedStateMachine):
    """A tracker beside a dict of tasks."""

    @initialize()
    def start(self):
        self.name = f"test-{secrets.token_hex(8)}"
        self.tracker = TaskTracker(backend=LocalMemoryBackend(CAPACITY, rules=RULES, seed=1))
        self.tasks = {}
        self.open = []
        self.saved = None

    def refused(self, call, *args, **kwargs):
        with unchanged(self.tracker, self.name), pytest.raises(REFUSALS):
            call(*args, **kwargs)

    def scored(self, task_id, score):
        task = self.tasks.get(int(task_id), Task())
        self.tasks[int(task_id)] = task._replace(scores=(*task.scores, float(score)))

    def full_for(self, task_id):
        return int(task_id) not in self.tasks and len(self.tasks) == CAPACITY

    # Right calls.

    @rule(task_id=given_ids, label=labels)
    def create(self, task_id, label):
        if self.full_for(task_id):
            return self.refused(self.tracker.track_task_creation, task_id, label=label)
        created = self.tracker.track_task_creation(task_id, label=label)
        assert created == (int(task_id) not in self.tasks)
        if created:
            self.tasks[int(task_id)] = Task(label=label)

    @rule(task_id=ids, score=given_scores, steps=st.integers(0, 2**48))
    def update(self, task_id, score, steps):
        if self.full_for(task_id):
            return self.refused(self.tracker.update, task_id, score)
        self.tracker.update(task_id, score, steps % 100)
        self.scored(task_id, score)

    @rule(batch=st.lists(st.tuples(ids, scores), max_size=8), form=forms)
    def update_batch(self, batch, form):
        progress = self.tracker.update_batch(
            formed(form, [task_id for task_id, _ in batch], np.int64),
            formed(form, [score for _, score in batch], np.float64),
        )
        for (task_id, score), after in zip(batch, progress, strict=True):
            assert np.isnan(after) == self.full_for(task_id)
            if not self.full_for(task_id):
                self.scored(task_id, score)

    @rule()
    def draw(self):
        if not self.tasks:
            with pytest.raises(EmptyTableError):
                self.tracker.draw()
            return
        ticket = self.tracker.draw()
        task = self.tasks[ticket.task_id]
        self.tasks[ticket.task_id] = task._replace(scheduled=task.scheduled + 1)
        self.open.append(ticket)

    @rule(score=given_scores)
    def report(self, score):
        for ticket in self.open:
            # A task that was removed meanwhile is late, also where its id has come again.
            if self.tracker.report_one(ticket, score) is not None:
                self.scored(ticket.task_id, score)
            self.refused(self.tracker.report_one, ticket, score)
        self.open = []

    @rule(task_id=ids, label=labels)
    def set_label(self, task_id, label):
        if task_id not in self.tasks:
            return self.refused(self.tracker.set_task_label, task_id, label)
        self.tracker.set_task_label(task_id, label)
        self.tasks[task_id] = self.tasks[task_id]._replace(label=label)

    @rule(task_id=ids, evict=st.booleans())
    def remove(self, task_id, evict):
        assert self.tracker.remove_task(task_id, evict=evict) == (task_id in self.tasks)
        self.tasks.pop(task_id, None)

    @rule(evicted=ids, task_id=ids, label=labels)
    def replace(self, evicted, task_id, label):
        possible = evicted in self.tasks and task_id not in self.tasks
        assert self.tracker.replace_task(evicted, task_id, label=label) == possible
        if possible:
            del self.tasks[evicted]
            self.tasks[task_id] = Task(label=label)

    # Wrong calls.

    @rule(task_id=wrong_ids, score=scores)
    def a_wrong_id(self, task_id, score):
        self.refused(self.tracker.track_task_creation, task_id)
        self.refused(self.tracker.update, task_id, score)
        self.refused(self.tracker.update_batch, [1, task_id], [score, score])
        self.refused(self.tracker.update_task_performance, task_id, score)
        self.refused(self.tracker.set_task_label, task_id, "a")
        self.refused(self.tracker.replace_task, 0, task_id)

    @rule(task_id=ids, score=wrong_scores)
    def a_wrong_score(self, task_id, score):
        self.refused(self.tracker.update, task_id, score)
        self.refused(self.tracker.update_task_performance, task_id, score)
        self.refused(self.tracker.update_task_performance, task_id, 0.5, lp_score=[score])
        self.refused(self.tracker.update_batch, [task_id, 1], [0.5, score])
        for ticket in self.open[:1]:
            self.refused(self.tracker.report_one, ticket, score)
            self.refused(self.tracker.report, [ticket], [score])

    @rule(task_id=ids, steps=wrong_steps)
    def wrong_steps(self, task_id, steps):
        self.refused(self.tracker.update, task_id, 0.5, steps)
        self.refused(self.tracker.update_batch, [task_id], [0.5], [steps])

    @rule(label=wrong_labels)
    def a_wrong_label(self, label):
        self.refused(self.tracker.track_task_creation, 9, label=label)
        self.refused(self.tracker.set_task_label, next(iter(self.tasks), 9), label)
        self.refused(self.tracker.replace_task, next(iter(self.tasks), 9), 77, label=label)

    @rule(arrays=wrong_arrays)
    def wrong_arrays(self, arrays):
        self.refused(self.tracker.update_batch, *arrays)

    @rule(number=st.sampled_from([float("nan"), float("inf"), -1.0, 4096.0, None, "1", BEYOND]))
    def wrong_numbers(self, number):
        known = next(iter(self.tasks), 9)
        self.refused(self.tracker.set_weights, [known], [number])
        self.refused(self.tracker.choose_eviction, number if number != 4096.0 else "1")
        if number not in (-1.0, 4096.0):
            self.refused(self.tracker.update_lp_score, known, number)
            self.refused(self.tracker.update_bidirectional_emas, known, 0.5, 0.5, number, 0.0)

    # What must hold after each.

    @invariant()
    def agrees(self):
        table = self.tracker.snapshot()
        assert len(self.tracker) == len(table) == len(self.tasks)
        for task_id, task in self.tasks.items():
            data = self.tracker.backend.read(task_id)
            assert (data.label, data.scheduled_count) == (task.label, task.scheduled)
            assert data.completion_count == len(task.scores)
            assert data.total_score == pytest.approx(sum(task.scores), abs=1e-9)
            if task.scores:
                assert data.last_score == task.scores[-1]
        self.tracker.verify()


Face.TestCase.settings = QUICK
TestFace = Face.TestCase


class TestValues:
    """Values that are pickled, copied and made from parts of other ones."""

    numbers = st.one_of(
        st.integers(-(2**70), 2**70), st.floats(), st.none(), st.text(max_size=3), st.booleans()
    )

    @QUICK
    @given(
        changes=st.dictionaries(st.sampled_from(sorted(TaskData(1).as_dict())), numbers, max_size=4)
    )
    def test_a_record_is_made_whole_or_refused(self, changes):
        tracker = TaskTracker(backend=LocalMemoryBackend(3, rules=RULES))
        tracker.track_many([1, 2], ["a", None])
        try:
            data = TaskData(**{"task_id": 1} | changes)
        except REFUSALS:
            return
        assert repr(pickle.loads(pickle.dumps(data)).as_dict()) == repr(data.as_dict())
        before, name = len(tracker), f"test-{secrets.token_hex(8)}"
        try:
            with unchanged(tracker, name):
                tracker.backend.write_task(data.task_id, data)
                raise AssertionError("written")
        except REFUSALS:
            assert len(tracker) == before
        except AssertionError:
            written = tracker.backend.read(data.task_id)
            assert written.total_score == data.total_score
            assert written.completion_count == data.completion_count
            tracker.verify()

    @QUICK
    @given(state=st.one_of(numbers, st.lists(st.one_of(numbers, st.just(0)), max_size=6)))
    def test_the_state_of_a_stream_is_taken_or_refused(self, state):
        stream = Stream(1)
        before = stream.state
        try:
            stream.state = tuple(state) if isinstance(state, list) else state
        except REFUSALS:
            assert stream.state == before
        else:
            assert stream.state == tuple(state)
        assert 0.0 <= stream.random() < 1.0
        copied = copy.deepcopy(stream)
        assert copied.random() == stream.random()

    @QUICK
    @given(data=st.data())
    def test_a_forged_ticket_counts_late_or_is_refused(self, data):
        tracker = TaskTracker(backend=LocalMemoryBackend(3, rules=RULES))
        tracker.track_many([1, 2], None)
        made, parts = tracker.draw().__reduce__()[:2]
        at = data.draw(st.integers(0, len(parts) - 1))
        forged = list(parts)
        forged[at] = data.draw(self.numbers)
        try:
            counted = tracker.report_one(made(*forged), 0.5)
        except REFUSALS:
            counted = None
        assert tracker.totals()["completions"] == (counted is not None)
        tracker.verify()

    @QUICK
    @given(
        fields=st.dictionaries(
            st.sampled_from(sorted(LearningProgressConfig.model_fields)), numbers, max_size=3
        )
    )
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_a_config_is_made_whole_or_refused(self, fields):
        try:
            config = LearningProgressConfig(**fields | {"use_shared_memory": False})
            copied = LearningProgressConfig(**config.model_dump())
            config.rules()
        except REFUSALS:
            return
        assert copied == config


class TestCurriculum:
    """Reports as a training loop makes them."""

    @QUICK
    @given(
        calls=st.lists(
            st.tuples(st.sampled_from([1, 3]), st.one_of(given_scores, wrong_scores)), max_size=12
        )
    )
    def test_reports_count_once_or_not_at_all(self, calls):
        config = LearningProgressConfig(use_shared_memory=False, score_range=(-10.0, 10.0))
        with Curriculum({"a": {"size": 1}, "b": {"size": 2}}, config, seed=1) as curriculum:
            counted, name = 0, f"test-{secrets.token_hex(8)}"
            for n, score in calls:
                tickets = [task.ticket for task in curriculum.draw_many(n)]
                try:
                    curriculum.report(tickets, [score] * n)
                    counted += n
                except REFUSALS:
                    with unchanged(curriculum.tracker, name), pytest.raises(REFUSALS):
                        curriculum.report(tickets, [score] * n)
            assert curriculum.metrics()["env_curriculum/num_completed"] == counted
            curriculum.verify()
