"""The drop-in curriculum: tasks, pool, draws, statistics."""

import importlib
import pickle
import random

import numpy as np
import pytest
from pydantic import ValidationError

import curricle
from compat_envs import corridors, learning, make, play, short_and_long
from curricle.compat.curriculum import Curriculum, CurriculumConfig, CurriculumTask
from curricle.compat.learning_progress_algorithm import (
    LearningProgressAlgorithm,
    LearningProgressConfig,
)
from curricle.compat.task_generator import (
    BucketedTaskGenerator,
    SingleTaskGenerator,
    Span,
    TaskGeneratorSet,
)

# A dump names every field, also those that mean nothing.
REBUILT = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore:use_baseline:UserWarning"
)


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("curriculum", "Curriculum CurriculumConfig CurriculumTask CurriculumAlgorithm"),
        ("curriculum_base", "CurriculumTask CurriculumAlgorithm"),
        ("curriculum_env", "CurriculumEnv"),
        ("learning_progress_algorithm", "LearningProgressAlgorithm LearningProgressConfig"),
        ("task_generator", "SingleTaskGenerator BucketedTaskGenerator TaskGeneratorSet Span"),
        ("stats", ""),
    ],
)
def test_modules_have_the_earlier_names(module, names):
    made = importlib.import_module(f"curricle.compat.{module}")
    assert all(hasattr(made, name) for name in names.split())


class TestTask:
    def test_a_new_task(self):
        cfg = {"size": 3, "label": "maze"}
        task = CurriculumTask(7, cfg, {"size": 3})
        assert isinstance(task, curricle.CurriculumTask)
        assert (task._task_id, task._env_cfg, task._slice_values) == (7, cfg, {"size": 3})
        assert (task._label, task.get_label()) == ("maze", "maze")
        assert task.get_env_cfg() is cfg
        assert task.get_slice_values() == task.get_bucket_values() == {"size": 3}
        assert (task._num_completions, task._num_scheduled) == (0, 0)
        assert (task._total_score, task._mean_score) == (0.0, 0.0)

    def test_without_slice_values_and_label(self):
        task = CurriculumTask(7, object())
        assert task._slice_values == {}
        assert task._label is None

    def test_complete(self):
        task = CurriculumTask(7, {})
        task.complete(0.5)
        task.complete(np.float32(1.0))
        assert task._num_completions == 2
        assert task._total_score == 1.5
        assert task._mean_score == 0.75

    def test_a_score_of_zero_counts(self):
        task = CurriculumTask(7, {})
        task.complete(0.0)
        task.complete(1.0)
        assert (task._num_completions, task._mean_score) == (2, 0.5)

    def test_pickling_keeps_the_counts(self):
        task = CurriculumTask(7, {"label": "a"})
        task.complete(0.5)
        copy = pickle.loads(pickle.dumps(task))
        assert (copy._task_id, copy._label, copy._num_completions) == (7, "a", 1)


class TestConfig:
    def test_defaults(self):
        generator = corridors()
        config = CurriculumConfig(task_generator=generator)
        assert config.task_generator == generator
        assert config.num_active_tasks == 1000
        assert config.max_task_id == 1_000_000
        assert config.min_presentations_for_eviction == 5
        assert config.algorithm_config is None
        assert config.seed == 0
        assert CurriculumConfig(generator).task_generator == generator

    def test_make(self):
        config = CurriculumConfig(task_generator=corridors(), num_active_tasks=4, seed=3)
        curriculum = config.make()
        assert isinstance(curriculum, Curriculum)
        assert curriculum._config is config
        assert curriculum._rng.getstate() == random.Random(3).getstate()

    @pytest.mark.parametrize(
        "fields",
        [
            {"num_active_tasks": 0},
            {"max_task_id": 0},
            {"min_presentations_for_eviction": -1},
            {"num_active_tasks": 11, "max_task_id": 10},
            {"num_active_task": 5},
            {"algorithm_config": 5},
        ],
    )
    def test_what_cannot_be(self, fields):
        with pytest.raises(ValidationError):
            CurriculumConfig(task_generator=corridors(), **fields)

    @pytest.mark.parametrize("hypers", [None, learning(), learning(score_range=(0.0, 1.0))])
    @REBUILT
    def test_a_configuration_goes_through_json_and_dicts(self, hypers):
        generator = TaskGeneratorSet.Config(
            generators=[
                SingleTaskGenerator.Config(env={"length": 2}, label="one"),
                BucketedTaskGenerator.Config(base={"length": 0}, buckets={"length": Span(3, 5)}),
            ],
            weights=[1.0, 2.0],
        )
        config = CurriculumConfig(generator, num_active_tasks=8, algorithm_config=hypers)
        for again in (
            CurriculumConfig.model_validate_json(config.model_dump_json()),
            CurriculumConfig(**config.model_dump()),
        ):
            assert again == config
            assert type(again.algorithm_config) is type(hypers)
            ours, theirs = config.make()._tasks, again.make()._tasks
            assert {i: t._env_cfg for i, t in ours.items()} == {
                i: t._env_cfg for i, t in theirs.items()
            }

    def test_a_dict_of_no_generator_is_refused(self):
        with pytest.raises(ValidationError, match=r"0 generators have .* \['length'\]"):
            CurriculumConfig({"length": 3})

    def test_a_misspelt_field_of_a_dict_is_refused(self):
        with pytest.raises(ValidationError, match=r"ema_timescal.*did you mean 'ema_timescale'"):
            CurriculumConfig(corridors(), algorithm_config={"ema_timescal": 0.1})

    @REBUILT
    def test_the_size_of_the_pool(self):
        def size(hypers=None, **fields):
            config = CurriculumConfig(task_generator=corridors(), algorithm_config=hypers, **fields)
            again = CurriculumConfig(**config.model_dump())
            assert len(config.make()._tasks) == config.num_active_tasks == again.num_active_tasks
            return config.num_active_tasks

        assert size(learning(num_active_tasks=16)) == 16
        assert size(learning(num_active_tasks=16), num_active_tasks=8) == 8
        assert size(LearningProgressConfig.default(use_shared_memory=False)) == 256
        assert size(learning()) == 1000
        assert size() == 1000


