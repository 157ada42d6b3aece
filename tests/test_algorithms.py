"""The algorithms to choose from: each formula against loops over score histories."""

import math
import pickle
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from curricle import (
    AnnealedStagesConfig,
    Curriculum,
    LearnabilityConfig,
    LearningProgressConfig,
    LevelReplayConfig,
    MixtureConfig,
    SequentialStagesConfig,
    TeacherStudentConfig,
    VarianceConfig,
)
from curricle.algorithms.catalogue import ALGORITHMS
from curricle.opening import read_config
from score_histories import (
    STEP,
    after,
    normalised,
    running_mean,
    shares,
    success_rate,
    surprise,
)

SCORES = st.lists(st.floats(-1e6, 1e6), max_size=12)
HISTORIES = st.lists(SCORES, min_size=1, max_size=6)
LOCAL = {"use_shared_memory": False}


def own_fields(name, n):
    """The fields that an algorithm needs to be given, for ids 0 to n-1."""
    if name == "mixture":
        return {"parts": [(0.5, LevelReplayConfig()), (0.4, LearnabilityConfig())]}
    if name == "alp-gmm":
        return {"parameters": [(i / n,) for i in range(n)], "window": 5, "components": 2}
    if name == "frontier":
        return {"parameters": [(i / n,) for i in range(n)]}
    stages = {"stages": [range(n), [n - 1]]}
    return {
        "sequential-stages": stages,
        "annealed-stages": stages | {"episodes_per_stage": 20},
    }.get(name, {})


def configured(name, n, **fields):
    for needs, module in (("alp-gmm", "sklearn"), ("frontier", "scipy")):
        if name == needs:
            pytest.importorskip(module)
    return ALGORITHMS[name](**LOCAL, **(own_fields(name, n) | fields))


def averaged_over_ties(weights_in_order, keys):
    """Mean weight of each position over all orders that sort ``keys`` descending."""
    orders = [
        order
        for order in permutations(range(len(keys)))
        if all(keys[a] >= keys[b] for a, b in pairwise(order))
    ]
    total = np.zeros(len(keys))
    for order in orders:
        for rank, at in enumerate(order):
            total[at] += weights_in_order[rank] / len(orders)
    return total


class TestLearnability:
    @settings(max_examples=40, deadline=None)
    @given(histories=HISTORIES, share=st.sampled_from([None, 0.02, 0.5, 1.0]))
    def test_the_formula(self, histories, share):
        config = LearnabilityConfig(buffer_share=share, **LOCAL)
        rates = [success_rate(scores) if scores else 0.5 for scores in histories]
        learnability = [round(p * (1.0 - p), 12) for p in rates]
        snapshot = after(config, histories)
        if share is None:
            assert config.weights(snapshot) == pytest.approx(learnability, abs=1e-12)
            return
        places = max(1, round(share * len(histories)))
        in_buffer = [1.0] * places + [0.0] * (len(histories) - places)
        expected = averaged_over_ties(in_buffer, learnability)
        # p (1 - p) of p and of 1 - p may differ by rounding.
        exact = np.where(snapshot["completion_count"] > 0, snapshot["success_rate_ema"], 0.5)
        assume(len(set((exact * (1.0 - exact)).tolist())) == len(set(learnability)))
        assert config.weights(snapshot) == pytest.approx(expected)

    def test_tasks_tied_at_the_last_place_share_it(self):
        config = LearnabilityConfig(buffer_share=0.4, **LOCAL)
        snapshot = after(config, [[0, 1], [], [0, 1], [1], [0, 1]])
        assert config.weights(snapshot) == pytest.approx([1 / 3, 1.0, 1 / 3, 0.0, 1 / 3])

    def test_half_of_the_draws_come_from_the_buffer(self):
        config = LearnabilityConfig(buffer_share=0.25, **LOCAL)
        curriculum = Curriculum(4, config, seed=0)
        for scores in ([0, 1, 1, 0], [0, 0, 1, 0], [0, 1, 0, 0]):
            curriculum.report(np.arange(4), scores)
        curriculum.draw()
        rates = [success_rate(x) for x in ([0, 0, 0], [1, 0, 1], [1, 1, 0], [0, 0, 0])]
        best = int(np.argmax([p * (1 - p) for p in rates]))
        expected = [0.125 + 0.5 * (at == best) for at in range(4)]
        assert shares(curriculum) == pytest.approx(expected)

    def test_a_task_without_a_score_is_in_the_buffer(self):
        snapshot = after(LearnabilityConfig(**LOCAL), [[0, 1, 0, 1], [], [1]])
        assert LearnabilityConfig(buffer_share=0.3).weights(snapshot).tolist() == [0, 1, 0]


