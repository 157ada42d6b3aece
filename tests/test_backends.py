"""One contract for every backend: the local one, the shared one, and a user's own."""

import secrets

import numpy as np
import pytest

from curricle import Curriculum, LearningProgressConfig, SingleTaskGenerator
from curricle._core import Rules, TaskData
from curricle.backends import (
    LocalMemoryBackend,
    SharedMemoryBackend,
    TaskMemoryBackend,
)
from curricle.errors import (
    CapacityError,
    CheckpointError,
    EmptyTableError,
    UnknownTaskError,
)


class DictBackend(TaskMemoryBackend):
    """What a user writes: a table over a dict."""

    def __init__(self, max_tasks, rules=None):
        self._rules = rules
        self.allocate(max_tasks)

    def allocate(self, max_tasks):
        self.max_tasks = max_tasks
        self.tasks = {}

    def read_task(self, task_id):
        return self.tasks.get(task_id)

    def write_task(self, task_id, data):
        if task_id not in self.tasks and len(self.tasks) >= self.max_tasks:
            raise CapacityError(f"the table is full: {self.max_tasks} tasks; remove some")
        self.tasks[task_id] = data

    def get_all_task_ids(self):
        return list(self.tasks)

    def delete_task(self, task_id):
        del self.tasks[task_id]


@pytest.fixture(params=["local", "shared", "dict"])
def make(request):
    """Makes backends of one kind and closes them after the test."""
    made = []

    def make_one(max_tasks=16, rules=None):
        if request.param == "local":
            backend = LocalMemoryBackend(max_tasks, rules=rules)
        elif request.param == "shared":
            name = f"test-{secrets.token_hex(8)}"
            backend = SharedMemoryBackend(max_tasks, name, rules=rules)
        else:
            backend = DictBackend(max_tasks, rules)
        made.append(backend)
        return backend

    yield make_one
    for backend in made:
        backend.close()


BOUNDED = Rules(score_range=(0.0, 1.0), min_samples=0, exploration=0.2, floor=0.1)


def ids(*values):
    return np.array(values, dtype=np.int64)


def scores(*values):
    return np.array(values, dtype=np.float64)


class TestRecords:
    def test_a_written_record_is_read_back(self, make):
        backend = make()
        data = TaskData(-5, completion_count=3, total_score=1.5, reward_ema=0.5, label="a", seed=9)
        backend.write_task(-5, data)
        read = backend.read_task(-5)
        for name in ("task_id", "completion_count", "total_score", "reward_ema", "label", "seed"):
            assert getattr(read, name) == getattr(data, name)
        assert backend.get_all_task_ids() == [-5]

    def test_an_unknown_task_is_none(self, make):
        assert make().read_task(1) is None
        assert make().read(1) is None
        assert make().index(1) is None

    @pytest.mark.parametrize("task_id", [0, -1, 2**53 + 1, 2**63 - 1, -(2**63)])
    def test_any_id_is_a_key_of_its_own(self, make, task_id):
        backend = make()
        assert backend.create(task_id)
        assert backend.create(1)
        assert set(backend.get_all_task_ids()) == {task_id, 1}
        assert backend.read_task(task_id).task_id == task_id

    def test_update_replaces_a_record_by_what_the_function_makes(self, make):
        backend = make()
        backend.create(1)
        backend.update(1, lambda data: data.replace(p_true=0.75))
        assert backend.read_task(1).p_true == 0.75

    def test_update_of_an_unknown_task(self, make):
        with pytest.raises(UnknownTaskError, match="unknown task 7"):
            make().update(7, lambda data: data)

    def test_create_leaves_a_known_task_as_it_is(self, make):
        backend = make()
        assert backend.create(1, success_threshold=0.9, seed=4, generator_type=2.0, label="a")
        assert not backend.create(1, label="b")
        data = backend.read_task(1)
        assert (data.success_threshold, data.seed, data.generator_type) == (0.9, 4, 2.0)
        assert data.label == "a"

    def test_defaults_come_from_the_rules(self, make):
        backend = make(rules=Rules(success_threshold=0.7, generator_type=3.0))
        backend.create(1)
        data = backend.read_task(1)
        assert (data.success_threshold, data.generator_type) == (0.7, 3.0)

    def test_create_many_says_which_are_new(self, make):
        backend = make()
        backend.create(2)
        assert backend.create_many(ids(1, 2, 3), ["a", "b", None]).tolist() == [True, False, True]
        assert backend.read_task(1).label == "a"
        assert backend.read_task(2).label is None

    def test_a_full_table_is_an_error_that_names_the_limit(self, make):
        backend = make(max_tasks=2)
        backend.create_many(ids(1, 2))
        with pytest.raises(CapacityError, match="2"):
            backend.create(3)
        with pytest.raises(CapacityError, match="2"):
            backend.update_score(3, 0.5)
        assert sorted(backend.get_all_task_ids()) == [1, 2]


