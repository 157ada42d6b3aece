"""State dicts of both generations: written by hand, loaded, given back, converted."""

import json
import secrets
import warnings

import pytest
from typer.testing import CliRunner

from curricle import Curriculum, LearningProgressConfig, LocalMemoryBackend
from curricle import TaskTracker as CleanTracker
from curricle._core import Rules, TaskData
from curricle.backends.base import TaskMemoryBackend
from curricle.cli import app
from curricle.compat.conversion import convert
from curricle.compat.task_tracker import CentralizedTaskTracker, LocalTaskTracker, TaskTracker
from curricle.errors import CapacityError, CheckpointError

TASK_KEYS = {
    "creation_time",
    "completion_count",
    "reward_ema",
    "lp_score",
    "success_rate_ema",
    "total_score",
    "last_score",
    "success_threshold",
    "seed",
    "generator_type",
    "ema_squared",
    "p_fast",
    "p_slow",
    "p_true",
    "random_baseline",
    "label",
}
KEYS = {
    "max_memory_tasks",
    "tracker_type",
    "session_id",
    "task_memory",
    "task_creation_order",
    "completion_history",
    "cached_total_completions",
    "cache_valid",
    "global_total_completions",
    "global_sum_scores",
}


def earlier_state():
    """As the first generation wrote it: no bidirectional EMAs, counts as floats."""
    return {
        "max_memory_tasks": 1000,
        "tracker_type": "local",
        "task_memory": {
            11: {
                "creation_time": 1.7e9,
                "completion_count": 4.0,
                "reward_ema": 0.4,
                "lp_score": 0.125,
                "success_rate_ema": 0.25,
                "total_score": 1.5,
                "last_score": 0.0,
            },
            5: {
                "creation_time": 1.6e9,
                "completion_count": 0.0,
                "reward_ema": 0.0,
                "lp_score": 0.0,
                "success_rate_ema": 0.0,
                "total_score": 0.0,
                "last_score": 0.0,
                "success_threshold": 0.75,
                "seed": 77.0,
                "generator_type": 1.0,
                "ema_squared": 0.0,
            },
        },
        "task_creation_order": [[1.6e9, 5], [1.7e9, 11]],
        "completion_history": [0.5, 0.0, 1.0, 0.0],
        "cached_total_completions": 4,
        "cache_valid": True,
    }


def later_state():
    """As the second generation wrote it, with two tasks gone that had 3 scores of 1.0."""
    return {
        "max_memory_tasks": 500,
        "tracker_type": "centralized",
        "session_id": "gone",
        "task_memory": {
            2**60 + 1: {
                "creation_time": 1.75e9,
                "completion_count": 10,
                "reward_ema": 0.5,
                "lp_score": 0.25,
                "success_rate_ema": 0.625,
                "total_score": 4.0,
                "last_score": 1.0,
                "success_threshold": 0.5,
                "seed": 123,
                "generator_type": 2.0,
                "ema_squared": 0.375,
                "p_fast": 0.75,
                "p_slow": 0.5,
                "p_true": 0.625,
                "random_baseline": 0.125,
                "label": "maze",
            },
            0: {
                "creation_time": 1.76e9,
                "completion_count": 2,
                "reward_ema": -1.5,
                "total_score": -3.0,
                "last_score": -1.0,
                "label": None,
            },
        },
        "task_creation_order": [2**60 + 1, 0],
        "completion_history": [],
        "cached_total_completions": 12,
        "cache_valid": False,
        "global_total_completions": 15,
        "global_sum_scores": 4.0,
    }


class DictBackend(TaskMemoryBackend):
    """A backend of a user's, over a dict; refuses the task ``unloved``."""

    unloved = None

    def __init__(self, max_tasks):
        self.allocate(max_tasks)

    def allocate(self, max_tasks):
        self.max_tasks, self.tasks = max_tasks, {}

    def read_task(self, task_id):
        return self.tasks.get(task_id)

    def write_task(self, task_id, data):
        if task_id == self.unloved:
            raise ValueError(f"not task {task_id}")
        if task_id not in self.tasks and len(self.tasks) >= self.max_tasks:
            raise CapacityError(f"the table is full: {self.max_tasks} tasks")
        self.tasks[task_id] = data

    def delete_task(self, task_id):
        del self.tasks[task_id]

    def get_all_task_ids(self):
        return list(self.tasks)