class TestPool:
    @pytest.mark.parametrize("hypers", [None, learning()], ids=["random", "progress"])
    def test_starts_full(self, hypers):
        curriculum = make(hypers=hypers, size=8)
        assert len(curriculum._tasks) == len(curriculum._task_ids) == 8
        assert set(curriculum._tasks) == curriculum._task_ids
        assert (curriculum._num_created, curriculum._num_evicted) == (8, 0)
        assert all(0 <= task_id < 1_000_000 for task_id in curriculum._task_ids)

    def test_parts(self):
        curriculum = make(hypers=learning())
        assert isinstance(curriculum._algorithm, LearningProgressAlgorithm)
        assert isinstance(curriculum._task_generator, curricle.BucketedTaskGenerator)
        generator = SingleTaskGenerator.Config(env={}).create()
        assert make(generator)._task_generator is generator

    def test_a_drawn_task_is_one_of_the_pool(self):
        curriculum = make(corridors(label="walk"))
        task = curriculum.get_task()
        assert curriculum._tasks[task._task_id] is task
        assert task._env_cfg == curriculum._task_generator.get_task(task._task_id)
        assert task._slice_values == {"length": task._env_cfg["length"]}
        assert task._label == "walk"
        assert task._num_scheduled == 1

    def test_tasks_come_again(self):
        curriculum = make(size=4)
        ids = play(curriculum, 50)
        assert set(ids) == curriculum._task_ids

    def test_a_task_that_was_evicted_may_come_again(self):
        curriculum = make(hypers=learning(), size=3, max_task_id=4)
        seen = [play(curriculum, 1)[0] for _ in range(400)]
        assert curriculum._num_evicted > 8
        assert set(seen) == {0, 1, 2, 3}

    def test_keeps_its_size(self):
        curriculum = make(hypers=learning(), size=6)
        for _ in range(300):
            play(curriculum, 1)
            assert len(curriculum._task_ids) == 6
        stats = curriculum.stats()
        assert stats["num_evicted"] > 0
        assert stats["num_created"] == 6 + stats["num_evicted"]
        assert curriculum._num_evicted == stats["num_evicted"]

    def test_only_tasks_with_enough_presentations_are_evicted(self):
        curriculum = make(
            hypers=learning(min_samples_for_lp=0), size=4, min_presentations_for_eviction=30
        )
        tasks = curriculum._tasks
        while not curriculum._num_evicted:
            play(curriculum, 1)
        (evicted,) = tasks.keys() - curriculum._task_ids
        assert tasks[evicted]._num_completions >= 30

    def test_low_learning_progress_is_evicted_first(self):
        curriculum = make(hypers=learning(), size=5)
        *learners, idle = sorted(curriculum._task_ids)
        for episode in range(20):
            for task_id in learners:
                curriculum.update_task_performance(task_id, episode / 20)
            curriculum.update_task_performance(idle, 0.3)
        curriculum.get_task()
        assert curriculum._num_evicted == 1
        assert curriculum._task_ids >= set(learners)
        assert idle not in curriculum._task_ids

    def test_random_never_evicts(self):
        curriculum = make(size=4)
        before = curriculum._task_ids
        play(curriculum, 400)
        assert curriculum._task_ids == before
        assert curriculum._num_evicted == 0
        assert curriculum._algorithm.recommend_eviction(list(before)) is None

    def test_random_draws_all_alike(self):
        curriculum = make(size=4)
        counts = np.unique(play(curriculum, 2000), return_counts=True)[1]
        assert counts.min() > 400

    def test_draws_favour_learning_progress(self):
        curriculum = make(hypers=learning(rand_task_rate=0.1), size=8)
        learner, *others = sorted(curriculum._task_ids)
        for episode in range(20):
            curriculum.update_task_performance(learner, episode / 20)
            for task_id in others:
                curriculum.update_task_performance(task_id, 0.5)
        drawn = [curriculum.get_task()._task_id for _ in range(300)]
        assert drawn.count(learner) > 100
        assert sum(drawn.count(task_id) for task_id in others) < 50
        assert set(drawn) & set(others)

    def test_a_label_for_each_task_of_a_large_pool(self):
        lengths = [{"length": i, "label": f"length {i}"} for i in range(600)]
        kinds = [SingleTaskGenerator.Config(env=length) for length in lengths]
        generator = curricle.TaskGeneratorSet.Config(generators=kinds)
        curriculum = make(generator, hypers=learning(), size=1000)
        assert len(curriculum._algorithm._active_labels) > 400


