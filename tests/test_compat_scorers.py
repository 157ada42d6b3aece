"""The scorers of earlier trackers."""

import json

import numpy as np
import pytest

from curricle import LearningProgressConfig
from curricle.compat.lp_scorers import BasicLPScorer, BidirectionalLPScorer
from curricle.compat.task_tracker import TaskTracker
from curricle.errors import CheckpointError

SCORERS = [BidirectionalLPScorer, BasicLPScorer]


def config(**fields):
    return LearningProgressConfig(use_shared_memory=False, **fields)


def rising(step):
    return np.minimum(np.arange(40) * step, 1.0).tolist()


@pytest.fixture(params=["told", "tracked", "both", "emas"])
def tell(request):
    """Ways in which trainers bring a score to tracker and scorer."""

    def told(scorer, task_id, score):
        scorer.update_with_score(task_id, score)

    def tracked(scorer, task_id, score):
        scorer.tracker.update_task_performance(task_id, score)

    def both(scorer, task_id, score):
        scorer.tracker.update_task_performance(task_id, score)
        scorer.update_with_score(task_id, score)

    def emas(scorer, task_id, score):
        scorer.tracker.update_task_performance_with_bidirectional_emas(task_id, score, scorer)

    return {"told": told, "tracked": tracked, "both": both, "emas": emas}[request.param]


class TestOrder:
    @pytest.mark.parametrize("of", SCORERS)
    def test_a_changing_task_above_a_constant_one(self, of, tell):
        scorer = of(config(), TaskTracker())
        for score in rising(0.05):
            tell(scorer, 1, score)
            tell(scorer, 2, 0.5)
        assert scorer.score_task(1) > scorer.score_task(2)
        assert scorer.score_task(2) == pytest.approx(0.0, abs=1e-12)

    @pytest.mark.parametrize("of", SCORERS)
    def test_a_fast_learner_above_a_slow_one(self, of, tell):
        scorer = of(config(), TaskTracker())
        for fast, slow in zip(rising(0.025), rising(0.005), strict=True):
            tell(scorer, 1, fast)
            tell(scorer, 2, slow)
        assert scorer.score_task(1) > scorer.score_task(2)

    def test_forgetting_counts_as_learning(self, tell):
        scorer = BidirectionalLPScorer(config(), TaskTracker())
        for score in rising(0.02):
            tell(scorer, 1, score)
            tell(scorer, 2, 1.0 - score)
        assert scorer.score_task(1) == pytest.approx(scorer.score_task(2))

    def test_no_score_counts_twice(self, tell):
        scorer, alone = BidirectionalLPScorer(config(), TaskTracker()), TaskTracker()
        for score in (0.2, 1.0, 0.0):
            tell(scorer, 1, score)
            alone.update_task_performance(1, score)
        stats = alone.get_task_stats(1)
        progress = abs(stats["p_fast"] - stats["p_slow"])
        assert scorer.score_task(1) == pytest.approx(0.1 * 0.7 + 0.5 * 0.3 * progress)
        tracked = scorer.tracker.get_task_stats(1)
        assert tracked is None or tracked["completion_count"] == 3


