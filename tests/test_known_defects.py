"""Defects that were found in the earlier tracker, one test each: here they must not be.

Those of the curriculum and of the environment are in `test_known_defects_of_curricula`.
"""

import json
import multiprocessing
import pickle
import secrets
import signal
import threading

import pytest

import compat_workers
from compat_processes import run
from curricle import LearningProgressConfig
from curricle._core import Rules
from curricle.backends import LocalMemoryBackend
from curricle.compat.lp_scorers import BidirectionalLPScorer
from curricle.compat.memory_backend import SharedMemoryBackend
from curricle.compat.slot_views import SLOT_FIELDS
from curricle.compat.task_tracker import CentralizedTaskTracker, LocalTaskTracker, TaskTracker
from curricle.errors import CapacityError

SCORE_SUM = SLOT_FIELDS.index("total_score")


@pytest.fixture(params=["local", "centralized"])
def tracker(request):
    made = LocalTaskTracker(64) if request.param == "local" else CentralizedTaskTracker(64)
    yield made
    made.cleanup_shared_memory()


def test_scores_of_zero_count_in_the_recent_mean(tracker):
    for task_id, score in [(1, 0.0), (2, 0.0), (3, 0.0), (4, 1.0)]:
        tracker.update_task_performance(task_id, score)
    stats = tracker.get_global_stats()
    assert stats["mean_recent_score"] == stats["mean_score"] == 0.25
    tracker.load_state(json.loads(json.dumps(tracker.get_state())))
    assert tracker.get_global_stats()["mean_recent_score"] == 0.25


def test_no_two_tasks_of_two_processes_get_the_same_slot():
    tracker = CentralizedTaskTracker(1000)
    parts = [(tracker.session_id, first, 200) for first in (0, 200, 400, 600)]
    slots = {}
    for found in run("fork", compat_workers.create_tasks, *parts):
        slots |= found
    assert sorted(slots.values()) == list(range(800))
    for task_id in range(800):
        stats = tracker.get_task_stats(task_id)
        assert (stats["completion_count"], stats["mean_score"]) == (1, task_id / 1000)
    tracker.cleanup_shared_memory()


def test_freed_slots_are_used_again(tracker):
    for task_id in range(64 * 5):
        tracker.update_task_performance(task_id, 0.5)
        if task_id >= 32:
            tracker.remove_task(task_id - 32)
    assert max(tracker._task_id_to_index.values()) <= 32
    assert tracker.get_global_stats()["total_completions"] == 64 * 5


def test_a_full_table_says_so(tracker):
    for task_id in range(64):
        tracker.update_task_performance(task_id, 0.5)
    for change in (tracker.track_task_creation, lambda i: tracker.update_task_performance(i, 1.0)):
        with pytest.raises(CapacityError, match="64"):
            change(64)
    tracker.update_task_performance(63, 1.0)
    assert tracker.get_task_stats(63)["completion_count"] == 2
    assert tracker.get_global_stats()["total_completions"] == 65


def test_task_zero_hides_no_other(tracker):
    for task_id in (5, 0, 7):
        tracker.update_task_performance(task_id, 0.5)
    tracker.remove_task(5)
    assert tracker.get_all_tracked_tasks() == [0, 7]
    assert tracker.get_task_stats(0)["completion_count"] == 1
    again = pickle.loads(pickle.dumps(tracker))
    assert again._task_id_to_index == {0: 1, 7: 2}
    again.cleanup_shared_memory()


def test_ids_are_not_rounded(tracker):
    ids = [2**53, 2**53 + 1, 2**63 - 1, 2**63 - 2, -(2**63)]
    for n, task_id in enumerate(ids):
        tracker.update_task_performance(task_id, n)
    tracker.load_state(json.loads(json.dumps(tracker.get_state())))
    assert tracker.get_all_tracked_tasks() == ids
    assert [tracker.get_task_stats(i)["last_score"] for i in ids] == [0, 1, 2, 3, 4]


def test_labels_are_not_told_by_rounded_hashes(tracker):
    labels = [f"label {n}" for n in range(64)]
    for task_id, label in enumerate(labels):
        tracker.track_task_creation(task_id)
        tracker.set_task_label(task_id, label)
    tracker.load_state(json.loads(json.dumps(tracker.get_state())))
    assert [tracker.get_task_label(i) for i in range(64)] == labels


def test_an_ema_that_is_zero_is_data(tracker):
    for score in (0.0, 1.0):
        tracker.update_task_performance_with_bidirectional_emas(1, score)
    stats = tracker.get_task_stats(1)
    for name in ("reward_ema", "ema_squared", "success_rate_ema", "p_fast", "p_true"):
        assert stats[name] == pytest.approx(0.1), name
    assert stats["p_slow"] == pytest.approx(0.02)
    for score in (1.0, -1.0):
        tracker.update_task_performance(2, score)
    tracker.update_bidirectional_emas(2, 0.0, 0.0, 0.0, 0.0)
    tracker.update_task_performance(2, 1.0)
    assert tracker.get_task_stats(2)["p_fast"] == pytest.approx(0.1)


def test_a_baseline_of_zero_is_set():
    rules = Rules(score_range=(0.0, 1.0), baseline="mean", baseline_samples=3, progress="given")
    tracker = TaskTracker(backend=LocalMemoryBackend(8, rules=rules))
    for _ in range(3):
        tracker.update_task_performance(1, 0.0)
    for _ in range(10):
        tracker.update_task_performance(1, 1.0)
        assert tracker.get_task_stats(1)["random_baseline"] == 0.0