@pytest.fixture(params=["local", "centralized", "user's"])
def tracker(request):
    made = {
        "local": lambda: LocalTaskTracker(64),
        "centralized": lambda: CentralizedTaskTracker(64),
        "user's": lambda: TaskTracker(backend=DictBackend(64)),
    }[request.param]()
    yield made
    made.cleanup_shared_memory()


def statistics(tracker):
    """All that a trainer can read, without ages, which the clock moves."""
    tasks = {}
    for task_id in tracker.get_all_tracked_tasks():
        tasks[task_id] = tracker.get_task_stats(task_id)
        del tasks[task_id]["age_seconds"]
        tasks[task_id]["label"] = tracker.get_task_label(task_id)
    return tasks, tracker.get_global_stats(), tracker.get_label_completion_counts()


def through_json(state):
    return json.loads(json.dumps(state))


class TestLoading:
    @pytest.mark.parametrize("through", [dict, through_json])
    def test_the_earlier_generation(self, tracker, through):
        tracker.update_task_performance(99, 1.0)
        tracker.load_state(through(earlier_state()))
        assert tracker.get_all_tracked_tasks() == [5, 11]
        stats = tracker.get_task_stats(11)
        assert stats.pop("age_seconds") > 0.0
        assert stats == {
            "completion_count": 4,
            "mean_score": 0.375,
            "reward_ema": 0.4,
            "ema_squared": 0.0,
            "lp_score": 0.125,
            "success_rate_ema": 0.25,
            "last_score": 0.0,
            "success_threshold": 0.5,
            "seed": 0,
            "generator_type": 0.0,
            "p_fast": 0.0,
            "p_slow": 0.0,
            "p_true": 0.0,
            "random_baseline": 0.0,
        }
        other = tracker.get_task_stats(5)
        assert (other["success_threshold"], other["seed"], other["generator_type"]) == (0.75, 77, 1)
        assert tracker.get_global_stats() == {
            "mean_score": 0.375,
            "total_completions": 4,
            "mean_recent_score": 0.4,
            "total_tracked_tasks": 2,
        }

    @pytest.mark.parametrize("through", [dict, through_json])
    def test_the_later_generation(self, tracker, through):
        tracker.update_task_performance(99, 1.0)
        tracker.load_state(through(later_state()))
        assert tracker.get_all_tracked_tasks() == [2**60 + 1, 0]
        stats = tracker.get_task_stats(2**60 + 1)
        assert (stats["p_fast"], stats["p_slow"], stats["p_true"]) == (0.75, 0.5, 0.625)
        assert (stats["random_baseline"], stats["ema_squared"]) == (0.125, 0.375)
        assert (stats["completion_count"], stats["mean_score"], stats["seed"]) == (10, 0.4, 123)
        assert tracker.get_task_stats(0)["mean_score"] == -1.5
        assert tracker.get_task_label(2**60 + 1) == "maze"
        assert tracker.get_task_label(0) is None
        assert tracker.get_label_completion_counts() == {"maze": 10}
        assert tracker.get_global_stats() == {
            "mean_score": pytest.approx(4.0 / 15),
            "total_completions": 15,
            "mean_recent_score": -0.5,
            "total_tracked_tasks": 2,
        }
        tracker.verify()

    def test_completions_without_their_scores_are_like_the_others(self):
        state = later_state()
        del state["global_sum_scores"]
        tracker = TaskTracker()
        tracker.load_state(state)
        entries = state["task_memory"].values()
        live = sum(entry["completion_count"] for entry in entries)
        mean = sum(entry["total_score"] for entry in entries) / live
        stats = tracker.get_global_stats()
        assert stats["total_completions"] == 15 > live
        assert stats["mean_score"] == pytest.approx(mean)

    def test_none_is_a_field_that_was_never_set(self, tracker):
        fields = ("seed", "success_threshold", "random_baseline", "last_score", "label")
        tracker.load_state({"task_memory": {1: dict.fromkeys(fields), 2: {"label": ""}}})
        stats = tracker.get_task_stats(1)
        assert (stats["seed"], stats["success_threshold"], stats["last_score"]) == (0, 0.5, 0.0)
        assert tracker.get_task_label(1) is tracker.get_task_label(2) is None

    def test_missing_defaults_are_the_trackers(self):
        tracker = TaskTracker(default_success_threshold=0.9, default_generator_type=3.0)
        tracker.load_state({"task_memory": {1: {}}})
        stats = tracker.get_task_stats(1)
        assert (stats["success_threshold"], stats["generator_type"]) == (0.9, 3.0)
        assert stats["completion_count"] == 0

    def test_scores_go_on_from_it(self, tracker):
        tracker.load_state(later_state())
        tracker.update_task_performance(2**60 + 1, 1.0)
        stats = tracker.get_task_stats(2**60 + 1)
        assert (stats["completion_count"], stats["mean_score"]) == (11, pytest.approx(5 / 11))
        assert stats["reward_ema"] == pytest.approx(0.55)
        assert stats["p_fast"] == pytest.approx(0.775)
        assert tracker.get_global_stats()["total_completions"] == 16
        tracker.update_task_performance(7, 1.0)
        assert tracker.get_task_index(7) == 2

    def test_a_total_that_missed_processes_is_at_least_the_tasks(self, tracker):
        state = later_state() | {"global_total_completions": 3, "global_sum_scores": 100.0}
        tracker.load_state(state)
        assert tracker.get_global_stats()["total_completions"] == 12
        assert tracker.get_global_stats()["mean_score"] == pytest.approx(1 / 12)

    def test_a_label_that_is_only_a_hash(self, tracker):
        state = later_state()
        for fields in state["task_memory"].values():
            fields.pop("label")
            fields["label_hash"] = 1234567.0
        tracker.track_task_creation(0)
        tracker.set_task_label(0, "arena")
        with pytest.warns(RuntimeWarning, match=rf"1 tasks, task {2**60 + 1}.*hashes"):
            tracker.load_state(state)
        assert tracker.get_task_label(0) == "arena"
        assert tracker.get_task_label(2**60 + 1) is None

    def test_tasks_that_the_order_does_not_have_come_last(self, tracker):
        tracker.load_state(earlier_state() | {"task_creation_order": [404, 5]})
        assert tracker.get_all_tracked_tasks() == [5, 11]
        tracker.load_state(earlier_state() | {"task_creation_order": None})
        assert tracker.get_all_tracked_tasks() == [11, 5]

    def test_draws_follow_it(self):
        """A user's backend and ours give the loaded tasks the same shares."""
        rules, shares = LearningProgressConfig(use_shared_memory=False).rules(), []
        user = DictBackend(8)
        user.start(rules)
        for backend in (user, LocalMemoryBackend(8, rules=rules)):
            tracker = TaskTracker(backend=backend)
            tracker.load_state(later_state())
            shares.append(tracker.probabilities()[1].tolist())
        assert shares[0] == pytest.approx(shares[1])
        assert shares[0][0] > 2 * shares[0][1]

    def test_the_table_stays_what_it_was(self):
        backend = LocalMemoryBackend(8, columns=("staleness",), seed=7)
        tracker = TaskTracker(backend=backend)
        tracker.load_state(later_state())
        assert (backend.seed, backend.columns, backend.max_tasks) == (7, ("staleness",), 8)
        assert backend.read_task(0).columns == (0.0,)

    def test_other_processes_see_it(self):
        name = f"test-{secrets.token_hex(8)}"
        one, other = CentralizedTaskTracker(64, name), CentralizedTaskTracker(64, name)
        one.update_task_performance(99, 1.0)
        other.load_state(later_state())
        assert statistics(one) == statistics(other)
        assert one.get_task_label(2**60 + 1) == "maze"
        for tracker in (one, other):
            tracker.cleanup_shared_memory()