class TestScore:
    @pytest.mark.parametrize("of", SCORERS)
    def test_without_a_score_it_is_the_bonus(self, of):
        tracker = TaskTracker()
        tracker.track_task_creation(1)
        scorer = of(config(exploration_bonus=0.3), tracker)
        assert scorer.score_task(1) == scorer.score_task(99) == 0.3

    def test_a_score_of_zero_is_a_score(self):
        scorer = BidirectionalLPScorer(config(min_samples_for_lp=1))
        scorer.update_with_score(1, 0.0)
        assert scorer.score_task(1) == 0.0
        scorer.update_with_score(1, 1.0)
        assert scorer.score_task(1) == pytest.approx(0.1 - 0.02)

    def test_the_formulas(self):
        hypers = config(
            score_range=(0.0, 1.0),
            use_baseline_normalization=False,
            early_progress_amplification=0.25,
            performance_bonus_weight=0.5,
            min_samples_for_lp=0,
        )
        scorer = BidirectionalLPScorer(hypers)
        scorer.update_with_score(1, 0.2)
        scorer.update_with_score(1, 1.0)
        fast, slow = 0.9 * 0.2 + 0.1, 0.98 * 0.2 + 0.02
        shaped = [p * 0.75 / (p + 0.25 * (1 - 2 * p)) for p in (fast, slow)]
        assert scorer.score_task(1) == pytest.approx(shaped[0] - shaped[1] + 0.5 * fast)

    def test_the_variance(self):
        scorer = BasicLPScorer(config(task_tracker_ema_alpha=0.5, min_samples_for_lp=0))
        scorer.update_with_score(1, 0.0)
        scorer.update_with_score(1, 1.0)
        assert scorer.score_task(1) == 0.25

    def test_a_least_progress(self):
        scorer = BidirectionalLPScorer(config(progress_smoothing=0.05, min_samples_for_lp=0))
        scorer.update_with_score(1, 0.5)
        assert scorer.score_task(1) == 0.05

    def test_any_finite_score(self):
        scorer = BidirectionalLPScorer(config(min_samples_for_lp=0))
        for score in (-100.0, 300.0):
            scorer.update_with_score(1, score)
        assert scorer.score_task(1) == pytest.approx(32.0)
        with pytest.raises(ValueError, match="score"):
            scorer.update_with_score(1, float("nan"))
        assert scorer.score_task(1) == pytest.approx(32.0)

    def test_a_tracker_that_is_given_goes_first(self):
        one, other = TaskTracker(), TaskTracker()
        for score in (0.0, 1.0):
            other.update_task_performance(1, score)
        scorer = BidirectionalLPScorer(config(min_samples_for_lp=0), one)
        assert scorer.score_task(1) == 0.1
        assert scorer.score_task(1, other) == pytest.approx(0.08)

    def test_what_only_the_scorer_was_told_counts(self):
        tracker = TaskTracker()
        tracker.track_task_creation(1)
        scorer = BidirectionalLPScorer(config(min_samples_for_lp=0), tracker)
        for score in (0.0, 1.0):
            scorer.update_with_score(1, score)
        assert scorer.score_task(1) == pytest.approx(0.08)
        assert tracker.get_task_stats(1)["completion_count"] == 0

    def test_scores_of_other_processes_count(self):
        tracker = TaskTracker()
        scorer = BidirectionalLPScorer(config(min_samples_for_lp=0), tracker)
        scorer.update_with_score(1, 0.5)
        for score in (0.0, 1.0):
            tracker.update_task_performance(1, score)
        assert scorer.score_task(1) == pytest.approx(0.08)


class TestKeeping:
    @pytest.mark.parametrize("of", SCORERS)
    def test_a_state_goes_through_json(self, of):
        scorer = of(config())
        for score in rising(0.03):
            scorer.update_with_score(1, score)
            scorer.update_with_score(2**60 + 1, 0.5)
        state = scorer.get_state()
        again = of(config())
        again.load_state(json.loads(json.dumps(state)))
        for task_id in (1, 2**60 + 1, 3):
            assert again.score_task(task_id) == scorer.score_task(task_id)
        assert again.get_state() == state
        again.update_with_score(1, 0.0)
        scorer.update_with_score(1, 0.0)
        assert again.score_task(1) == scorer.score_task(1)

    @pytest.mark.parametrize(
        "state",
        [
            [],
            {"tasks": []},
            {"tasks": {"one": {}}},
            {"tasks": {"1": {"p_fats": 0.5}}},
            {"tasks": {"1": {"p_fast": float("nan")}}},
            {"tasks": {"3": {}, "1": {"p_fast": "a"}}},
        ],
    )
    def test_a_state_that_cannot_be(self, state):
        scorer = BidirectionalLPScorer(config())
        scorer.update_with_score(1, 0.5)
        before = scorer.get_state()
        with pytest.raises(CheckpointError, match="state"):
            scorer.load_state(state)
        assert scorer.get_state() == before

    def test_a_task_is_removed(self):
        scorer = BidirectionalLPScorer(config(min_samples_for_lp=0))
        scorer.update_with_score(1, 0.5)
        scorer.remove_task(1)
        scorer.remove_task(2)
        assert scorer.score_task(1) == 0.1
        assert scorer.get_stats()["num_tracked_tasks"] == 0

    def test_nothing_is_cached(self):
        scorer = BidirectionalLPScorer(config(min_samples_for_lp=0))
        scorer.update_with_score(1, 0.0)
        assert scorer.score_task(1) == 0.0
        scorer.update_with_score(1, 1.0)
        after = scorer.score_task(1)
        assert after > 0.0
        scorer.invalidate_cache()
        assert scorer.score_task(1) == after

    def test_stats(self):
        tracker = TaskTracker()
        scorer = BidirectionalLPScorer(config(), tracker)
        tracker.track_task_creation(9)
        for score in (0.0, 1.0):
            tracker.update_task_performance(1, score)
        scorer.update_with_score(2, 1.0)
        assert scorer.get_stats() == {
            "num_tracked_tasks": 2.0,
            "mean_task_success_rate": pytest.approx(0.55),
            "mean_learning_progress": pytest.approx(0.04),
        }
        assert tracker.get_global_stats()["total_completions"] == 2
