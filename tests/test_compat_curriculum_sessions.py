"""The drop-in curriculum's session: state dicts, pickling, and other processes."""

import json
import multiprocessing
import pickle
import random

import pytest

from compat_envs import learning, make, play, short_and_long
from curricle.compat.curriculum import Curriculum, CurriculumConfig
from curricle.compat.learning_progress_algorithm import (
    LearningProgressAlgorithm,
    LearningProgressConfig,
)
from curricle.errors import CheckpointError


class TestState:
    def played(self, hypers=None, seed=3):
        curriculum = make(short_and_long(), hypers=hypers, seed=seed)
        play(curriculum, 150, lambda task: task._task_id % 7 / 7)
        return curriculum

    @pytest.mark.parametrize("random_draws", [True, False])
    @pytest.mark.parametrize("through", [dict, lambda s: json.loads(json.dumps(s))])
    def test_round_trip(self, random_draws, through):
        hypers = None if random_draws else learning()
        one, other = self.played(hypers), make(short_and_long(), hypers=hypers, seed=9)
        other.load_state(through(one.get_state()))
        assert other._task_ids == one._task_ids
        ours, theirs = one.stats(), other.stats()
        assert random_draws or ours["algorithm/evicted"] > 0.0
        for name in ours:
            assert theirs[name] == pytest.approx(ours[name]), name
        for task_id, task in one._tasks.items():
            again = other._tasks[task_id]
            assert again._num_completions == task._num_completions
            assert again._total_score == task._total_score
            assert again._num_scheduled == task._num_scheduled
            assert (again._label, again._env_cfg) == (task._label, task._env_cfg)
        ids = sorted(one._task_ids)
        assert other._algorithm.score_tasks(ids) == pytest.approx(one._algorithm.score_tasks(ids))
        if random_draws:
            # Evictions move tasks to other slots, and draws go by slots.
            assert play(other, 50) == play(one, 50)

    def test_a_tracker_with_more_tasks_than_the_pool(self):
        one, other = self.played(learning()), make(short_and_long(), hypers=learning())
        state = one.get_state()
        kept = sorted(state["tasks"])[:5]
        state["tasks"] = {task_id: state["tasks"][task_id] for task_id in kept}
        other.load_state(state)
        assert other._task_ids >= set(kept)
        assert len(other._tasks) == 8
        assert not other._task_ids & (one._task_ids - set(kept))
        assert other.stats()["num_completed"] == one.stats()["num_completed"]

    def test_more_tasks_than_the_pool_are_warned_of(self):
        other = make(short_and_long(), hypers=learning(), size=4)
        with pytest.warns(RuntimeWarning, match="8 tasks for a pool of 4"):
            other.load_state(self.played(learning()).get_state())

    def test_draws_are_those_of_the_tasks_where_the_state_does_not_say(self):
        one, other = self.played(learning()), make(short_and_long(), hypers=learning())
        state = one.get_state()
        del state["num_scheduled"]
        state["num_created"] = float(state["num_created"])
        other.load_state(state)
        live = sum(task._num_scheduled for task in one._tasks.values())
        assert other.stats()["num_scheduled"] == live > 0
        assert other.stats()["num_created"] == one.stats()["num_created"]

    def test_labels_go_on(self):
        one, other = self.played(learning()), make(short_and_long(), hypers=learning())
        other.load_state(json.loads(json.dumps(one.get_state())))
        assert other._algorithm._label_sampling_counts == one._algorithm._label_sampling_counts

    def test_a_state_of_the_first_generation(self):
        curriculum = make(short_and_long(), hypers=learning(), size=4)
        tracker_state = {
            "max_memory_tasks": 1000,
            "tracker_type": "local",
            "task_memory": {
                "3": {
                    "completion_count": 12,
                    "total_score": 6.0,
                    "reward_ema": 0.5,
                    "lp_score": 0.2,
                },
                "4": {
                    "completion_count": 3,
                    "total_score": 3.0,
                    "reward_ema": 1.0,
                    "lp_score": 0.1,
                },
            },
        }
        curriculum.load_state({"num_created": 9, "num_evicted": 5, "tracker": tracker_state})
        assert {3, 4} < curriculum._task_ids
        assert len(curriculum._task_ids) == 4
        assert (curriculum._num_created, curriculum._num_evicted) == (9, 5)
        assert curriculum._tasks[3]._mean_score == 0.5
        label = curriculum._tasks[3]._label
        assert curriculum._tracker.get_task_label(3) == label in {"short", "long"}
        assert curriculum._algorithm.get_learning_progress_score(3) == pytest.approx(0.2)

    def test_tasks_without_a_tracker(self):
        curriculum = make(size=2)
        entry = {"num_completions": 4, "total_score": 2.0, "mean_score": 0.5, "num_scheduled": 6}
        curriculum.load_state({"seed": 7, "tasks": {"11": entry, "12": entry}})
        assert curriculum._task_ids == {11, 12}
        task = curriculum._tasks[11]
        assert (task._num_completions, task._mean_score, task._num_scheduled) == (4, 0.5, 6)
        assert curriculum._rng.getstate() == random.Random(7).getstate()

    @pytest.mark.parametrize(
        "state",
        [
            {},
            {"tasks": 5},
            {"tasks": {"x": {}}},
            {"tasks": {"1": {"num_scheduled": -1}}},
            {"tasks": {"1": {"num_completions": "5"}}},
            {"tasks": {"1": {}}, "seed": [3, "x", None]},
            {"tasks": {"1": {}}, "num_created": "9"},
        ],
    )
    def test_what_is_no_state_changes_nothing(self, state):
        curriculum = self.played()
        before = curriculum.get_state()
        with pytest.raises(CheckpointError):
            curriculum.load_state(state)
        assert curriculum.get_state() == before