class TestLevelReplay:
    @settings(max_examples=40, deadline=None)
    @given(histories=HISTORIES, beta=st.floats(0.05, 3.0))
    def test_ranks(self, histories, beta):
        config = LevelReplayConfig(staleness=0.0, temperature=beta, potential="score", **LOCAL)
        assert config.weights(after(config, histories)) == pytest.approx(
            self.replayed(
                histories,
                1,
                lambda seen: averaged_over_ties(
                    [(1.0 / rank) ** (1.0 / beta) for rank in range(1, len(seen) + 1)],
                    [scores[-1] for scores in seen],
                ),
            ),
            rel=1e-9,
            abs=1e-12,
        )

    @settings(max_examples=40, deadline=None)
    @given(
        histories=st.lists(st.lists(st.integers(-20, 20), max_size=12), min_size=1, max_size=6),
        beta=st.floats(0.2, 3.0),
    )
    def test_proportional_to_surprise(self, histories, beta):
        config = LevelReplayConfig(
            staleness=0.0, temperature=beta, prioritization="proportional", **LOCAL
        )

        def priorities(seen):
            # Of scores that are all alike the loop leaves what rounding did.
            found = [round(abs(surprise(scores)), 9) for scores in seen]
            return [f ** (1.0 / beta) for f in found] if any(found) else [1.0] * len(found)

        expected = self.replayed(histories, 2, priorities)
        weights = config.weights(after(config, histories))
        assert weights == pytest.approx(expected, rel=1e-6, abs=1e-6)

    def replayed(self, histories, least, priorities):
        """k/n of the draws by priority over the k tasks that were played, 1/n each other."""
        n = len(histories)
        seen = [scores for scores in histories if len(scores) >= least]
        expected = [1.0 / n] * n
        if seen:
            replay = iter(normalised(priorities(seen)) * len(seen) / n)
            expected = [next(replay) if len(s) >= least else 1.0 / n for s in histories]
        return expected

    def test_staleness_is_the_time_since_a_task_was_played(self):
        config = LevelReplayConfig(staleness=1.0, potential="score", update_every=1, **LOCAL)
        curriculum = Curriculum(3, config, seed=0)
        for task_id in (0, 1, 2, 2, 2):
            curriculum.report(task_id, 0.5)
        table = curriculum.tracker.snapshot()
        ages = [max(table["last_completed"]) - int(last) for last in table["last_completed"]]
        assert ages[2] == 0
        curriculum.draw()
        assert shares(curriculum) == pytest.approx([age / sum(ages) for age in ages])

    def test_both_parts_are_mixed(self):
        histories = [[0.0, 1.0], [0.5, 0.25], [1.0, 1.0]]
        parts = [LevelReplayConfig(staleness=rho, **LOCAL) for rho in (0.0, 1.0)]
        by_potential, by_age = (part.weights(after(part, histories)) for part in parts)
        config = LevelReplayConfig(**LOCAL)
        expected = 0.9 * by_potential + 0.1 * by_age
        assert config.weights(after(config, histories)) == pytest.approx(expected)

    def test_a_step_that_forgets_what_was_before_is_refused(self):
        with pytest.raises(ValueError, match="task_tracker_ema_alpha"):
            LevelReplayConfig(task_tracker_ema_alpha=1.0)