def test_slots_of_a_user_s_backend():
    tracker = TaskTracker(backend=DictBackend(64))
    for task_id in (1, 2):
        tracker.track_task_creation(task_id)
    tracker.remove_task(1)
    assert list(tracker._task_id_to_index) == [2]


class TestRoundTrip:
    def test_keys(self, tracker):
        tracker.update_task_performance(3, 0.5)
        state = tracker.get_state()
        assert state.keys() == KEYS
        assert state["task_memory"][3].keys() == TASK_KEYS
        shared = tracker.backend.name is not None
        assert state["tracker_type"] == ("centralized" if shared else "local")
        assert state["session_id"] == tracker.backend.name
        assert state["max_memory_tasks"] == 64
        assert (state["cached_total_completions"], state["cache_valid"]) == (1, True)

    @pytest.mark.parametrize("through", [dict, through_json])
    @pytest.mark.parametrize(
        "make",
        [
            lambda: LocalTaskTracker(64),
            lambda: CentralizedTaskTracker(64),
            lambda: TaskTracker(backend=DictBackend(64)),
            lambda: CleanTracker(64),
        ],
    )
    def test_ours_loads_into_every_backend(self, tracker, make, through):
        for at in range(50):
            tracker.update_task_performance((at % 7) - 2**62, (at * 37 % 11) / 10 - 0.3)
        tracker.set_task_label(-(2**62), "maze")
        tracker.set_task_label(1 - 2**62, "größer")
        tracker.remove_task(2 - 2**62)
        other = make()
        other.update_task_performance(1, 1.0)
        other.load_state(through(tracker.get_state()))
        mine, its = statistics(tracker), statistics(other)
        assert its[0] == mine[0]
        assert its[1] == pytest.approx(mine[1])
        assert its[2] == mine[2]
        same = other.get_state()
        for key in ("task_memory", "task_creation_order", "global_total_completions"):
            assert same[key] == tracker.get_state()[key]
        other.cleanup_shared_memory()

    def test_as_many_labels_as_tasks(self, tracker):
        for task_id in range(64):
            tracker.track_task_creation(task_id, label=f"label {task_id}")
        large = [LocalTaskTracker(700), CentralizedTaskTracker(700)]
        for one, other in (large, large[::-1]):
            for task_id in range(700):
                one.track_task_creation(task_id, label=f"label {task_id}")
            other.load_state(through_json(one.get_state()))
            assert other.get_task_label(699) == "label 699"
        for one in large:
            one.cleanup_shared_memory()

    def test_an_empty_tracker(self, tracker):
        state = tracker.get_state()
        assert state["task_memory"] == {}
        tracker.update_task_performance(1, 0.5)
        tracker.load_state(state)
        assert tracker.get_all_tracked_tasks() == []
        assert tracker.get_global_stats()["total_completions"] == 0