class TestRemoval:
    def test_a_removed_task_makes_room(self, make):
        backend = make(max_tasks=2)
        backend.create_many(ids(1, 2))
        assert backend.remove(1)
        assert not backend.remove(1)
        assert backend.create(3)
        assert sorted(backend.get_all_task_ids()) == [2, 3]

    def test_counts_of_a_removed_task_stay(self, make):
        backend = make()
        backend.create(1, label="a")
        backend.update_score(1, 0.5, 10)
        backend.remove(1, evict=True)
        totals = backend.totals()
        assert (totals["completions"], totals["score_sum"], totals["env_steps"]) == (1, 0.5, 10)
        assert (totals["tasks"], totals["evicted"], totals["live_completions"]) == (0, 1, 0)
        label = backend.label_totals()["a"]
        assert (label["completions"], label["tasks"], label["evicted"]) == (1, 0, 1)

    def test_replace_is_all_or_nothing(self, make):
        backend = make(max_tasks=2)
        backend.create_many(ids(1, 2))
        assert backend.replace(1, 3, label="new")
        assert not backend.replace(1, 4)
        assert not backend.replace(2, 3)
        assert sorted(backend.get_all_task_ids()) == [2, 3]
        assert backend.read_task(3).label == "new"

    def test_clear(self, make):
        backend = make()
        backend.create_many(ids(1, 2))
        backend.clear()
        assert backend.get_all_task_ids() == []


class TestScores:
    def test_a_score_follows_the_rules(self, make):
        backend = make(rules=BOUNDED)
        expected = TaskData(1)
        for score in (0.2, 0.9, 0.0, 1.0):
            expected = BOUNDED.advance(expected, score, 5)
            lp = backend.update_score(1, score, 5)
        data = backend.read_task(1)
        for name in ("reward_ema", "ema_squared", "p_fast", "p_slow", "p_true", "total_score"):
            assert getattr(data, name) == getattr(expected, name)
        assert lp == data.lp_score == expected.lp_score
        assert data.weight == pytest.approx(expected.weight, abs=1e-9)
        assert (data.completion_count, data.env_steps, data.last_score) == (4, 20, 1.0)

    def test_without_bounds_progress_is_in_units_of_the_span(self, make):
        rules = Rules(min_samples=0)
        backend = make(rules=rules)
        backend.update_score(1, -50.0)
        backend.update_score(1, 150.0)
        expected = rules.advance(TaskData(1), -50.0, span=0.0)
        expected = rules.advance(expected, 150.0, span=200.0)
        assert backend.read_task(1).lp_score == expected.lp_score > 0.0

    @pytest.mark.parametrize("score", [float("nan"), float("inf"), -float("inf"), 1.1e9])
    def test_a_score_out_of_range_writes_nothing(self, make, score):
        backend = make()
        with pytest.raises(ValueError, match="score"):
            backend.update_score(1, score)
        with pytest.raises(ValueError, match="score"):
            backend.update_scores(ids(1, 2), scores(0.5, score))
        assert backend.get_all_task_ids() == []

    def test_a_score_outside_the_score_range_is_refused(self, make):
        backend = make(rules=BOUNDED)
        with pytest.raises(ValueError, match="score_range"):
            backend.update_score(1, 1.5)
        with pytest.raises(ValueError, match="score_range"):
            backend.update_scores(ids(1, 1), scores(0.5, 1.5))
        assert backend.totals()["completions"] == 0

    def test_a_batch_is_its_scores_in_order(self, make):
        one, many = make(rules=BOUNDED), make(rules=BOUNDED)
        order = [(1, 0.2), (2, 0.8), (1, 0.6), (1, 0.9)]
        single = [one.update_score(task_id, score) for task_id, score in order]
        batch = many.update_scores(
            ids(*(task_id for task_id, _ in order)), scores(*(score for _, score in order))
        )
        assert batch.tolist() == single
        for name in ("p_fast", "p_slow", "reward_ema", "completion_count"):
            assert one.snapshot()[name].tolist() == many.snapshot()[name].tolist()

    def test_a_batch_of_other_lengths_is_refused(self, make):
        with pytest.raises(ValueError, match="2"):
            make().update_scores(ids(1, 2), scores(0.5))

    def test_a_batch_goes_on_past_a_full_table(self, make):
        backend = make(max_tasks=1)
        progress = backend.update_scores(ids(1, 2, 1), scores(0.5, 0.5, 0.5))
        assert np.isnan(progress).tolist() == [False, True, False]
        assert backend.read_task(1).completion_count == 2

    def test_values_that_the_caller_computed(self, make):
        backend = make()
        backend.create(1)
        backend.set_lp(1, 0.25)
        backend.set_emas(1, 0.1, 0.2, 0.3, 0.4)
        backend.set_success_threshold(1, 0.9)
        data = backend.read_task(1)
        assert data.lp_score == 0.25
        assert (data.p_fast, data.p_slow, data.p_true, data.random_baseline) == (0.1, 0.2, 0.3, 0.4)
        assert data.success_threshold == 0.9
        for change in (lambda: backend.set_lp(2, 0.1), lambda: backend.set_emas(2, 0, 0, 0, 0)):
            with pytest.raises(UnknownTaskError):
                change()


