"""What the earlier curriculum, algorithm and environment did wrong: one test for each."""

import copy
import math
import multiprocessing
import pickle

import numpy as np
import pytest

import curricle
from compat_envs import PufferCorridor, corridors, learning, make, short_and_long
from curricle.compat.curriculum_base import CurriculumTask
from curricle.compat.curriculum_env import CurriculumEnv
from curricle.compat.learning_progress_algorithm import (
    LearningProgressAlgorithm,
    LearningProgressConfig,
)
from curricle.errors import CapacityError


def algorithm(num_tasks=4, **fields):
    return LearningProgressAlgorithm(num_tasks, learning(**fields))


def play(algorithm, task_id, scores):
    for score in scores:
        algorithm.update_task_performance(task_id, score)


def run(env, steps):
    """Steps through episodes; the sums of what the infos say by label."""
    sums = {}
    env.reset()
    for _ in range(steps):
        for info in env.step([1, 1])[4]:
            for key, value in info.items():
                if key.startswith("env_curriculum/per_label_"):
                    table = key.split("/")[1]
                    sums[table] = sums.get(table, 0.0) + sum(value.values())
    return sums


@pytest.mark.parametrize("num_tasks", [20, 400])
def test_unsampled_tasks_do_not_take_nearly_all_draws(num_tasks):
    one = algorithm(num_tasks)
    for task_id in range(num_tasks):
        one.on_task_created(CurriculumTask(task_id, {}))
    learners = range(num_tasks // 2)
    for task_id in learners:
        play(one, task_id, np.linspace(0.0, 1.0, 12))
    scores = one.score_tasks(range(num_tasks))
    assert sum(scores[task_id] for task_id in learners) > 0.9
    stream = one.tracker.stream(1)
    drawn = [one.choose(stream).task_id in learners for _ in range(500)]
    assert sum(drawn) > 400


def test_unsampled_tasks_are_explored_among_idle_ones():
    one = algorithm(100)
    for task_id in range(100):
        one.on_task_created(CurriculumTask(task_id, {}))
    for task_id in range(50):
        play(one, task_id, [0.5] * 12)
    scores = one.score_tasks(range(100))
    assert sum(scores[task_id] for task_id in range(50, 100)) > 0.9


def test_no_task_is_evicted_before_it_has_a_learning_progress():
    one = algorithm()
    play(one, 1, [0.5] * 9)
    assert one.recommend_eviction([1], min_presentations=5) is None
    play(one, 1, [0.5])
    assert one.recommend_eviction([1], min_presentations=5) == 1


def test_eviction_goes_by_learning_progress_not_by_order():
    curriculum = make(hypers=learning(), size=6)
    ids = list(curriculum._tasks)
    for episode in range(12):
        for task_id in ids:
            idle = task_id == ids[3]
            curriculum.update_task_performance(task_id, 0.5 if idle else episode / 12)
    curriculum.get_task()
    assert set(ids) - curriculum._task_ids == {ids[3]}


def test_events_summed_over_infos_are_their_number():
    curriculum = make(short_and_long(), hypers=learning(), size=6)
    envs = [CurriculumEnv(PufferCorridor(), curriculum) for _ in range(2)]
    for env in envs:
        env.set_stats_update_frequency(1)
    sums = {}
    for env in envs:
        for table, value in run(env, 1500).items():
            sums[table] = sums.get(table, 0.0) + value
    for table, value in curriculum.take_events().items():
        sums[table] += sum(value.values())
    stats = curriculum.stats()
    assert stats["num_evicted"] > 10
    assert sums["per_label_evictions"] == stats["num_evicted"]
    assert sums["per_label_completion_counts"] == stats["num_completed"]
    assert sums["per_label_samples"] == stats["num_scheduled"]


@pytest.mark.parametrize("name", ["reset", "async_reset"])
def test_reset_is_not_bypassed_by_forwarding(name):
    curriculum = make()
    env = CurriculumEnv(PufferCorridor(), curriculum)
    for _ in range(10):
        before = curriculum.stats()["num_scheduled"]
        getattr(env, name)(seed=3)
        assert curriculum.stats()["num_scheduled"] == before + 1
        assert env._env.length == env._current_task._env_cfg["length"]


def test_step_is_not_bypassed_by_forwarding():
    curriculum = make(corridors(2, 2, "walk"))
    env = CurriculumEnv(PufferCorridor(), curriculum)
    env.async_reset(5)
    for _ in range(2):
        env.send([1, 1])
        *_, infos = env.recv()
    assert curriculum.stats()["num_completed"] == 1.0
    assert infos[0]["env_curriculum/per_label_rewards"] == {"walk": pytest.approx(0.5)}


def test_a_new_task_leaves_the_others_alone():
    one = algorithm()
    play(one, 1, np.linspace(0.0, 1.0, 20))
    play(one, 2, [0.5] * 20)
    before = {i: one.tracker.get_task_stats(i) for i in (1, 2)}
    one.on_task_created(CurriculumTask(3, {}))
    for task_id, stats in before.items():
        after = one.tracker.get_task_stats(task_id)
        assert {k: v for k, v in after.items() if k != "age_seconds"} == {
            k: v for k, v in stats.items() if k != "age_seconds"
        }


@pytest.mark.parametrize("preset", ["default", "stable", "fast_learning", "arena_legacy"])
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"ema_timescales": 0.1}, "did you mean 'ema_timescale'"),
        ({"ema_timescale": "0.1"}, "ema_timescale"),
        ({"use_bidirectional": "no"}, "use_bidirectional"),
        ({"rand_task_rate": 1.5}, "rand_task_rate"),
    ],
)
def test_presets_refuse_wrong_overrides(preset, override, message):
    with pytest.raises(ValueError, match=message):
        getattr(LearningProgressConfig, preset)(**override)