def test_a_new_task_leaves_learning_progress_alone(tracker):
    config = LearningProgressConfig(use_shared_memory=False, min_samples_for_lp=0)
    scorer = BidirectionalLPScorer(config, tracker)
    for step in range(20):
        tracker.update_task_performance(1, step / 20, lp_score=0.25)
    before = scorer.score_task(1)
    for task_id in range(2, 60):
        tracker.track_task_creation(task_id)
        scorer.update_with_score(task_id, 0.5)
    assert scorer.score_task(1) == before > 0.0
    assert tracker.get_task_stats(1)["lp_score"] == 0.25


def test_reading_changes_nothing(tracker):
    for step in range(20):
        tracker.update_task_performance(step % 3, step / 20)
    tracker.set_task_label(1, "maze")
    scorer = BidirectionalLPScorer(LearningProgressConfig(use_shared_memory=False), tracker)
    before = tracker.snapshot().tobytes()
    first = None
    for _ in range(3):
        seen = [
            tracker.get_global_stats(),
            tracker.get_label_completion_counts(),
            tracker.get_state(),
            tracker._task_id_to_index[1],
            scorer.score_task(1),
            scorer.get_stats(),
        ]
        tracker.get_task_stats(1)
        tracker.get_task_stats(99)
        first = first or seen
        assert seen == first
    assert tracker.snapshot().tobytes() == before


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_labels_and_totals_are_known_to_all_processes(method):
    tracker = CentralizedTaskTracker(64)
    tracker.update_task_performance(1, 0.5)
    run(method, compat_workers.update_and_read, (tracker,))
    tracker.update_task_performance(2, 0.75)
    assert tracker.get_task_label(2) == "from the child"
    assert tracker.get_label_completion_counts() == {"from the child": 1}
    assert tracker.get_global_stats()["total_completions"] == 3
    assert tracker.get_global_stats()["mean_score"] == 0.75
    tracker.cleanup_shared_memory()


@pytest.mark.parametrize("through", ["pickle", "state"])
def test_labels_and_totals_survive(tracker, through):
    for task_id in (1, 2):
        tracker.update_task_performance(task_id, 0.5)
        tracker.set_task_label(task_id, f"label {task_id}")
    tracker.remove_task(2)
    if through == "pickle":
        again = pickle.loads(pickle.dumps(tracker))
    else:
        again = LocalTaskTracker(64)
        again.load_state(json.loads(json.dumps(tracker.get_state())))
    assert again.get_task_label(1) == "label 1"
    assert again.get_global_stats()["total_completions"] == 2
    assert again.get_label_completion_counts()["label 1"] == 1
    again.cleanup_shared_memory()


@pytest.mark.parametrize("t", [0.05, 0.25, 0.95])
def test_the_reweighting_has_no_pole(t):
    """R(p) = p (1-t) / (p + t (1-2p)) has one at p = -t / (1-2t)."""
    config = LearningProgressConfig(
        use_shared_memory=False,
        score_range=(0.0, 1.0),
        early_progress_amplification=t,
        min_samples_for_lp=0,
    )
    tracker = LocalTaskTracker(8)
    tracker.update_task_performance(1, 0.5)
    scorer = BidirectionalLPScorer(config, tracker)
    pole = -t / (1.0 - 2.0 * t)
    for p in (pole - 1e-9, pole, pole + 1e-9, -1.0, 0.0, 1.0, 2.0):
        tracker.update_bidirectional_emas(1, p, 0.5, 0.5, 0.0)
        assert 0.0 <= scorer.score_task(1) <= 1.0
    with pytest.raises(ValueError, match="score_range"):
        LearningProgressConfig(use_shared_memory=False, early_progress_amplification=t)


def test_a_killed_lock_holder_blocks_nobody():
    backend = SharedMemoryBackend(16)
    tracker = TaskTracker(backend=backend)
    tracker.track_task_creation(1)
    context = multiprocessing.get_context("fork")
    child = context.Process(target=compat_workers.die_with_lock, args=(backend.session_id, 16))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    with backend.acquire_lock():
        tracker.update_task_performance(1, 0.5)
    assert tracker.get_task_stats(1)["completion_count"] == 1
    backend.cleanup()


def test_a_session_opened_twice_has_one_lock():
    name = f"test-{secrets.token_hex(8)}"
    backends = [SharedMemoryBackend(16, name) for _ in range(2)]
    backends[0].create(1)
    threads = [
        threading.Thread(target=compat_workers.add_to_slot, args=(backend, 0, SCORE_SUM, 300))
        for backend in backends
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert backends[0].read_task(1).total_score == 600.0
    for backend in backends:
        backend.cleanup()


@pytest.mark.parametrize("preset", ["default", "stable", "fast_learning", "arena_legacy"])
@pytest.mark.parametrize(
    ("override", "named"),
    [
        ({"ema_time_scale": 0.1}, "ema_timescale"),
        ({"num_activ_tasks": 10}, "num_active_tasks"),
        ({"rand_task_rate": "0.1"}, "rand_task_rate"),
        ({"min_samples_for_lp": 2.5}, "min_samples_for_lp"),
        ({"use_bidirectional": "no"}, "use_bidirectional"),
        ({"ema_timescale": 1.5}, "ema_timescale"),
    ],
)
def test_presets_refuse_overrides_that_cannot_be(preset, override, named):
    with pytest.raises(ValueError, match=named):
        getattr(LearningProgressConfig, preset)(**override)