class TestTeacherStudent:
    @staticmethod
    def changes(histories):
        """Q of each task by the paper's recursion."""
        found = []
        for scores in histories:
            change = 0.0
            for before, score in pairwise(scores):
                change = STEP * (score - before) + (1.0 - STEP) * change
            found.append(change)
        return found

    @settings(max_examples=40, deadline=None)
    @given(histories=HISTORIES, temperature=st.floats(1e4, 1e7))
    def test_boltzmann(self, histories, temperature):
        config = TeacherStudentConfig(policy="boltzmann", temperature=temperature, **LOCAL)
        sizes = [abs(change) for change in self.changes(histories)]
        expected = normalised([math.exp((s - max(sizes)) / temperature) for s in sizes])
        found = config.weights(after(config, histories))
        assert normalised(found) == pytest.approx(expected, rel=1e-6)

    def test_epsilon_greedy(self):
        histories = [[0.0, 0.2], [0.5, 0.1, 0.1], [0.0, 0.0, 0.3], [0.9, 0.6], []]
        curriculum = Curriculum(5, TeacherStudentConfig(**LOCAL), seed=0)
        for task_id, scores in enumerate(histories):
            for score in scores:
                curriculum.report(task_id, score)
        sizes = np.abs(self.changes(histories))
        expected = 0.9 * normalised(np.isclose(sizes, sizes.max())) + 0.1 / 5
        curriculum.draw()
        assert shares(curriculum) == pytest.approx(expected)

    def test_it_returns_to_a_task_that_is_forgotten(self):
        config = TeacherStudentConfig(**LOCAL)
        snapshot = after(config, [[0.0] * 9 + [0.1], [1.0] * 9 + [0.5], [0.3] * 10])
        assert config.weights(snapshot).tolist() == [0.0, 1.0, 0.0]


class TestStages:
    STAGES = ((0, 1), (2, 3), (3, 4))

    @pytest.mark.parametrize(
        ("rates", "present"),
        [
            ((0.0, 0.0, 0.0, 0.0, 0.0), (0, 1)),
            ((1.0, 0.5, 1.0, 1.0, 0.0), (0, 1)),
            ((1.0, 0.7, 0.0, 0.0, 0.0), (2, 3)),
            ((0.9, 0.9, 0.9, 0.9, 0.0), (3, 4)),
            ((1.0, 1.0, 1.0, 1.0, 1.0), (3, 4)),
        ],
    )
    def test_the_present_stage(self, rates, present):
        config = SequentialStagesConfig(stages=self.STAGES, floor=0.0, **LOCAL)
        # Successes first: the rate after n more failures is 0.9 ** n.
        histories = [self.of_rate(rate) for rate in rates]
        weights = config.weights(after(config, histories))
        assert np.flatnonzero(weights).tolist() == list(present)
        assert len(set(weights[list(present)])) == 1

    @staticmethod
    def of_rate(rate):
        return [1.0] + [0.0] * round(math.log(max(rate, 1e-3)) / math.log(1.0 - STEP))

    def test_a_stage_opens_when_the_one_before_is_mastered(self):
        config = SequentialStagesConfig(stages=[range(3), range(3, 6)], floor=0.0, **LOCAL)
        curriculum = Curriculum(6, config, seed=0)
        order = []
        for _ in range(2000):
            task = curriculum.draw()
            order.append(task.task_id)
            curriculum.report(task.ticket, 1.0)
        opened = next(at for at, task_id in enumerate(order) if task_id >= 3)
        assert set(order[:opened]) == {0, 1, 2}
        assert set(order[opened:]) == {3, 4, 5}

    def test_a_task_without_a_score_holds_its_stage(self):
        config = SequentialStagesConfig(stages=[[0, 1], [2]], **LOCAL)
        snapshot = after(config, [[1.0] * 50, [], []])
        assert config.weights(snapshot).tolist() == [1.0, 1.0, 0.0]

    @pytest.mark.parametrize("episodes", [0, 3, 10, 15, 19, 20, 45])
    def test_annealing(self, episodes):
        stages = ((0,), (1, 2, 3), (3, 4))
        config = AnnealedStagesConfig(
            stages=stages, episodes_per_stage=10, floor=0.1, update_every=1, **LOCAL
        )
        curriculum = Curriculum(5, config, seed=0)
        for at in range(episodes):
            curriculum.report(at % 5, 0.5)
        curriculum.draw()
        position = min(episodes / 10, 2.0)
        expected = np.full(5, 0.1 / 5)
        for at, stage in enumerate(stages):
            near = max(0.0, 1.0 - abs(position - at))
            for task_id in stage:
                expected[task_id] += 0.9 * near / len(stage)
        assert shares(curriculum) == pytest.approx(expected)

    @pytest.mark.parametrize("kind", ["sequential-stages", "annealed-stages"])
    def test_a_task_in_no_stage(self, kind):
        curriculum = Curriculum(5, configured(kind, 5, stages=[[0, 1], [3]]))
        with pytest.raises(ValueError, match="2 tasks are in no stage, task 2 for one"):
            curriculum.draw()

    @pytest.mark.parametrize("stages", [[], [[0], []], [0, 1], None, [["a"]]])
    def test_stages_that_are_none(self, stages):
        with pytest.raises(ValueError, match="stages"):
            SequentialStagesConfig(stages=stages)


