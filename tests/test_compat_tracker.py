"""The drop-in tracker: names, signatures and what trainers see of it, in one process and more."""

import copy
import pickle
import secrets
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

import compat_workers
from compat_processes import run
from curricle import LearningProgressConfig, LocalMemoryBackend
from curricle import TaskTracker as CleanTracker
from curricle.compat import locks
from curricle.compat.lp_scorers import BidirectionalLPScorer
from curricle.compat.memory_backend import SharedMemoryBackend
from curricle.compat.task_tracker import (
    CentralizedTaskTracker,
    LocalTaskTracker,
    TaskTracker,
    create_task_tracker,
)
from curricle.errors import CapacityError, LockTimeoutError
from signatures import listed

STATS = {
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
    "age_seconds",
    "p_fast",
    "p_slow",
    "p_true",
    "random_baseline",
}
METHODS = ["fork", "spawn", "forkserver"]


@pytest.fixture(params=["local", "centralized"])
def tracker(request):
    made = LocalTaskTracker(64) if request.param == "local" else CentralizedTaskTracker(64)
    yield made
    made.cleanup_shared_memory()


@pytest.fixture
def shared():
    made = CentralizedTaskTracker(100)
    yield made
    made.cleanup_shared_memory()


class Evicting(LocalMemoryBackend):
    """Loses each task right after its score, as if another process evicted it."""

    def update_score(self, task_id, score, env_steps=0):
        progress = self.session.update(task_id, score, env_steps)
        self.session.remove(task_id, evict=True)
        return progress


class TestSignatures:
    @pytest.mark.parametrize("of", [TaskTracker, CleanTracker])
    def test_of_the_tracker(self, of):
        assert listed(of) == [
            ("max_memory_tasks", 1000),
            ("ema_alpha", 0.1),
            ("backend", None),
            ("default_success_threshold", 0.5),
            ("default_generator_type", 0.0),
            ("enable_task_list_cache", True),
        ]

    def test_of_the_factory(self):
        assert listed(create_task_tracker) == [
            ("max_memory_tasks",),
            ("ema_alpha",),
            ("use_shared_memory",),
            ("default_success_threshold",),
            ("default_generator_type",),
            ("_session_id", None),
            ("enable_task_list_cache", True),
        ]

    def test_of_the_earlier_generation(self):
        assert listed(LocalTaskTracker) == [("max_memory_tasks", 1000), ("ema_alpha", 0.1)]
        assert listed(CentralizedTaskTracker) == [
            ("max_memory_tasks", 1000),
            ("session_id", None),
            ("ema_alpha", 0.1),
            ("task_struct_size", None),
            ("completion_history_size", 1000),
        ]

    @pytest.mark.parametrize(
        ("name", "parameters"),
        [
            (
                "track_task_creation",
                [
                    ("task_id",),
                    ("success_threshold", None),
                    ("seed", None),
                    ("generator_type", None),
                ],
            ),
            (
                "update_task_performance",
                [("task_id",), ("score",), ("lp_score", None), ("success_threshold", None)],
            ),
            (
                "update_task_performance_with_bidirectional_emas",
                [("task_id",), ("score",), ("scorer", None), ("success_threshold", None)],
            ),
            (
                "update_bidirectional_emas",
                [("task_id",), ("p_fast",), ("p_slow",), ("p_true",), ("random_baseline",)],
            ),
            ("update_lp_score", [("task_id",), ("lp_score",)]),
            ("remove_task", [("task_id",)]),
            ("get_task_index", [("task_id",)]),
            ("get_task_stats", [("task_id",)]),
            ("get_all_tracked_tasks", []),
            ("get_global_stats", []),
            ("set_task_label", [("task_id",), ("label",)]),
            ("get_task_label", [("task_id",)]),
            ("get_label_completion_counts", []),
            ("get_state", []),
            ("load_state", [("state",)]),
            ("cleanup_shared_memory", []),
        ],
    )
    @pytest.mark.parametrize("of", [TaskTracker, LocalTaskTracker, CentralizedTaskTracker])
    def test_of_the_methods(self, of, name, parameters):
        assert listed(getattr(of, name)) == parameters