class TestSeeds:
    @pytest.mark.parametrize("random_draws", [True, False])
    def test_a_seed_repeats(self, random_draws):
        def ids(seed):
            return play(make(hypers=None if random_draws else learning(), seed=seed), 200)

        assert ids(5) == ids(5)
        assert ids(5) != ids(6)

    def test_a_task_depends_on_its_id_alone(self):
        one, other = make(size=8, seed=5), make(size=8, seed=5)
        tasks = {i: task._env_cfg for i, task in one._tasks.items()}
        assert {i: task._env_cfg for i, task in other._tasks.items()} == tasks


class TestScores:
    def test_a_score_reaches_task_and_statistics(self):
        curriculum = make(hypers=learning())
        task = curriculum.get_task()
        curriculum.update_task_performance(task._task_id, 0.25)
        assert (task._num_completions, task._mean_score) == (1, 0.25)
        assert curriculum.stats()["num_completed"] == 1.0

    def test_complete_and_report_count_once(self):
        curriculum = make(hypers=learning())
        task = curriculum.get_task()
        task.complete(0.25)
        assert curriculum.stats()["num_completed"] == 1.0
        curriculum.update_task_performance(task._task_id, 0.25)
        assert (task._num_completions, task._total_score) == (1, 0.25)
        assert curriculum.stats()["num_completed"] == 1.0
        curriculum.update_task_performance(task._task_id, 0.75)
        task.complete(0.75)
        assert (task._num_completions, task._total_score) == (2, 1.0)
        assert curriculum.stats()["num_completed"] == 2.0

    def test_a_score_of_an_evicted_task_counts_nowhere(self):
        curriculum = make(hypers=learning())
        task = curriculum.get_task()
        curriculum.update_task_performance(task._task_id, 0.5)
        curriculum._algorithm.on_task_evicted(task._task_id)
        curriculum.update_task_performance(task._task_id, 0.5)
        assert task._task_id not in curriculum._task_ids
        assert curriculum.stats()["num_completed"] == 1.0
        assert task._num_completions == 1

    def test_a_score_of_a_task_that_was_evicted_while_it_was_played_is_late(self):
        curriculum = make(hypers=learning())
        task = curriculum.get_task()
        curriculum._algorithm.on_task_evicted(task._task_id)
        curriculum.update_task_performance(task._task_id, 0.5)
        assert curriculum.stats()["num_completed"] == 1.0
        assert curriculum.stats()["algorithm/late_reports"] == 1.0
        assert task._num_completions == 0

    def test_of_several_late_scores_each_is_counted_as_late(self):
        curriculum = make(hypers=learning(), size=4)
        played = [curriculum.get_task() for _ in range(3)]
        for _ in range(2000):
            curriculum.update_task_performance(played.pop(0)._task_id, 0.5)
            played.append(curriculum.get_task())
        stats = curriculum.stats()
        assert stats["num_evicted"] > 10
        assert stats["algorithm/late_reports"] > 10
        assert stats["num_completed"] == 2000

    def test_evicted_tasks_are_not_kept_for_ever(self):
        curriculum = make(hypers=learning(), size=2)
        for _ in range(3000):
            task = curriculum.get_task()
            curriculum._pool.replace(task._task_id)
        assert len(curriculum._cache) <= 1100

    @pytest.mark.parametrize("score_range", [None, (0.0, 2.0)])
    def test_learning_progress_follows_the_scores(self, score_range):
        hypers = learning(score_range=score_range, use_baseline_normalization=False)
        curriculum = make(hypers=hypers, size=1, min_presentations_for_eviction=10**6)
        scores = iter(np.linspace(0.0, 1.0, 30))
        (task_id,) = curriculum._task_ids
        play(curriculum, 30, lambda task: next(scores))
        stats = curriculum._tracker.get_task_stats(task_id)
        expected = abs(stats["p_fast"] - stats["p_slow"])
        assert expected > 0.05
        progress = curriculum._algorithm.get_learning_progress_score(task_id)
        assert progress == stats["lp_score"] == pytest.approx(expected)

    def test_few_scores_are_blended_with_the_exploration_bonus(self):
        hypers = learning(exploration_bonus=0.2, exploration_blend_factor=0.5)
        curriculum = make(hypers=hypers, size=1)
        (task_id,) = curriculum._task_ids
        progress = curriculum._algorithm.get_learning_progress_score
        assert progress(task_id) == 0.2
        play(curriculum, 4)
        assert progress(task_id) == pytest.approx(0.2 * 0.6)

    def test_more_reports_than_draws_all_count(self):
        curriculum = make(hypers=learning())
        task = curriculum.get_task()
        for _ in range(3):
            curriculum.update_task_performance(task._task_id, 0.5)
        assert task._num_completions == curriculum.stats()["num_completed"] == 3

    @pytest.mark.parametrize("score", [np.nan, 1e10])
    def test_a_score_that_cannot_be(self, score):
        curriculum = make(hypers=learning())
        task = curriculum.get_task()
        with pytest.raises(ValueError, match="score"):
            curriculum.update_task_performance(task._task_id, score)
        assert task._num_completions == 0


