"""The drop-in algorithm: learning progress, draws, evictions, labels."""

import json
import pickle

import numpy as np
import pytest

import curricle
from compat_envs import learning
from curricle.compat.curriculum_base import CurriculumTask
from curricle.compat.learning_progress_algorithm import (
    LearningProgressAlgorithm,
    LearningProgressConfig,
)


def algorithm(num_tasks=4, **fields):
    return LearningProgressAlgorithm(num_tasks, learning(**fields))


def play(algorithm, task_id, scores):
    for score in scores:
        algorithm.update_task_performance(task_id, score)


class TestLearningProgress:
    @pytest.mark.parametrize("bidirectional", [True, False])
    def test_a_fast_learner_is_above_a_slow_one(self, bidirectional):
        one = algorithm(use_bidirectional=bidirectional)
        play(one, 1, np.linspace(0.0, 1.0, 20))
        play(one, 2, np.linspace(0.0, 0.1, 20))
        assert one.get_learning_progress_score(1) > one.get_learning_progress_score(2)
        scores = one.score_tasks([1, 2])
        assert scores[1] > scores[2]

    @pytest.mark.parametrize("bidirectional", [True, False])
    def test_a_changing_task_is_above_a_constant_one(self, bidirectional):
        one = algorithm(use_bidirectional=bidirectional)
        play(one, 1, [0.1, 0.9] * 10)
        play(one, 2, [0.5] * 20)
        assert one.get_learning_progress_score(1) > one.get_learning_progress_score(2) == 0.0
        scores = one.score_tasks([1, 2])
        assert scores[1] > scores[2]

    def test_noise_is_not_taken_off(self):
        one = algorithm(score_range=(0.0, 1.0), use_baseline_normalization=False)
        play(one, 1, [0.0] * 20 + [1.0])
        assert one.get_learning_progress_score(1) == pytest.approx(0.1 - 0.02)

    def test_forgetting_is_learning_progress_too(self):
        one = algorithm()
        play(one, 1, np.linspace(1.0, 0.0, 20))
        play(one, 2, [1.0] * 20)
        assert one.get_learning_progress_score(1) > one.get_learning_progress_score(2)

    def test_the_order_of_training_does_not_matter(self):
        one = algorithm()
        play(one, 1, np.linspace(0.0, 0.1, 20))
        play(one, 2, np.linspace(0.0, 1.0, 20))
        play(one, 3, np.linspace(0.0, 0.1, 20))
        assert one.get_learning_progress_score(1) == one.get_learning_progress_score(3)
        assert one.get_learning_progress_score(2) > one.get_learning_progress_score(3)

    @pytest.mark.parametrize("score_range", [None, (0.0, 1.0)])
    def test_the_formula(self, score_range):
        fields = {"use_baseline_normalization": False, "score_range": score_range}
        one = algorithm(ema_timescale=0.3, slow_timescale_factor=0.5, **fields)
        scores = np.random.default_rng(0).random(30)
        play(one, 1, scores)
        fast = slow = scores[0]
        for score in scores[1:]:
            fast, slow = 0.7 * fast + 0.3 * score, 0.85 * slow + 0.15 * score
        assert one.get_learning_progress_score(1) == pytest.approx(abs(fast - slow))

    def test_a_score_that_only_the_tracker_is_told_leaves_it(self):
        one = algorithm()
        play(one, 1, np.linspace(0.0, 1.0, 20))
        before = one.get_learning_progress_score(1)
        one.tracker.update_task_performance(1, 50.0)
        assert one.get_learning_progress_score(1) == before

    def test_scores_of_any_range(self):
        one = algorithm()
        play(one, 1, np.linspace(-300.0, 500.0, 20))
        assert one.get_learning_progress_score(1) > 1.0
        bounded = algorithm(score_range=(-300.0, 500.0))
        play(bounded, 1, np.linspace(-300.0, 500.0, 20))
        assert 0.0 < bounded.get_learning_progress_score(1) < 1.0

    @pytest.mark.parametrize("score", [np.nan, np.inf, 2e9])
    def test_a_score_that_cannot_be_changes_nothing(self, score):
        one = algorithm()
        play(one, 1, [0.5])
        before = one.tracker.snapshot()
        with pytest.raises(ValueError, match="score"):
            one.update_task_performance(1, score)
        np.testing.assert_array_equal(one.tracker.snapshot(), before)