def test_variance_is_that_of_the_score():
    config = VarianceConfig(score_range=(0.0, 1.0), min_samples_for_lp=0, **LOCAL)
    histories = [[0.0, 1.0, 0.0], [0.5, 0.5, 0.5], [1.0, 1.0, 0.0, 1.0]]
    table = after(config, histories)
    expected = [
        running_mean(np.square(scores), 0.02) - running_mean(scores, 0.02) ** 2
        for scores in histories
    ]
    assert table["lp_score"] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ALGORITHMS)
class TestEveryAlgorithm:
    def test_it_is_a_config_by_itself(self, name):
        config = configured(name, 8)
        assert read_config(config)[0] is config
        assert pickle.loads(pickle.dumps(config)) == config
        assert config.model_copy() == config
        assert ALGORITHMS[name].__doc__

    @pytest.mark.parametrize(
        "scores",
        [
            [0.0],
            [1e9, -1e9],
            [5e-324, -5e-324],
            [1e9, 1e9 - 1e-6],
            [-1.0, 0.25],
        ],
        ids=str,
    )
    @pytest.mark.parametrize("n", [1, 2, 12])
    def test_any_finite_scores(self, name, scores, n):
        """Draws go on, never by a probability that is none."""
        gives_weights = "update_every" in ALGORITHMS[name].model_fields
        fields = {"update_every": 15} if gives_weights else {}
        with Curriculum(n, configured(name, n, **fields), seed=0) as curriculum:
            for at in range(60):
                task = curriculum.draw()
                curriculum.report(task.ticket, scores[at % len(scores)])
            curriculum.draw()
            assert shares(curriculum).sum() == pytest.approx(1.0)
            assert (shares(curriculum) >= 0.0).all()

    def test_no_task_starves_without_a_score(self, name):
        """Each of them comes, although others have scores all the time."""
        n = 10
        with Curriculum(n, configured(name, n), seed=0) as curriculum:
            curriculum.report(np.zeros(5, np.int64), [0.0, 1.0, 0.0, 1.0, 1.0])
            for _ in range(2000):
                task = curriculum.draw()
                curriculum.report(task.ticket, float(task.task_id % 2))
            assert curriculum.tracker.snapshot()["completion_count"].min() >= 1

    def test_a_run_repeats_under_its_seed_and_from_its_checkpoint(self, name, tmp_path):
        n, path = 12, str(tmp_path / "run")

        def play(curriculum, episodes):
            drawn = []
            for _ in range(episodes):
                task = curriculum.draw()
                drawn.append(task.task_id)
                curriculum.report(task.ticket, (len(drawn) * (task.task_id + 1)) % 7 / 6)
            return drawn

        one = Curriculum(n, configured(name, n), seed=3)
        two = Curriculum(n, configured(name, n), seed=3)
        assert play(one, 300) == play(two, 300)
        one.save(path)
        again = Curriculum(n, configured(name, n), seed=3)
        again.load(path)
        assert play(again, 200) == play(one, 200)
        for curriculum in (one, two, again):
            curriculum.close()