def attach_and_play(curriculum, results):
    """In a process of its own: reads what the parent has done, and adds to it."""
    before = curriculum.stats()["num_completed"]
    ids = play(curriculum, 100)
    results.put((before, ids, sorted(curriculum._task_ids)))


def make_and_play(config, results):
    """In a process of its own: makes a curriculum of the parent's configuration."""
    attach_and_play(Curriculum(config, seed=1), results)


class TestProcesses:
    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    @pytest.mark.parametrize("hypers", [None, LearningProgressConfig], ids=["random", "progress"])
    def test_a_pickled_curriculum_shares_the_session(self, method, hypers):
        curriculum = make(short_and_long(), hypers=hypers and hypers(), size=8)
        task_id = play(curriculum, 1)[0]
        results = self.run(method, attach_and_play, curriculum, workers=2)
        assert all(before >= 1.0 for before, _, _ in results)
        stats = curriculum.stats()
        assert stats["num_completed"] == stats["num_scheduled"] == 201.0
        assert curriculum.stats()["num_active_tasks"] == 8.0
        assert results[0][1] != results[1][1], "workers must not draw in step"
        if hypers is None:
            drawn = sum((ids for _, ids, _ in results), [task_id])
            task = curriculum._tasks[task_id]
            assert task._num_completions == task._num_scheduled == drawn.count(task_id)
            assert all(ids == sorted(curriculum._task_ids) for _, _, ids in results)

    def test_a_configuration_shares_its_session(self):
        config = CurriculumConfig(
            task_generator=short_and_long(),
            num_active_tasks=8,
            algorithm_config=LearningProgressConfig(),
        )
        curriculum = Curriculum(config, seed=0)
        results = self.run("spawn", make_and_play, config, workers=2)
        assert len(results) == 2
        # Also those whose task the other process had evicted meanwhile.
        assert curriculum.stats()["num_completed"] == 200.0
        assert len(curriculum._task_ids) == 8
        curriculum._tracker.verify()

    @staticmethod
    def run(method, function, argument, workers):
        context = multiprocessing.get_context(method)
        results = context.Queue()
        processes = [
            context.Process(target=function, args=(argument, results)) for _ in range(workers)
        ]
        for process in processes:
            process.start()
        answers = [results.get(timeout=60) for _ in processes]
        for process in processes:
            process.join(60)
            assert process.exitcode == 0
        return answers

    def test_two_curricula_of_one_configuration_are_one_session(self):
        hypers = LearningProgressConfig()
        one, other = make(hypers=hypers, seed=0), make(hypers=hypers, seed=5)
        assert one._task_ids == other._task_ids
        play(one, 10)
        assert other.stats()["num_completed"] == 10.0

    def test_an_algorithm_of_the_configuration_joins_in(self):
        hypers = LearningProgressConfig()
        curriculum = make(hypers=hypers, size=300)
        algorithm = LearningProgressAlgorithm(300, hypers)
        (task_id,) = play(curriculum, 1)
        assert algorithm.tracker.get_task_stats(task_id)["completion_count"] == 1

    def test_pickling_keeps_labels(self):
        curriculum = make(short_and_long(), hypers=LearningProgressConfig())
        play(curriculum, 20)
        copy = pickle.loads(pickle.dumps(curriculum))
        assert copy._algorithm._label_sampling_counts == (
            curriculum._algorithm._label_sampling_counts
        )
        assert copy._tasks[play(copy, 1)[0]]._label in {"short", "long"}

    def test_events_are_pickled_to_nobody_else(self):
        curriculum = make(short_and_long(), hypers=LearningProgressConfig())
        play(curriculum, 5)
        assert pickle.loads(pickle.dumps(curriculum)).take_events() == {}
        events = curriculum.take_events()
        assert {table: sum(counts.values()) for table, counts in events.items()} == {
            "per_label_samples": 5.0,
            "per_label_completion_counts": 5.0,
        }