def with_field(name, value):
    state = later_state()
    state["task_memory"][0][name] = value
    return state


REFUSED = {
    "no dict": [1, 2],
    "nothing of a tracker's": {"tasks": {}},
    "empty": {},
    "no tasks but a list": {"task_memory": [1, 2]},
    "a task that is a list": {"task_memory": {"1": [0.5]}},
    "an id that is none": {"task_memory": {"1": {}, "one": {}}},
    "an id with a fraction": {"task_memory": {1.5: {}}},
    "an id beyond 64 bits": {"task_memory": {str(2**63): {}}},
    "a task twice": {"task_memory": {1: {}, "1": {}}},
    "not finite": with_field("reward_ema", float("nan")),
    "infinite": with_field("p_fast", float("inf")),
    "a text": with_field("total_score", "many"),
    "a negative count": with_field("completion_count", -1),
    "half a count": with_field("completion_count", 2.5),
    "a negative seed": with_field("seed", -1),
    "a rate above 1": with_field("success_rate_ema", 1.5),
    "a number beyond any score": with_field("p_slow", 1e12),
    "a label that is a number": with_field("label", 7),
    "a label too long": with_field("label", "x" * 121),
    "an order of nothing": later_state() | {"task_creation_order": [None]},
    "an order that is a number": later_state() | {"task_creation_order": 7},
    "a negative total": later_state() | {"global_total_completions": -1},
    "a total that is a text": later_state() | {"global_sum_scores": "many"},
}