class TestDraws:
    def test_an_empty_table(self, make):
        with pytest.raises(EmptyTableError, match="create tasks first"):
            make().draw()

    def test_probabilities_by_hand(self, make):
        backend = make(rules=BOUNDED)
        backend.create_many(ids(1, 2))
        backend.update_scores(ids(1, 1), scores(0.0, 1.0))
        known, shares = backend.probabilities()
        # LP = 0.1 - 0.02; the task without a score has the exploration weight; the floor is 0.1.
        expected = {1: 0.9 * 0.08 / 0.28 + 0.05, 2: 0.9 * 0.2 / 0.28 + 0.05}
        assert dict(zip(known.tolist(), shares.tolist(), strict=True)) == pytest.approx(
            expected, rel=1e-6
        )

    def test_a_draw_counts_as_scheduled(self, make):
        backend = make()
        backend.create(1)
        ticket = backend.draw()
        assert ticket.task_id == 1
        assert backend.read_task(1).scheduled_count == 1
        assert backend.totals()["scheduled"] == 1

    def test_a_ticket_is_reported_once(self, make):
        backend = make()
        backend.create(1)
        ticket = backend.draw()
        assert backend.report(ticket, 0.5, 7) == 0.0
        with pytest.raises(ValueError, match="before"):
            backend.report(ticket, 0.5)
        data = backend.read_task(1)
        assert (data.completion_count, data.env_steps) == (1, 7)

    def test_a_refused_score_leaves_the_ticket_good(self, make):
        backend = make()
        backend.create(1)
        ticket = backend.draw()
        with pytest.raises(ValueError, match="score"):
            backend.report(ticket, float("nan"))
        assert backend.report(ticket, 0.5) is not None

    def test_a_late_ticket_touches_neither_old_nor_new_tenant(self, make):
        backend = make(max_tasks=1)
        backend.create(1)
        first, second = backend.draw(), backend.draw()
        backend.replace(1, 2)
        assert backend.report(first, 0.5) is None
        backend.replace(2, 1)
        assert backend.report(second, 0.5) is None
        assert backend.read_task(1).completion_count == 0
        assert backend.totals()["late_reports"] == 2
        assert backend.totals()["completions"] == 0

    def test_streams_repeat(self, make):
        backend = make()
        backend.create_many(np.arange(10))
        one, two = backend.stream(seed=3), backend.stream(seed=3)
        drawn = [[backend.draw(stream).task_id for _ in range(20)] for stream in (one, two)]
        assert drawn[0] == drawn[1]
        words = backend.stream_state
        ahead = [backend.draw().task_id for _ in range(20)]
        backend.stream_state = words
        assert [backend.draw().task_id for _ in range(20)] == ahead

    def test_numbered_streams_differ(self, make):
        backend = make()
        assert len({backend.stream().state for _ in range(10)} | {backend.stream_state}) == 11

    def test_draws_without_replacement(self, make):
        backend = make()
        backend.create_many(np.arange(5))
        assert sorted(t.task_id for t in backend.draw_many(5, replace=False)) == [0, 1, 2, 3, 4]
        with pytest.raises(ValueError, match="6"):
            backend.draw_many(6, replace=False)

    def test_weights_that_the_caller_sets(self, make):
        backend = make(rules=Rules(progress="given"))
        backend.create_many(ids(1, 2, 3))
        assert backend.set_weights(ids(1, 2, 4), scores(6.0, 2.0, 1.0)).tolist() == [
            True,
            True,
            False,
        ]
        backend.set_weights(ids(3), scores(0.0))
        backend.update_score(1, 0.5)
        assert backend.read_task(1).lp_score == 6.0
        known, shares = backend.probabilities()
        drawn = dict(zip(known.tolist(), shares.tolist(), strict=True))
        assert drawn == pytest.approx({1: 0.75, 2: 0.25, 3: 0.0}, abs=1e-6)

    def test_a_weight_is_what_it_is_in_any_batch(self, make):
        backend = make(rules=Rules(progress="given"))
        backend.create_many(ids(1, 2))
        backend.set_weights(ids(1), scores(30.0))
        backend.set_weights(ids(2), scores(10.0))
        assert backend.probabilities()[1].tolist() == pytest.approx([0.75, 0.25])

    @pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf"), 4096.0])
    def test_a_bad_weight_changes_none(self, make, weight):
        backend = make(rules=Rules(progress="given"))
        backend.create_many(ids(1, 2))
        before = backend.probabilities()[1].tolist()
        with pytest.raises(ValueError, match="4096"):
            backend.set_weights(ids(1, 2), scores(2.0, weight))
        assert backend.probabilities()[1].tolist() == before

    def test_all_weights_zero_is_uniform(self, make):
        backend = make(rules=Rules(progress="given", exploration=0.0))
        backend.create_many(ids(1, 2))
        assert backend.probabilities()[1].tolist() == [0.5, 0.5]