def test_draws_follow_the_weights():
    parts = [(0.3, LearnabilityConfig(buffer_share=None)), (0.5, LevelReplayConfig(temperature=2))]
    config = MixtureConfig(parts=parts, update_every=10**6, **LOCAL)
    rng = np.random.default_rng(0)
    curriculum = Curriculum(50, config, seed=0)
    curriculum.report(rng.integers(0, 50, 1000), rng.integers(0, 2, 1000))
    curriculum.algorithm.refresh()
    draws = 100_000
    drawn = np.bincount([task.task_id for task in curriculum.draw_many(draws)], minlength=50)
    expected = shares(curriculum) * draws
    assert expected.min() > 100.0
    assert expected.max() > 2.0 * expected.min()
    assert stats.chisquare(drawn, expected).pvalue > 1e-4


@pytest.mark.parametrize(("n", "every"), [(1, 1), (1999, 1), (50_000, 50)])
def test_how_often_weights_are_computed(n, every):
    curriculum = Curriculum(n, TeacherStudentConfig(**LOCAL))
    assert curriculum.algorithm.update_every == every


def test_the_uniform_floor_is_the_config_s():
    assert LearningProgressConfig().rules().as_dict()["floor"] == 0.01
    config = TeacherStudentConfig(floor=0.6, **LOCAL)
    curriculum = Curriculum(4, config, seed=0)
    curriculum.report(np.array([2, 2]), np.array([0.0, 1.0]))
    curriculum.draw()
    assert shares(curriculum) == pytest.approx([0.15, 0.15, 0.55, 0.15])


class TestMistakes:
    def test_weights_that_are_forgotten(self):
        class Forgot:
            def weights(self, snapshot):
                1 / (1 + snapshot["completion_count"])

        with Curriculum(3, Forgot()) as curriculum:
            # Again at the next draw: nothing goes on with the weights of before.
            for _ in range(2):
                with pytest.raises(ValueError, match=r"Forgot.weights returned None; return wei"):
                    curriculum.draw()

    def test_columns_that_are_a_text(self):
        class Lettered:
            columns = "favoured"

            def weights(self, snapshot):
                return snapshot["favoured"]

        with pytest.raises(TypeError, match=r"columns is the text 'favoured'.*\('favoured',\)"):
            Curriculum(3, Lettered())

    @pytest.mark.parametrize("every", [1.5, True, "ten", 0])
    def test_update_every_that_is_no_count(self, every):
        class Hasty:
            update_every = every

            def weights(self, snapshot):
                return np.ones(len(snapshot))

        with pytest.raises((TypeError, ValueError), match="update_every"):
            Curriculum(3, Hasty())

    def test_a_weight_that_is_none_names_its_task(self):
        class Broken:
            def weights(self, snapshot):
                return np.where(snapshot["task_id"] == 2, np.nan, 1.0)

        with (
            Curriculum(3, Broken()) as curriculum,
            pytest.raises(ValueError, match="nan for task 2"),
        ):
            curriculum.draw()