class TestDraws:
    def trained(self, **fields):
        one = algorithm(**fields)
        for task_id in range(4):
            play(one, task_id, np.linspace(0.0, task_id / 3, 15))
        return one

    def test_scores_are_the_distribution_of_draws(self):
        one = self.trained()
        ids, shares = one.tracker.probabilities()
        scores = one.score_tasks(ids.tolist())
        np.testing.assert_allclose([scores[i] for i in ids.tolist()], shares, atol=1e-8)
        assert sum(scores.values()) == pytest.approx(1.0)

    def test_scores_are_the_sigmoid_of_the_z_score(self):
        one = self.trained(z_score_amplification=2.0, rand_task_rate=0.2)
        progress = np.array([one.get_learning_progress_score(i) for i in range(4)])
        z = (progress - progress.mean()) / progress.std()
        weights = 1.0 / (1.0 + np.exp(-2.0 * z))
        expected = 0.8 * weights / weights.sum() + 0.2 / 4
        scores = one.score_tasks(range(4))
        np.testing.assert_allclose([scores[i] for i in range(4)], expected)

    def test_sampling_favours_learning_progress(self):
        one = self.trained(rand_task_rate=0.1)
        stream = one.tracker.stream(5)
        drawn = [one.choose(stream).task_id for _ in range(2000)]
        counts = np.bincount(drawn, minlength=4)
        assert counts[3] > counts[2] > counts[0]
        assert counts[0] > 0

    def test_equal_tasks_are_equal(self):
        assert algorithm().score_tasks([5, 6, 7]) == pytest.approx(dict.fromkeys([5, 6, 7], 1 / 3))

    def test_a_task_without_a_score_has_the_exploration_bonus(self):
        one = algorithm(exploration_bonus=0.3)
        one.on_task_created(CurriculumTask(1, {}))
        assert one.get_learning_progress_score(1) == 0.3
        assert one.get_learning_progress_score(2) == 0.3

    def test_the_own_law_holds_whatever_the_clean_default_is(self):
        plain = curricle.LearningProgressConfig(use_shared_memory=False)
        assert plain.rules().as_dict()["law"] == "proportional"
        rules = LearningProgressAlgorithm(4, plain).tracker.backend.rules.as_dict()
        assert (rules["law"], rules["noise_deviations"]) == ("sigmoid", 0.0)
        rules = learning().rules().as_dict()
        assert (rules["law"], rules["noise_deviations"]) == ("sigmoid", 0.0)

    def test_another_law_is_refused(self):
        hypers = curricle.LearningProgressConfig(use_shared_memory=False, sampling="proportional")
        with pytest.raises(ValueError, match=r"'proportional'.*\"sigmoid\".*curricle.Curriculum"):
            LearningProgressAlgorithm(4, hypers)

    def test_what_needs_bounds_is_accepted_with_a_warning(self):
        with pytest.warns(UserWarning, match="use_baseline_normalization=True.*score_range"):
            LearningProgressConfig(use_shared_memory=False, use_baseline_normalization=True)
        with pytest.warns(UserWarning, match=r"early_progress_amplification=0\.3.*score_range"):
            hypers = learning(early_progress_amplification=0.3)
        one = LearningProgressAlgorithm(4, hypers)
        play(one, 1, [5.0, -3.0])
        bounded = learning(early_progress_amplification=0.3, score_range=(0.0, 1.0))
        assert bounded.rules().as_dict()["reweighting"] == 0.3

    def test_no_tasks_have_no_scores(self):
        assert algorithm().score_tasks([]) == {}


class TestEviction:
    def test_minimum_presentations_are_respected(self):
        one = algorithm(min_samples_for_lp=0)
        play(one, 1, [0.5] * 4)
        assert one.recommend_eviction([1]) is None
        assert not one.should_evict_task(1)
        play(one, 1, [0.5])
        assert one.recommend_eviction([1]) == 1
        assert one.should_evict_task(1)
        assert one.recommend_eviction([1], min_presentations=6) is None

    def test_low_learning_progress_goes_first(self):
        one = algorithm()
        for task_id, gain in ((1, 0.9), (2, 0.0), (3, 0.5)):
            play(one, task_id, np.linspace(0.0, gain, 20))
        assert one.recommend_eviction([1, 2, 3]) == 2
        assert one.recommend_eviction([1, 3]) == 3
        assert not one.should_evict_task(1)

    def test_only_within_the_lowest_share(self):
        one = algorithm(eviction_threshold_percentile=0.4)
        for task_id, gain in enumerate((0.1, 0.2, 0.3, 0.9)):
            play(one, task_id, np.linspace(0.0, gain, 20))
        assert one.recommend_eviction([0]) == 0
        assert one.recommend_eviction([2, 3]) is None

    def test_an_evicted_task_is_gone(self):
        one = algorithm()
        one.on_task_created(CurriculumTask(1, {"label": "a"}))
        one.on_task_evicted(1)
        assert one.tracker.get_task_stats(1) is None
        assert one.task_tracker.get_global_stats()["total_tracked_tasks"] == 0