class TestReports:
    """A batch of reports is written whole or not at all."""

    @pytest.fixture
    def drawn(self, make):
        backend = make(rules=Rules(score_range=(0.0, 1.0)))
        backend.create_many(ids(1, 2, 3))
        return backend, backend.draw_many(2)

    @pytest.mark.parametrize(
        ("values", "steps", "said"),
        [
            ((0.5, 7.0), None, "score_range"),
            ((0.5, float("nan")), None, "score"),
            ((0.5,), None, "2"),
            ((0.5, 0.5), (3, -1), "env_steps"),
        ],
    )
    def test_a_bad_row(self, drawn, values, steps, said):
        backend, tickets = drawn
        steps = None if steps is None else ids(*steps)
        with pytest.raises(ValueError, match=said):
            backend.report_many(tickets, scores(*values), steps)
        assert backend.totals()["completions"] == 0
        assert not np.isnan(backend.report_many(tickets, scores(0.5, 0.5))).any()

    def test_a_ticket_that_comes_twice_or_came_before(self, drawn):
        backend, (first, second) = drawn
        with pytest.raises(ValueError, match="twice"):
            backend.report_many([first, first], scores(0.5, 0.5))
        assert backend.totals()["completions"] == 0
        assert backend.report(second, 0.5) is not None
        with pytest.raises(ValueError, match="before"):
            backend.report_many([first, second], scores(0.5, 0.5))
        assert backend.totals()["completions"] == 1

    def test_counts_of_steps_and_late_tickets(self, drawn):
        backend, tickets = drawn
        backend.remove(tickets[0].task_id)
        progress = backend.report_many(tickets, scores(0.5, 0.5), ids(3, 4))
        gone = [ticket.task_id == tickets[0].task_id for ticket in tickets]
        assert np.isnan(progress).tolist() == gone
        assert backend.totals()["env_steps"] == (0 if all(gone) else 4)