class TestDeprecated:
    @pytest.mark.parametrize(
        ("make", "named"),
        [
            (lambda: TaskTracker(enable_task_list_cache=False), "enable_task_list_cache"),
            (
                lambda: create_task_tracker(10, 0.1, False, 0.5, 0.0, None, False),
                "enable_task_list_cache",
            ),
            (
                lambda: CentralizedTaskTracker(10, task_struct_size=12).cleanup_shared_memory(),
                "task_struct_size",
            ),
            (
                lambda: CentralizedTaskTracker(
                    10, completion_history_size=50
                ).cleanup_shared_memory(),
                "completion_history_size",
            ),
        ],
    )
    def test_an_argument_that_means_nothing_warns(self, make, named):
        with pytest.warns(DeprecationWarning, match=named):
            make()

    def test_nothing_else_warns(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            TaskTracker()
            LocalTaskTracker(10, 0.2)
            CentralizedTaskTracker(10, None, 0.2).cleanup_shared_memory()
            create_task_tracker(10, 0.1, False, 0.5, 0.0)


class TestFactory:
    @pytest.mark.parametrize("use_shared_memory", [False, True])
    def test_what_it_was_told(self, use_shared_memory):
        tracker = create_task_tracker(20, 0.25, use_shared_memory, 0.75, 2.0)
        tracker.update_task_performance(1, 0.7)
        stats = tracker.get_task_stats(1)
        assert tracker.max_memory_tasks == 20
        assert tracker.ema_alpha == 0.25
        assert (stats["success_threshold"], stats["generator_type"]) == (0.75, 2.0)
        assert stats["success_rate_ema"] == 0.0
        assert (tracker.backend.name is not None) == use_shared_memory
        tracker.cleanup_shared_memory()

    def test_the_session(self):
        name = f"test-{secrets.token_hex(8)}"
        first = create_task_tracker(20, 0.1, True, 0.5, 0.0, name)
        second = create_task_tracker(20, 0.1, True, 0.5, 0.0, _session_id=name)
        first.update_task_performance(1, 0.5)
        assert second.get_task_stats(1)["completion_count"] == 1
        second.cleanup_shared_memory()
        first.cleanup_shared_memory()


class TestStatistics:
    def test_keys(self, tracker):
        tracker.track_task_creation(3, success_threshold=0.8, seed=11, generator_type=1.0)
        stats = tracker.get_task_stats(3)
        assert set(stats) == STATS
        assert stats["completion_count"] == 0
        assert (stats["success_threshold"], stats["seed"], stats["generator_type"]) == (0.8, 11, 1)
        assert tracker.get_task_stats(4) is None

    def test_global_keys(self, tracker):
        assert set(tracker.get_global_stats()) == {
            "mean_score",
            "total_completions",
            "mean_recent_score",
            "total_tracked_tasks",
        }
        tracker.update_task_performance(1, 0.5)
        tracker.update_task_performance(2, 1.0)
        stats = tracker.get_global_stats()
        assert (stats["mean_score"], stats["total_completions"]) == (0.75, 2)
        assert (stats["mean_recent_score"], stats["total_tracked_tasks"]) == (0.75, 2)

    def test_an_unknown_task_is_made_by_its_first_score(self, tracker):
        tracker.update_task_performance(9, 0.4)
        assert tracker.get_all_tracked_tasks() == [9]
        assert tracker.get_task_stats(9)["mean_score"] == 0.4

    def test_labels(self, tracker):
        for task_id, label in [(1, "maze"), (2, "arena"), (3, "maze")]:
            tracker.track_task_creation(task_id)
            tracker.set_task_label(task_id, label)
            tracker.update_task_performance(task_id, 0.5)
        tracker.update_task_performance(3, 0.5)
        assert tracker.get_task_label(2) == "arena"
        assert tracker.get_task_label(7) is None
        assert tracker.get_label_completion_counts() == {"maze": 3, "arena": 1}

    def test_local_and_shared_say_the_same(self, shared):
        local = LocalTaskTracker(100)
        for tracker in (local, shared):
            for at in range(200):
                tracker.update_task_performance(at % 7, (at * 37 % 11) / 10)
            tracker.remove_task(3)
            tracker.update_lp_score(2, 0.25)
        assert local.get_all_tracked_tasks() == shared.get_all_tracked_tasks()
        assert local.get_global_stats() == shared.get_global_stats()
        for task_id in local.get_all_tracked_tasks():
            one, other = local.get_task_stats(task_id), shared.get_task_stats(task_id)
            assert one.pop("age_seconds") == pytest.approx(other.pop("age_seconds"), abs=60)
            assert one == other

    def test_the_mean_of_round_scores_is_round(self):
        tracker = TaskTracker(10)
        for score in (0.8, 0.7, 0.9):
            tracker.update_task_performance(1, score)
        assert tracker.get_global_stats()["mean_score"] == 0.8

    def test_there_is_nothing_to_clean_up_in_private_memory(self):
        tracker = LocalTaskTracker(10)
        tracker.update_task_performance(1, 0.5)
        tracker.cleanup_shared_memory()
        tracker.backend.cleanup()
        assert tracker.get_global_stats()["total_completions"] == 1

    def test_a_seed_may_be_a_float_as_it_used_to_be(self):
        tracker = TaskTracker(10)
        tracker.track_task_creation(1, seed=3.0)
        assert tracker.get_task_stats(1)["seed"] == 3
        with pytest.raises(TypeError, match=r"3\.5"):
            tracker.track_task_creation(2, seed=3.5)

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("update_lp_score", [0.5]),
            ("update_bidirectional_emas", [0.1, 0.2, 0.3, 0.4]),
            ("set_task_label", ["maze"]),
        ],
    )
    def test_an_unknown_task_is_warned_of_and_left_alone(self, name, values):
        tracker = TaskTracker(10)
        with pytest.warns(RuntimeWarning, match="task 7 is not in the tracker") as caught:
            getattr(tracker, name)(7, *values)
        assert caught[0].filename == __file__
        assert tracker.get_all_tracked_tasks() == []