class TestLabels:
    def create(self, one, task_id, label):
        one.on_task_created(CurriculumTask(task_id, {"label": label}))

    def test_bookkeeping(self):
        one = algorithm()
        for task_id, label in enumerate(("a", "a", "b")):
            self.create(one, task_id, label)
        one.on_task_sampled(0)
        one.on_task_sampled(1)
        one.on_task_sampled(2)
        assert one._label_sampling_counts == {"a": 2, "b": 1}
        assert one._active_labels == {"a", "b"}
        one.on_task_evicted(0)
        assert one._inactive_labels_fifo == []
        one.on_task_evicted(1)
        assert (one._active_labels, one._inactive_labels_fifo) == ({"b"}, ["a"])
        self.create(one, 7, "a")
        assert (one._active_labels, one._inactive_labels_fifo) == ({"a", "b"}, [])
        assert one._label_sampling_counts["a"] == 2

    @pytest.mark.parametrize("limit", [0, 3])
    def test_only_so_many_inactive_labels_are_kept(self, limit):
        one = algorithm(max_inactive_labels_retained=limit)
        for task_id in range(10):
            self.create(one, task_id, f"label-{task_id}")
            one.on_task_sampled(task_id)
        for task_id in (4, 9, 2, 7, 0, 5):
            one.on_task_evicted(task_id)
        kept = [f"label-{i}" for i in (7, 0, 5)[3 - limit :]]
        assert one._inactive_labels_fifo == kept
        assert one._label_sampling_counts.keys() == one._active_labels | set(kept)

    def test_each_task_may_have_its_own(self):
        one = algorithm(400)
        for task_id in range(400):
            self.create(one, task_id, f"label-{task_id}")
        assert len(one._active_labels) == 400

    def test_a_task_of_the_trainer_s_own(self):
        class Task:
            """Has what earlier tasks had."""

            _task_id = 0

            def get_label(self):
                return "a"

        one = algorithm()
        one.on_task_created(Task())
        assert one.tracker.get_task_label(0) == "a"
        assert one.get_learning_progress_score(0) == pytest.approx(0.1)

    def test_draws_of_the_session_count(self):
        one = algorithm()
        self.create(one, 1, "a")
        for _ in range(3):
            one.choose()
        assert one._label_sampling_counts == {"a": 3}


class TestViewsAndState:
    def test_stats_take_the_prefix(self):
        one = algorithm()
        play(one, 1, [0.5])
        plain, prefixed = one.stats(), one.stats("curriculum/")
        assert prefixed == {f"curriculum/{name}": value for name, value in plain.items()}
        assert plain["completions"] == 1.0

    def played(self):
        one = algorithm()
        for task_id, label in ((1, "a"), (2, "b"), (3, "c")):
            one.on_task_created(CurriculumTask(task_id, {"label": label}))
            play(one, task_id, np.linspace(0.0, task_id / 3, 15))
            one.on_task_sampled(task_id)
        one.on_task_evicted(1)
        return one

    def test_a_state_goes_through_json(self):
        one, other = self.played(), algorithm()
        other.load_state(json.loads(json.dumps(one.get_state())))
        assert other.score_tasks([2, 3]) == pytest.approx(one.score_tasks([2, 3]))
        assert other.recommend_eviction([2, 3]) == one.recommend_eviction([2, 3])
        for task_id in (2, 3):
            ours, theirs = (a.tracker.get_task_stats(task_id) for a in (one, other))
            assert theirs.pop("age_seconds") == pytest.approx(ours.pop("age_seconds"), abs=5.0)
            assert theirs == ours
        assert other._label_sampling_counts == {"a": 1, "b": 1, "c": 1}
        assert other._inactive_labels_fifo == ["a"]

    def test_a_state_of_a_tracker_alone_loads(self):
        one, other = self.played(), algorithm()
        other.load_state(one.tracker.get_state())
        assert other.get_learning_progress_score(3) == one.get_learning_progress_score(3)

    def test_a_state_without_a_tracker_is_refused(self):
        with pytest.raises(ValueError, match=r"no task_memory, only \['hypers'\]"):
            algorithm().load_state({"hypers": {}})

    def test_pickling_keeps_labels_and_scores(self):
        one = self.played()
        copy = pickle.loads(pickle.dumps(one))
        assert copy._active_labels == {"b", "c"}
        assert copy._inactive_labels_fifo == ["a"]
        assert copy._label_sampling_counts == one._label_sampling_counts
        assert copy.score_tasks([2, 3]) == one.score_tasks([2, 3])