def test_labels_survive_pickling():
    curriculum = make(short_and_long(), hypers=LearningProgressConfig())
    for _ in range(30):
        task = curriculum.get_task()
        curriculum.update_task_performance(task._task_id, 0.5)
    copy = pickle.loads(pickle.dumps(curriculum))
    assert copy.stats() == curriculum.stats()
    assert copy._algorithm._active_labels == {"short", "long"}


def count_in_child(curriculum):
    for _ in range(10):
        task = curriculum.get_task()
        task.complete(0.5)
        curriculum.update_task_performance(task._task_id, 0.5)


def test_totals_are_those_of_all_processes():
    curriculum = make(short_and_long(), hypers=LearningProgressConfig())
    count_in_child(curriculum)
    child = multiprocessing.get_context("spawn").Process(target=count_in_child, args=[curriculum])
    child.start()
    child.join(60)
    assert child.exitcode == 0
    stats = curriculum.stats()
    assert (stats["num_completed"], stats["num_scheduled"]) == (20.0, 20.0)
    by_label = [stats[f"per_label_completion_counts/{label}"] for label in ("short", "long")]
    assert sum(by_label) == 20.0
    counts = [task._num_completions for task in curriculum._tasks.values()]
    assert sum(counts) == 20


def test_reading_statistics_changes_nothing():
    curriculum = make(short_and_long(), hypers=learning())
    env = CurriculumEnv(PufferCorridor(), curriculum)
    run(env, 30)
    before = curriculum.get_state()
    curriculum.stats()
    curriculum._algorithm.stats("x/")
    curriculum._algorithm.score_tasks(curriculum._task_ids)
    events = copy.deepcopy(curriculum._events._counts)
    assert curriculum.stats() == curriculum.stats()
    assert curriculum.get_state() == before
    assert curriculum._events._counts == events


def test_a_score_of_zero_is_a_score():
    one = algorithm(use_baseline_normalization=False)
    play(one, 1, [0.0, 1.0])
    data = one.tracker.get_task_stats(1)
    assert (data["p_fast"], data["p_slow"]) == (pytest.approx(0.1), pytest.approx(0.02))
    curriculum = make(size=1)
    curriculum.update_task_performance(*curriculum._task_ids, 0.0)
    curriculum.update_task_performance(*curriculum._task_ids, 1.0)
    (task,) = curriculum._tasks.values()
    assert task._mean_score == 0.5


def test_a_baseline_of_zero_stays():
    one = algorithm(score_range=(0.0, 1.0), baseline_samples=3)
    play(one, 1, [0.0] * 3 + [1.0] * 10)
    assert one.tracker.get_task_stats(1)["random_baseline"] == 0.0


# The naive R(p) = p (1-t) / (p + t (1-2p)) has its pole for t = 0.1 at p = -0.125.
@pytest.mark.parametrize("score", [-0.125, -5.0, 1.125, 40.0])
def test_reweighting_has_no_pole(score):
    with pytest.warns(UserWarning, match="early_progress_amplification"):
        hypers = learning(early_progress_amplification=0.1)
    one = LearningProgressAlgorithm(4, hypers)
    play(one, 1, [score] * 3 + [0.5])
    lp_score = one.get_learning_progress_score(1)
    assert math.isfinite(lp_score)
    assert lp_score <= abs(score - 0.5) + hypers.exploration_bonus


def test_id_zero_hides_nothing():
    one = algorithm()
    for task_id in (0, 1, 2):
        one.on_task_created(CurriculumTask(task_id, {"label": f"label {task_id}"}))
    play(one, 0, np.linspace(0.0, 1.0, 20))
    assert one.tracker.get_all_tracked_tasks() == [0, 1, 2]
    assert one.score_tasks([0, 1])[0] > one.score_tasks([0, 1])[1]
    assert one._active_labels == {"label 0", "label 1", "label 2"}
    task = make(corridors(), size=1, max_task_id=1).get_task()
    assert task._task_id == 0


def test_large_ids_are_not_rounded():
    one = algorithm()
    first, second = 2**53, 2**53 + 1
    play(one, first, [1.0])
    play(one, second, [0.0])
    assert one.tracker.get_task_stats(first)["mean_score"] == 1.0
    assert one.tracker.get_task_stats(second)["mean_score"] == 0.0


def test_a_full_table_is_an_error():
    one = LearningProgressAlgorithm(2, learning(num_active_tasks=2, max_memory_tasks=2))
    play(one, 1, [0.5])
    play(one, 2, [0.5])
    with pytest.raises(CapacityError, match="full"):
        one.update_task_performance(3, 0.5)


def test_the_pool_has_room_for_the_free_slots():
    curriculum = make(hypers=learning(num_active_tasks=4, max_memory_tasks=4), size=4)
    while curriculum._num_evicted < 20:
        task = curriculum.get_task()
        curriculum.update_task_performance(task._task_id, 0.5)
    assert len(curriculum._task_ids) == 4


def test_the_clean_curriculum_is_another():
    assert curricle.LearningProgressConfig(use_shared_memory=False).rules() != learning().rules()