class TestSlots:
    def test_index_and_next_free(self, tracker):
        assert tracker._task_id_to_index == {}
        assert tracker._next_free_index == 0
        for task_id in (40, 10, 30, 20):
            tracker.track_task_creation(task_id)
        assert tracker._task_id_to_index == {40: 0, 10: 1, 30: 2, 20: 3}
        assert tracker._task_id_to_index[30] == tracker.get_task_index(30) == 2
        assert 99 not in tracker._task_id_to_index
        assert len(tracker._task_id_to_index) == tracker._next_free_index == 4

    def test_the_lowest_free_slot_is_used_again(self, tracker):
        for task_id in range(10):
            tracker.track_task_creation(task_id)
        for task_id in (7, 2, 5):
            tracker.remove_task(task_id)
        for task_id, slot in [(100, 2), (101, 5), (102, 7), (103, 10)]:
            assert tracker._next_free_index == slot
            tracker.track_task_creation(task_id)
            assert tracker.get_task_index(task_id) == slot
        assert sorted(tracker._task_id_to_index.values()) == list(range(11))

    def test_a_task_in_a_used_slot_starts_anew(self, tracker):
        tracker.update_task_performance(1, 0.75)
        tracker.set_task_label(1, "old")
        tracker.remove_task(1)
        tracker.track_task_creation(2)
        assert tracker.get_task_index(2) == 0
        assert tracker.get_task_stats(2)["completion_count"] == 0
        assert tracker.get_task_label(2) is None
        assert tracker.get_task_stats(1) is None

    def test_a_full_table(self):
        tracker = LocalTaskTracker(2)
        tracker.update_task_performance(1, 0.5)
        tracker.update_task_performance(2, 0.5)
        assert tracker._next_free_index == 2
        with pytest.raises(CapacityError, match="2"):
            tracker.update_task_performance(3, 0.5)


