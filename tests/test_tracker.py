"""The tracker over the backends of the core."""

import pickle
import secrets

import numpy as np
import pytest

from curricle._core import Rules
from curricle.backends import LocalMemoryBackend, SharedMemoryBackend
from curricle.errors import CapacityError, UnknownTaskError
from curricle.tracker import TaskTracker


@pytest.fixture(params=["local", "shared"])
def tracker(request):
    if request.param == "local":
        yield TaskTracker(max_memory_tasks=32)
        return
    tracker = TaskTracker(backend=SharedMemoryBackend(32, f"test-{secrets.token_hex(8)}"))
    yield tracker
    tracker.cleanup_shared_memory()


class TestRules:
    def test_the_constants_arrive(self):
        rules = TaskTracker(10, 0.3, None, 0.8, 2.0).backend.rules.as_dict()
        assert rules["ema_alpha"] == 0.3
        assert (rules["success_threshold"], rules["generator_type"]) == (0.8, 2.0)
        assert TaskTracker(10, 0.3).ema_alpha == 0.3

    def test_a_backend_without_rules_takes_the_trackers(self):
        backend = LocalMemoryBackend(10)
        assert TaskTracker(ema_alpha=0.3, backend=backend).backend.rules is not None
        assert backend.rules.as_dict()["ema_alpha"] == 0.3

    def test_the_rules_of_a_backend_go_before_defaults(self):
        backend = LocalMemoryBackend(10, rules=Rules(ema_alpha=0.02))
        assert TaskTracker(backend=backend).ema_alpha == 0.02
        assert TaskTracker(ema_alpha=0.02, backend=backend).ema_alpha == 0.02
        with pytest.raises(ValueError, match=r"0\.3.*0\.02"):
            TaskTracker(ema_alpha=0.3, backend=backend)

    @pytest.mark.parametrize("alpha", [0.0, 1.1, float("nan")])
    def test_alpha_out_of_range(self, alpha):
        with pytest.raises(ValueError, match="ema_alpha"):
            TaskTracker(ema_alpha=alpha)

    def test_a_cache_that_means_nothing(self):
        with pytest.warns(DeprecationWarning, match="enable_task_list_cache"):
            TaskTracker(enable_task_list_cache=False)