class TestValues:
    """What no record may hold is refused by every backend."""

    @pytest.mark.parametrize("label", ["", "x" * 121, "é" * 61])
    def test_a_label_out_of_its_limit(self, make, label):
        backend = make()
        backend.create(1, label="a")
        with pytest.raises(ValueError, match="label"):
            backend.create(2, label=label)
        with pytest.raises(ValueError, match="label"):
            backend.create_many(ids(3, 4), ["a", label])
        with pytest.raises(ValueError, match="label"):
            backend.replace(1, 2, label=label)
        with pytest.raises(ValueError, match="label"):
            backend.set_label(1, label)
        assert backend.task_ids().tolist() == [1]
        assert backend.read(1).label == "a"

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_no_finite_number(self, make, value):
        backend = make()
        backend.create(1)
        before = backend.read(1)
        for call in (
            lambda: backend.set_lp(1, value),
            lambda: backend.set_emas(1, 0.5, value, 0.5, 0.0),
            lambda: backend.set_success_threshold(1, value),
            lambda: backend.create(2, success_threshold=value),
            lambda: backend.create(2, generator_type=value),
            lambda: backend.create(2, seed=-1),
        ):
            with pytest.raises(ValueError, match=r"nan|NaN|inf|-1"):
                call()
        assert backend.read(1) == before
        assert len(backend) == 1

    def test_a_learning_progress_beyond_the_largest_weight(self, make):
        backend = make(rules=Rules(progress="given", min_samples=0))
        backend.update_score(1, 0.5)
        with pytest.raises(ValueError, match="4096"):
            backend.set_lp(1, 5000.0)
        assert backend.read(1).lp_score == 0.0

    def test_a_learning_progress_beyond_its_limit(self, make):
        backend = make()
        backend.create(1)
        with pytest.raises(ValueError, match="1000000"):
            backend.set_lp(1, 1e7)
        assert backend.read(1).lp_score == 0.0

    def test_negative_steps(self, make):
        backend = make()
        backend.create(1)
        ticket = backend.draw()
        for call in (
            lambda: backend.update_score(1, 0.5, -1),
            lambda: backend.update_scores(ids(1), scores(0.5), ids(-1)),
            lambda: backend.report(ticket, 0.5, -1),
        ):
            with pytest.raises(ValueError, match="-1"):
                call()
        assert backend.totals()["completions"] == 0
        assert backend.report(ticket, 0.5) is not None


class TestEviction:
    def test_the_least_progress_goes_first(self, make):
        backend = make(rules=Rules(progress="given"))
        for task_id, lp in ((1, 0.3), (2, 0.1), (3, 0.2)):
            backend.update_score(task_id, 0.5)
            backend.set_lp(task_id, lp)
        backend.create(4)
        assert backend.choose_eviction(1) == 2
        assert backend.choose_eviction(2) is None

    def test_only_within_the_lowest_share(self, make):
        backend = make(rules=Rules(progress="given"))
        for task_id, lp in ((1, 0.3), (2, 0.1), (3, 0.2), (4, 0.4)):
            backend.create(task_id)
            backend.set_lp(task_id, lp)
        backend.update_score(3, 0.5)
        # One of four has less: the task is above the lowest fifth and within the lowest half.
        assert backend.choose_eviction(1, 0.2) is None
        assert backend.choose_eviction(1, 0.5) == 3