class TestEmas:
    def test_all_move_with_one_score(self, tracker):
        for score in (0.2, 1.0, 0.0):
            tracker.update_task_performance_with_bidirectional_emas(1, score)
        stats = tracker.get_task_stats(1)
        assert stats["completion_count"] == 3
        # 0.9 (0.9 * 0.2 + 0.1) and 0.98 (0.98 * 0.2 + 0.02).
        assert stats["p_fast"] == stats["p_true"] == pytest.approx(0.252)
        assert stats["reward_ema"] == pytest.approx(0.252)
        assert stats["p_slow"] == pytest.approx(0.21168)

    def test_the_steps_are_those_of_the_scorer(self, tracker):
        config = LearningProgressConfig(
            use_shared_memory=False, ema_timescale=0.5, slow_timescale_factor=0.5
        )
        scorer = BidirectionalLPScorer(config, tracker)
        for score in (0.0, 1.0, 1.0):
            tracker.update_task_performance_with_bidirectional_emas(1, score, scorer=scorer)
        stats = tracker.get_task_stats(1)
        assert (stats["p_fast"], stats["p_true"], stats["p_slow"]) == (0.75, 0.75, 0.4375)
        assert (stats["completion_count"], stats["mean_score"]) == (3, pytest.approx(2 / 3))
        assert stats["reward_ema"] == pytest.approx(0.19)

    def test_a_threshold(self, tracker):
        tracker.update_task_performance_with_bidirectional_emas(1, 0.6, success_threshold=0.7)
        stats = tracker.get_task_stats(1)
        assert (stats["success_threshold"], stats["success_rate_ema"]) == (0.7, 0.0)

    @pytest.mark.parametrize("own_steps", [False, True])
    def test_a_bad_score_changes_nothing(self, tracker, own_steps):
        config = LearningProgressConfig(
            use_shared_memory=False, ema_timescale=0.5 if own_steps else 0.1
        )
        scorer = BidirectionalLPScorer(config, tracker)
        tracker.update_task_performance(1, 0.5)
        before = tracker.snapshot().tobytes()
        for score in (float("nan"), 2e9):
            with pytest.raises(ValueError, match="score"):
                tracker.update_task_performance_with_bidirectional_emas(1, score, scorer)
        assert tracker.snapshot().tobytes() == before

    def test_a_task_that_is_evicted_meanwhile_keeps_its_score_in_the_totals(self):
        config = LearningProgressConfig(use_shared_memory=False, ema_timescale=0.01)
        tracker = TaskTracker(backend=Evicting(8))
        scorer = BidirectionalLPScorer(config, tracker)
        tracker.update_task_performance_with_bidirectional_emas(1, 0.5, scorer)
        assert tracker.get_all_tracked_tasks() == []
        assert tracker.get_global_stats()["total_completions"] == 1

    @pytest.mark.parametrize("ema_timescale", [0.1, 0.01])
    def test_processes_lose_no_update(self, shared, ema_timescale):
        """From 0, n scores of 1 in whatever order leave 1 - (1 - a)^n."""
        config = LearningProgressConfig(use_shared_memory=False, ema_timescale=ema_timescale)
        scorer = BidirectionalLPScorer(config)
        shared.update_task_performance_with_bidirectional_emas(1, 0.0, scorer)
        run("fork", compat_workers.update_emas, *[(shared, scorer, 1, 50)] * 4)
        stats = shared.get_task_stats(1)
        assert stats["completion_count"] == 201
        assert stats["p_fast"] == pytest.approx(1.0 - (1.0 - ema_timescale) ** 200)
        assert stats["p_slow"] == pytest.approx(1.0 - (1.0 - 0.2 * ema_timescale) ** 200)

    def test_own_steps_wait_for_the_lock(self, shared, monkeypatch):
        monkeypatch.setattr(locks, "TIMEOUT", 0.05)
        config = LearningProgressConfig(use_shared_memory=False, ema_timescale=0.01)
        other = TaskTracker(backend=SharedMemoryBackend(100, shared.session_id))
        scorer = BidirectionalLPScorer(config, other)
        with (
            shared.backend.acquire_lock(),
            ThreadPoolExecutor() as pool,
            pytest.raises(LockTimeoutError, match="lock"),
        ):
            pool.submit(compat_workers.update_emas, other, scorer, 1, 1).result()
        assert shared.get_all_tracked_tasks() == []
        compat_workers.update_emas(other, scorer, 1, 1)
        assert shared.get_task_stats(1)["completion_count"] == 1
        other.cleanup_shared_memory()