class TestRefusals:
    @pytest.mark.parametrize("state", REFUSED.values(), ids=REFUSED)
    def test_a_corrupt_entry_changes_nothing(self, tracker, state):
        tracker.update_task_performance(2**60 + 1, 0.25)
        tracker.set_task_label(2**60 + 1, "before")
        before = statistics(tracker)
        with pytest.raises(CheckpointError, match=r"state|task"):
            tracker.load_state(state)
        assert statistics(tracker) == before
        tracker.update_task_performance(2**60 + 1, 0.25)
        assert tracker.get_global_stats()["total_completions"] == 2

    def test_the_entry_is_named(self, tracker):
        with pytest.raises(CheckpointError, match=r"task 0 .*success_rate_ema.*1\.5"):
            tracker.load_state(with_field("success_rate_ema", 1.5))
        with pytest.raises(CheckpointError, match=r"task 0 .*completion_count.*2\.5"):
            tracker.load_state(with_field("completion_count", 2.5))

    @pytest.mark.parametrize("make", [LocalTaskTracker, CentralizedTaskTracker])
    def test_too_many_tasks(self, make):
        tracker = make(2)
        tracker.update_task_performance(1, 0.5)
        before = statistics(tracker)
        with pytest.raises(CapacityError, match=r"3 tasks.*2"):
            tracker.load_state({"task_memory": {i: {} for i in range(3)}})
        assert statistics(tracker) == before
        tracker.cleanup_shared_memory()

    def test_too_many_labels(self):
        tracker = TaskTracker(backend=LocalMemoryBackend(10, max_labels=2, max_inactive_labels=0))
        tracker.update_task_performance(1, 0.5)
        before = statistics(tracker)
        tasks = {i: {"label": f"label {i}"} for i in range(5)}
        with pytest.raises(CapacityError, match="label"):
            tracker.load_state({"task_memory": tasks})
        assert statistics(tracker) == before

    def test_a_backend_that_refuses_a_task_keeps_what_it_had(self):
        backend = DictBackend(8)
        tracker = TaskTracker(backend=backend)
        tracker.update_task_performance(4, 0.5)
        before = statistics(tracker)
        backend.unloved = 2
        with pytest.raises(ValueError, match="not task 2"):
            tracker.load_state({"task_memory": {1: {}, 2: {}}})
        assert statistics(tracker) == before