class TestViews:
    def test_a_snapshot_has_all_fields(self, make):
        backend = make()
        backend.create(5, label="a")
        backend.create(6)
        table = backend.snapshot()
        assert sorted(table["task_id"].tolist()) == [5, 6]
        labels = {
            int(row["task_id"]): None if row["label"] < 0 else backend.labels()[row["label"]]
            for row in table
        }
        assert labels == {5: "a", 6: None}
        assert set(table.dtype.names) >= set(TaskData(1).as_dict()) - {"columns"}

    def test_label_totals(self, make):
        backend = make()
        backend.create_many(ids(1, 2, 3), ["a", "a", "b"])
        backend.update_scores(ids(1, 2, 2, 3), scores(1.0, 0.0, 0.5, 0.25))
        backend.set_lp(1, 0.5)
        totals = backend.label_totals()
        assert {label: totals[label]["completions"] for label in ("a", "b")} == {"a": 3, "b": 1}
        assert totals["a"]["score_sum"] == 1.5
        assert totals["a"]["lp_mean"] == pytest.approx(0.25)
        backend.set_label(3, "a")
        assert backend.read_task(3).label == "a"
        assert backend.label_totals()["a"]["tasks"] == 3

    def test_verify(self, make):
        backend = make()
        backend.update_scores(ids(1, 2, 1), scores(0.5, 0.5, 0.5))
        assert backend.verify()["tasks"] == 2


class TestCheckpoints:
    def test_a_checkpoint_gives_the_same_table(self, make, tmp_path):
        backend = make(rules=BOUNDED)
        backend.create_many(ids(1, 2, 3), ["a", "b", None])
        backend.update_scores(ids(1, 2, 1), scores(0.1, 0.7, 0.3))
        backend.remove(3)
        path = str(tmp_path / "table")
        assert backend.save(path) > 0
        before = [backend.read_task(i).as_dict() for i in (1, 2)]
        totals = backend.totals()
        ahead = [backend.draw().task_id for _ in range(10)]
        backend.update_score(9, 0.9)
        backend.load(path)
        after = [backend.read_task(i).as_dict() for i in (1, 2)]
        for old, new in zip(before, after, strict=True):
            for name in old.keys() - {"generation"}:
                assert old[name] == new[name], name
        for name in ("completions", "score_sum", "created", "removed", "scheduled"):
            assert backend.totals()[name] == totals[name], name
        assert [backend.draw().task_id for _ in range(10)] == ahead

    def test_a_broken_file_changes_nothing(self, make, tmp_path):
        backend = make()
        backend.create(1)
        path = tmp_path / "table"
        backend.save(str(path))
        path.write_bytes(path.read_bytes()[:-9])
        backend.create(2)
        with pytest.raises(CheckpointError, match="table"):
            backend.load(str(path))
        with pytest.raises(CheckpointError, match="missing"):
            backend.load(str(tmp_path / "missing"))
        assert sorted(backend.get_all_task_ids()) == [1, 2]


class Four(DictBackend):
    """No more than the four methods that a backend must have."""

    delete_task = TaskMemoryBackend.delete_task


def test_without_delete_task_a_removed_task_is_hidden():
    backend = Four(2)
    backend.create_many(ids(1, 2))
    assert backend.remove(1)
    assert backend.read(1) is None
    assert backend.task_ids().tolist() == [2]
    assert backend.create(1)
    assert backend.task_ids().tolist() == [1, 2]


def test_without_delete_task_nothing_is_evicted_from_a_full_table():
    backend = Four(2)
    backend.create_many(ids(1, 2))
    backend.update_scores(ids(1, 2, 1, 2), scores(0.5, 0.5, 0.0, 1.0))
    with pytest.warns(RuntimeWarning, match=r"2 tasks.*delete_task"):
        assert backend.choose_eviction(1) is None
    with pytest.raises(CapacityError, match=r"2 tasks.*delete_task"):
        backend.replace(1, 3)
    assert backend.task_ids().tolist() == [1, 2]


def test_a_pool_in_a_full_table_that_gives_no_room_back_goes_on():
    backend = Four(4)
    sizes = SingleTaskGenerator.Config(env=7).create()
    config = LearningProgressConfig(min_samples_for_lp=1, eviction_threshold_percentile=1.0)
    curriculum = Curriculum(sizes, config, pool_size=4, backend=backend)

    def play():
        for _ in range(40):
            curriculum.report(curriculum.draw().ticket, 0.5)

    with pytest.warns(RuntimeWarning, match="delete_task"):
        play()
    assert curriculum.tracker.totals()["completions"] == 40
    assert len(curriculum.tracker) == 4