class TestPerformance:
    def test_the_first_score_is_the_ema_even_if_it_is_zero(self, tracker):
        tracker.update_task_performance(3, 0.0)
        tracker.update_task_performance(3, 1.0)
        stats = tracker.get_task_stats(3)
        assert stats["reward_ema"] == pytest.approx(0.1)
        assert stats["ema_squared"] == pytest.approx(0.1)
        assert stats["success_rate_ema"] == pytest.approx(0.1)
        assert (stats["mean_score"], stats["completion_count"], stats["last_score"]) == (
            0.5,
            2,
            1.0,
        )

    def test_stats_of_an_unknown_task(self, tracker):
        assert tracker.get_task_stats(9) is None
        assert tracker.get_task_index(9) is None
        assert tracker.get_task_label(9) is None

    def test_all_statistics_are_there(self, tracker):
        tracker.track_task_creation(1, success_threshold=0.7, seed=5, generator_type=2.0)
        stats = tracker.get_task_stats(1)
        assert set(stats) == {
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
        assert (stats["success_threshold"], stats["seed"], stats["generator_type"]) == (0.7, 5, 2.0)
        assert 0.0 <= stats["age_seconds"] < 60.0

    def test_reading_changes_nothing(self, tracker):
        tracker.update_task_performance(1, 0.5)
        before = tracker.snapshot()
        for _ in range(3):
            tracker.get_task_stats(1)
            tracker.get_global_stats()
            tracker.get_label_completion_counts()
            tracker.probabilities()
        assert tracker.snapshot().tobytes() == before.tobytes()

    def test_a_new_task_leaves_the_others_alone(self, tracker):
        tracker.update_task_performance(1, 0.5, lp_score=0.25)
        tracker.track_task_creation(2)
        assert tracker.get_task_stats(1)["lp_score"] == 0.25

    def test_id_zero_hides_nobody(self, tracker):
        for task_id in (0, 1, 2):
            tracker.update_task_performance(task_id, 0.5)
        assert sorted(tracker.get_all_tracked_tasks()) == [0, 1, 2]
        assert 0 in tracker
        assert len(tracker) == 3

    def test_a_learning_progress_of_the_callers_own(self, tracker):
        tracker.update_task_performance(1, 0.5, lp_score=0.25)
        tracker.update_task_performance(1, 0.5)
        assert tracker.get_task_stats(1)["lp_score"] == 0.25
        tracker.update_lp_score(1, 0.75)
        assert tracker.get_task_stats(1)["lp_score"] == 0.75

    def test_a_threshold_of_the_callers_own(self, tracker):
        tracker.update_task_performance(1, 0.5, success_threshold=0.4)
        assert tracker.get_task_stats(1)["success_rate_ema"] == 1.0
        tracker.update_task_performance(1, 0.5, success_threshold=0.6)
        stats = tracker.get_task_stats(1)
        assert stats["success_rate_ema"] == pytest.approx(0.9)
        assert stats["success_threshold"] == 0.6

    def test_emas_of_the_callers_own(self, tracker):
        tracker.track_task_creation(1)
        tracker.update_bidirectional_emas(1, 0.4, 0.3, 0.5, 0.0)
        stats = tracker.get_task_stats(1)
        assert (stats["p_fast"], stats["p_slow"], stats["p_true"]) == (0.4, 0.3, 0.5)
        assert stats["random_baseline"] == 0.0

    @pytest.mark.parametrize("score", [float("nan"), float("inf"), 2e9, -2e9])
    @pytest.mark.parametrize("threshold", [None, 0.5])
    def test_a_score_out_of_range(self, tracker, score, threshold):
        with pytest.raises(ValueError, match=r"score .*1e9"):
            tracker.update_task_performance(1, score, success_threshold=threshold)
        assert len(tracker) == 0

    @pytest.mark.parametrize(
        ("score", "lp_score", "success_threshold"),
        [
            (0.5, float("nan"), None),
            (0.5, 1e7, None),
            (0.5, None, float("nan")),
            (7.0, None, 0.5),
            (7.0, 0.5, None),
        ],
    )
    def test_a_bad_number_writes_nothing(self, score, lp_score, success_threshold):
        backend = LocalMemoryBackend(8, rules=Rules(score_range=(0.0, 1.0), progress="given"))
        tracker = TaskTracker(backend=backend)
        with pytest.raises(ValueError, match=r"score|threshold"):
            tracker.update_task_performance(2, score, lp_score, success_threshold)
        assert len(tracker) == 0
        assert tracker.totals()["completions"] == 0

    @pytest.mark.parametrize("lp_score", [4096.0, 5000.0])
    def test_a_learning_progress_beyond_the_largest_weight_counts_nothing(self, tracker, lp_score):
        tracker.update_batch([1] * 12, [0.5] * 12)
        with pytest.raises(ValueError, match="4096"):
            tracker.update_task_performance(1, 0.5, lp_score=lp_score)
        assert tracker.get_task_stats(1)["completion_count"] == 12

    def test_a_full_table(self):
        tracker = TaskTracker(max_memory_tasks=2)
        tracker.update_task_performance(1, 0.5)
        tracker.update_task_performance(2, 0.5)
        with pytest.raises(CapacityError, match="2"):
            tracker.update_task_performance(3, 0.5)
        tracker.remove_task(1)
        tracker.update_task_performance(3, 0.5)
        assert sorted(tracker.get_all_tracked_tasks()) == [2, 3]


class TestGlobal:
    def test_no_scores(self, tracker):
        assert tracker.get_global_stats() == {
            "mean_score": 0.0,
            "total_completions": 0,
            "mean_recent_score": 0.0,
            "total_tracked_tasks": 0,
        }

    def test_scores_of_zero_count(self, tracker):
        for score in (0.0, 1.0, 0.0, 1.0):
            tracker.update_task_performance(1, score)
        tracker.update_task_performance(2, 0.0)
        stats = tracker.get_global_stats()
        assert (stats["mean_score"], stats["total_completions"]) == (0.4, 5)
        assert stats["mean_recent_score"] == pytest.approx(
            0.5 * tracker.get_task_stats(1)["reward_ema"]
        )
        assert stats["total_tracked_tasks"] == 2

    def test_totals_outlive_tasks(self, tracker):
        tracker.update_task_performance(1, 1.0)
        tracker.remove_task(1)
        assert tracker.get_global_stats()["total_completions"] == 1


class TestBatches:
    def test_a_batch(self, tracker):
        progress = tracker.update_batch([1, 2, 1], [0.5, 1.0, 0.0], env_steps=[3, 4, 5])
        assert progress.shape == (3,)
        table = tracker.stats_batch([2, 1])
        assert table["completion_count"].tolist() == [1, 2]
        assert table["env_steps"].tolist() == [4, 8]

    def test_an_empty_batch(self, tracker):
        assert tracker.update_batch([], []).shape == (0,)
        assert tracker.stats_batch([]).shape == (0,)

    @pytest.mark.parametrize(
        ("ids", "scores", "error"),
        [
            ([1, 2], [0.5], ValueError),
            ([1.5], [0.5], TypeError),
            ([[1]], [0.5], ValueError),
            ([1, 2], [0.5, float("nan")], ValueError),
            (np.array([2**63], np.uint64), [0.5], ValueError),
            ([True, False], [0.5, 0.5], TypeError),
            ([1], ["a"], TypeError),
        ],
    )
    def test_a_bad_batch_writes_nothing(self, tracker, ids, scores, error):
        with pytest.raises(error):
            tracker.update_batch(ids, scores)
        assert len(tracker) == 0

    def test_strided_arrays(self, tracker):
        tracker.update_batch(np.arange(20)[::2], np.linspace(0.0, 1.0, 20, dtype=np.float32)[::2])
        assert len(tracker) == 10

    def test_an_unknown_id_in_stats(self, tracker):
        tracker.track_many([1, 3])
        with pytest.raises(UnknownTaskError, match="2"):
            tracker.stats_batch([1, 2])
        with pytest.raises(UnknownTaskError, match="4"):
            tracker.stats_batch([4])

    def test_reports_in_a_batch(self, tracker):
        tracker.track_many([1, 2, 3])
        tickets = tracker.sample(6)
        tracker.remove_task(tickets[0].task_id)
        gone = [ticket.task_id == tickets[0].task_id for ticket in tickets]
        progress = tracker.report(tickets, np.full(6, 0.5))
        assert np.isnan(progress).tolist() == gone
        assert tracker.totals()["late_reports"] == sum(gone)
        with pytest.raises(ValueError, match="before"):
            tracker.report(tickets, np.full(6, 0.5))

    def test_a_bad_report_reports_nothing(self, tracker):
        tracker.track_many([1, 2])
        tickets = tracker.sample(2)
        for scores in ([0.5], [0.5, float("nan")]):
            with pytest.raises(ValueError, match="score"):
                tracker.report(tickets, scores)
        with pytest.raises(ValueError, match="twice"):
            tracker.report([tickets[0]] * 2, [0.5, 0.5])
        assert tracker.totals()["completions"] == 0
        assert not np.isnan(tracker.report(tickets, [0.5, 0.5])).any()


class TestLabels:
    def test_labels(self, tracker):
        tracker.track_task_creation(1, label="a")
        tracker.track_task_creation(2)
        tracker.set_task_label(2, "b")
        tracker.update_batch([1, 1, 2], [0.5, 0.5, 0.5])
        assert tracker.get_task_label(2) == "b"
        assert tracker.get_label_completion_counts() == {"a": 2, "b": 1}
        with pytest.raises(UnknownTaskError):
            tracker.set_task_label(9, "c")

    @pytest.mark.parametrize("label", ["x" * 5000, "bad \ud800"])
    def test_a_label_that_cannot_be_one(self, tracker, label):
        tracker.track_task_creation(1)
        with pytest.raises(ValueError):  # noqa: PT011 - a UnicodeEncodeError has words of its own
            tracker.set_task_label(1, label)


class TestSessions:
    def test_a_pickled_shared_tracker_attaches(self):
        name = f"test-{secrets.token_hex(8)}"
        tracker = TaskTracker(backend=SharedMemoryBackend(32, name))
        tracker.track_task_creation(1, label="a")
        other = pickle.loads(pickle.dumps(tracker))
        other.update_task_performance(1, 0.5)
        assert tracker.get_task_stats(1)["completion_count"] == 1
        assert other.get_task_label(1) == "a"
        other.cleanup_shared_memory()
        tracker.cleanup_shared_memory()

    def test_a_pickled_local_tracker_is_a_copy(self):
        tracker = TaskTracker(32)
        tracker.track_task_creation(1, label="a")
        tracker.update_task_performance(1, 0.5)
        other = pickle.loads(pickle.dumps(tracker))
        assert other.get_task_label(1) == "a"
        other.update_task_performance(1, 0.5)
        assert tracker.get_task_stats(1)["completion_count"] == 1
        assert other.get_task_stats(1)["completion_count"] == 2

    def test_a_checkpoint(self, tracker, tmp_path):
        tracker.track_many(np.arange(8), list("abcdabcd"))
        tracker.update_batch(np.arange(8), np.linspace(0.0, 1.0, 8))
        path = str(tmp_path / "table")
        tracker.save(path)
        before = tracker.snapshot()
        other = TaskTracker(64)
        other.load(path)
        assert other.get_label_completion_counts() == tracker.get_label_completion_counts()
        after = other.snapshot()
        for name in set(before.dtype.names) - {"generation", "label"}:
            assert after[name].tolist() == before[name].tolist(), name

    def test_verify(self, tracker):
        tracker.update_batch([1, 2], [0.5, 0.5])
        assert tracker.verify()["tasks"] == 2