class TestConversion:
    def run(self, *arguments):
        return CliRunner().invoke(app, ["convert-state", *map(str, arguments)])

    def test_there_and_back(self, tmp_path):
        source = tmp_path / "state.json"
        source.write_text(json.dumps(later_state()))
        assert self.run(source, tmp_path / "state.ckpt").exit_code == 0
        tracker = CleanTracker(64)
        with pytest.warns(RuntimeWarning, match="other rules"):
            tracker.load(str(tmp_path / "state.ckpt"))
        expected = LocalTaskTracker(64)
        expected.load_state(later_state())
        assert statistics(tracker) == statistics(expected)

        done = self.run(tmp_path / "state.ckpt", tmp_path / "back.json")
        assert done.exit_code == 0
        assert "2 tasks" in done.output
        again = LocalTaskTracker(64)
        again.load_state(json.loads((tmp_path / "back.json").read_text()))
        assert statistics(again) == statistics(expected)

    def test_a_curriculum_goes_on_from_it(self, tmp_path):
        state = {
            "curriculum": {"algorithm_state": {"tracker": {"task_memory": {"1": {}, "0": {}}}}},
            "epoch": 3,
        }
        state["curriculum"]["algorithm_state"]["tracker"]["task_memory"]["1"] = {
            "completion_count": 12,
            "total_score": 6.0,
            "lp_score": 0.5,
        }
        (tmp_path / "run.json").write_text(json.dumps(state))
        assert convert(tmp_path / "run.json", tmp_path / "run.ckpt") == 2
        config = LearningProgressConfig(use_shared_memory=False)
        curriculum = Curriculum({"easy": 1, "hard": 2}, config)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            curriculum.load(str(tmp_path / "run.ckpt"))
        assert curriculum.tracker.get_task_stats(1)["completion_count"] == 12
        assert curriculum.tracker.get_task_label(1) == "hard"
        shares = dict(zip(*map(list, curriculum.tracker.probabilities()), strict=True))
        assert shares[1] > shares[0]

    def test_many_labels_and_tasks(self, tmp_path):
        tasks = {str(i): {"label": f"label {i}", "completion_count": i} for i in range(3000)}
        (tmp_path / "many.json").write_text(json.dumps({"task_memory": tasks}))
        assert convert(tmp_path / "many.json", tmp_path / "many.ckpt") == 3000
        assert convert(tmp_path / "many.ckpt", tmp_path / "back.json") == 3000
        back = json.loads((tmp_path / "back.json").read_text())["task_memory"]
        assert {i: fields["label"] for i, fields in back.items()} == {
            i: fields["label"] for i, fields in tasks.items()
        }

    def test_the_columns_of_an_algorithm_are_left_out(self, tmp_path):
        backend = LocalMemoryBackend(8, columns=("staleness",))
        tracker = CleanTracker(backend=backend)
        tracker.track_task_creation(3)
        tracker.update_task_performance(3, 0.5)
        tracker.save(str(tmp_path / "own.ckpt"))
        assert convert(tmp_path / "own.ckpt", tmp_path / "own.json") == 1
        fields = json.loads((tmp_path / "own.json").read_text())["task_memory"]["3"]
        assert fields["completion_count"] == 1

    def test_labels_that_are_hashes_are_told_of(self, tmp_path):
        state = {"task_memory": {"1": {"label_hash": 99.0}}}
        (tmp_path / "state.json").write_text(json.dumps(state))
        with pytest.warns(RuntimeWarning, match="1 tasks.*hashes"):
            convert(tmp_path / "state.json", tmp_path / "state.ckpt")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("{", "no JSON"),
            ("{}", "0 state dicts"),
            ('{"a": {"task_memory": {}}, "b": {"task_memory": {}}}', "2 state dicts"),
            ('{"task_memory": {"one": {}}}', "'one' is no task id"),
            ("PK not a checkpoint", "state.json"),
            ("", "state.json"),
        ],
    )
    def test_a_file_that_is_neither(self, tmp_path, content, message):
        source = tmp_path / "state.json"
        source.write_text(content)
        done = self.run(source, tmp_path / "out")
        assert done.exit_code == 1
        assert message in done.output
        assert sorted(path.name for path in tmp_path.iterdir()) == ["state.json"]

    def test_nothing_is_overwritten(self, tmp_path):
        (tmp_path / "state.json").write_text('{"task_memory": {}}')
        (tmp_path / "there").write_text("mine")
        done = self.run(tmp_path / "state.json", tmp_path / "there")
        assert done.exit_code == 1
        assert "exists" in done.output
        assert (tmp_path / "there").read_text() == "mine"


def test_a_record_of_the_core_keeps_what_the_state_says():
    backend = LocalMemoryBackend(8, rules=Rules(score_range=(0.0, 1.0), baseline="mean"))
    tracker = TaskTracker(backend=backend)
    tracker.load_state(later_state())
    assert isinstance(backend.read(0), TaskData)
    assert tracker.get_task_stats(2**60 + 1)["random_baseline"] == 0.125
    with pytest.raises(CheckpointError, match="random_baseline"):
        tracker.load_state(with_field("random_baseline", 1.0))