class TestProcesses:
    @pytest.mark.parametrize("method", METHODS)
    def test_a_child_reads_and_updates_what_the_parent_made(self, shared, method):
        shared.update_task_performance(1, 0.5)
        shared.set_task_label(1, "from the parent")
        [(stats, label)] = run(method, compat_workers.update_and_read, (shared,))
        assert (stats["completion_count"], stats["mean_score"]) == (1, 0.5)
        assert label == "from the parent"
        assert shared.get_task_stats(1)["mean_score"] == 0.75
        assert shared.get_task_label(2) == "from the child"
        assert shared.get_label_completion_counts() == {"from the parent": 2, "from the child": 0}

    @pytest.mark.parametrize("method", METHODS)
    def test_the_name_is_enough(self, shared, method):
        shared.track_task_creation(8)
        slots = run(
            method,
            compat_workers.attach_and_update,
            (shared.session_id, 8, 100),
            (shared.session_id, 9, 50),
            (shared.session_id, 8, 100),
        )
        assert sorted(slots) == [0, 0, 1]
        assert shared.get_task_stats(8)["completion_count"] == 200
        assert shared.get_global_stats()["total_completions"] == 250
        assert shared.verify()["tasks"] == 2

    def test_pickled_it_attaches_and_keeps_labels(self, shared):
        shared.update_task_performance(1, 0.5)
        shared.set_task_label(1, "maze")
        again = pickle.loads(pickle.dumps(shared))
        assert type(again) is CentralizedTaskTracker
        assert again.session_id == shared.session_id
        assert again.get_task_label(1) == "maze"
        again.update_task_performance(1, 1.0)
        assert shared.get_task_stats(1)["mean_score"] == 0.75
        assert shared.get_label_completion_counts() == {"maze": 2}
        again.cleanup_shared_memory()

    @pytest.mark.parametrize("again", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
    def test_a_local_one_is_copied_with_labels(self, again):
        tracker = LocalTaskTracker(16)
        tracker.update_task_performance(1, 0.5)
        tracker.set_task_label(1, "maze")
        other = again(tracker)
        assert (other.get_task_label(1), other.get_task_stats(1)["mean_score"]) == ("maze", 0.5)
        other.update_task_performance(1, 1.0)
        assert tracker.get_task_stats(1)["completion_count"] == 1

    def test_cleaning_up_twice_is_no_harm(self):
        tracker = CentralizedTaskTracker(10)
        tracker.cleanup_shared_memory()
        tracker.cleanup_shared_memory()


def test_a_clean_backend_will_do():
    tracker = TaskTracker(backend=LocalMemoryBackend(8))
    tracker.update_task_performance_with_bidirectional_emas(4, 0.5)
    assert tracker._task_id_to_index == {4: 0}
    assert tracker._next_free_index == 1