class TestStats:
    def test_pool_statistics(self):
        curriculum = make(hypers=learning(), size=8)
        play(curriculum, 3)
        curriculum.get_task()
        stats = curriculum.stats()
        expected = {
            "num_created": 8.0,
            "num_evicted": 0.0,
            "num_completed": 3.0,
            "num_scheduled": 4.0,
            "num_active_tasks": 8.0,
        }
        assert {name: stats[name] for name in expected} == expected
        assert {type(value) for value in stats.values()} == {float}

    def test_the_algorithm_has_a_prefix(self):
        curriculum = make(hypers=learning())
        play(curriculum, 5)
        stats = curriculum.stats()
        for name, value in curriculum._algorithm.stats("algorithm/").items():
            assert stats[name] == value

    def test_labels(self):
        curriculum = make(short_and_long(), hypers=learning(), size=10)
        for score in (0.2, 0.4):
            task = curriculum.get_task()
            curriculum.update_task_performance(task._task_id, score)
        stats = curriculum.stats()
        for table in ("completion_counts", "samples"):
            keys = [f"per_label_{table}/{label}" for label in ("short", "long")]
            assert sum(stats[key] for key in keys) == 2.0
        label = task._label
        mean = stats[f"per_label_rewards/{label}"]
        count = stats[f"per_label_completion_counts/{label}"]
        assert mean == pytest.approx(0.4 if count == 1 else 0.3)
        assert stats[f"per_label_lp_scores/{label}"] > 0.0
        assert stats[f"per_label_evictions/{label}"] == 0.0


class TestInvariants:
    @pytest.mark.parametrize(
        ("path", "values"),
        [
            ("num_agents", [2, 4]),
            ("game.num_agents", [2, 4]),
            ("game.actions", [["move"], ["move", "attack"]]),
            ("game.resource_names", [["ore"], ["ore", "battery"]]),
        ],
    )
    def test_tasks_that_differ_are_refused_with_both_values(self, path, values):
        base = {"game": {"num_agents": 2, "actions": ["move"], "resource_names": ["ore"]}}
        base["num_agents"] = 2
        generator = curricle.BucketedTaskGenerator.Config(base=base, buckets={path: values})
        with pytest.raises(ValueError, match="must share it") as refused:
            make(generator)
        for value in values:
            assert f"{path}={value!r}" in str(refused.value)

    def test_what_agrees_is_accepted(self):
        make(corridors(num_agents=2, actions=["move"]))
