"""The frontier: where failing tasks are tried again, by what their neighbours learn."""

import math
import pickle
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("scipy")

from curricle import Curriculum, FrontierConfig, MixtureConfig, NoiseAwareConfig, UnknownTaskError
from curricle.simulate import simulate
from curricle.students import NoisyChainStudent

LOCAL = {"use_shared_memory": False}
STEP = 0.05


def activity_of(scores, progress, unit):
    """How much a task was learned, by plain loops over its scores."""
    if not scores:
        return 0.0
    mean, square = scores[0], scores[0] ** 2
    for count, score in enumerate(scores[1:], 2):
        # The mean of the first twenty, then an EMA.
        step = max(1 / count, STEP)
        mean += step * (score - mean)
        square += step * (score**2 - square)
    variance = max(square - mean**2, 0.0)
    noise = math.sqrt(variance * (STEP / (2 - STEP) + 1 / len(scores)))
    rise = (mean - sum(scores) / len(scores) - 3 * noise) / unit
    return min(1.0, max(0.0, progress, rise / 0.5))


def nearest(points, task_id, count):
    others = [i for i in range(len(points)) if i != task_id]
    return sorted(others, key=lambda i: math.dist(points[i], points[task_id]))[:count]


def allowed(records, retries):
    """What is left of the retries, so that failing tasks get at most their share of the draws."""
    fails = [(1 - d.success_rate_ema) ** 4 if d.completion_count else 0.0 for d in records]
    share = sum(fails) / len(fails)
    retried = sum(fail * retry for fail, retry in zip(fails, retries, strict=True))
    learned = sum(data.lp_score for data in records)
    most = share * learned / (1 - share)
    return min(1.0, most / retried)


def histories(rng, n):
    """Tasks that fail, succeed, flip coins, or begin to succeed, and one without a score."""
    kinds = [
        lambda k: [0.0] * k,
        lambda k: [1.0] * k,
        lambda k: (rng.random(k) < 0.5).astype(float).tolist(),
        lambda k: [0.0] * (k // 2) + [1.0] * (k - k // 2),
    ]
    return [kinds[i % 4](int(rng.integers(1, 60))) if i else [] for i in range(n)]


def test_retries_follow_the_formula():
    rng = np.random.default_rng(1)
    n, count = 30, 4
    points = rng.random((n, 3))
    config = FrontierConfig(
        parameters=points * (10.0, 1e-3, 1.0) + 5.0,
        neighbours=count,
        score_range=(0.0, 1.0),
        update_every=10**6,
        **LOCAL,
    )
    scaled = (points - points.min(axis=0)) / np.ptp(points, axis=0)
    played, tries, seen = [[] for _ in range(n)], [0.0] * n, [0] * n
    with Curriculum(n, config) as curriculum:
        read = curriculum.tracker.backend.read
        for _ in range(3):
            for task_id, scores in enumerate(histories(rng, n)):
                for score in scores:
                    curriculum.report(task_id, score)
                played[task_id] += scores
            curriculum.algorithm.refresh()
            active = [activity_of(s, read(i).lp_score, 1.0) for i, s in enumerate(played)]
            assert 3 < np.count_nonzero(active) < n
            around = [sum(active[j] for j in nearest(scaled, i, count)) / count for i in range(n)]
            for i, near in enumerate(around):
                tries[i] += (len(played[i]) - seen[i]) * near / (near + 0.3)
                seen[i] = len(played[i])
            retries = [
                0.1 * (near + 0.003) / (1 + (tried / 25) ** 8)
                for near, tried in zip(around, tries, strict=True)
            ]
            left = allowed([read(i) for i in range(n)], retries)
            for i in range(n):
                data, retry = read(i), retries[i] * left
                assert data.columns == pytest.approx((retry, tries[i], seen[i]))
                if played[i] and len(played[i]) >= 3:
                    failing = (1 - data.success_rate_ema) ** 4
                    assert data.weight == pytest.approx(
                        data.lp_score + 1e-6 + retry * failing, abs=2e-9
                    )
        curriculum.verify()


@pytest.mark.parametrize("scale", [200.0, 1e-3])
def test_scores_without_a_range_count_by_how_far_apart_the_tasks_are(scale):
    fails, succeeds = -0.25 * scale, 0.75 * scale
    scores = {0: [fails] * 30 + [succeeds] * 60, 1: [fails] * 20, 2: [fails] * 20}
    config = FrontierConfig(
        parameters=[0, 1, 5],
        neighbours=1,
        task_default_success_threshold=0.0,
        update_every=10**6,
        **LOCAL,
    )
    with Curriculum(3, config) as curriculum:
        for task_id, history in scores.items():
            for score in history:
                curriculum.report(task_id, score)
        curriculum.algorithm.refresh()
        read = curriculum.tracker.backend.read
        records = [read(task_id) for task_id in range(3)]
        learned = records[0]
    active = activity_of(scores[0], learned.lp_score, learned.reward_ema - fails)
    assert learned.lp_score < active < 1.0
    # The nearest of task 1 is task 0, that of task 2 is task 1, which has learned nothing.
    tried = 20 * active / (active + 0.3)
    beside_it = 0.1 * (active + 0.003) / (1 + (tried / 25) ** 8)
    retries = [records[0].columns[0], beside_it, 0.1 * 0.003]
    left = allowed(records, retries)
    assert [data.columns[0] for data in records[1:]] == pytest.approx(
        [left * retry for retry in retries[1:]]
    )


@pytest.mark.parametrize("learning", [False, True])
def test_failing_tasks_get_no_more_than_their_share(learning):
    config = FrontierConfig(
        parameters=range(40), score_range=(0, 1), rand_task_rate=0.0, update_every=10**6, **LOCAL
    )
    rng = np.random.default_rng(4)
    with Curriculum(40, config) as curriculum:
        for task_id in range(40):
            for at in range(60):
                # Twenty fail, of the others half succeed and half are coins.
                score = 0.0 if task_id < 20 else 1.0 if task_id < 30 else float(rng.random() < 0.5)
                curriculum.report(task_id, float(learning and at > 40) if task_id == 20 else score)
        curriculum.algorithm.refresh()
        ids, shares = curriculum.probabilities()
        failing = shares[ids < 20].sum()
        assert failing <= 0.53
        # Where nothing moves draws are nearly uniform; else what moves is drawn.
        assert shares[ids == 20].item() > 0.4 if learning else failing > 0.2


def test_a_failing_task_is_tried_more_beside_one_that_learns():
    config = FrontierConfig(parameters=[0, 1, 9], neighbours=1, score_range=(0, 1), **LOCAL)
    with Curriculum(3, config) as curriculum:
        for task_id in (1, 2):
            for _ in range(20):
                curriculum.report(task_id, 0.0)
        for at in range(40):
            curriculum.report(0, float(at >= 20))
        curriculum.algorithm.refresh()
        ids, shares = curriculum.probabilities()
        share = dict(zip(ids.tolist(), shares.tolist(), strict=True))
        assert share[1] > 2 * share[2]
        # It goes on to fail while its neighbour has learned: it may well be impossible.
        for _ in range(200):
            curriculum.report(1, 0.0)
        curriculum.algorithm.refresh()
        assert curriculum.tracker.backend.read(1).weight < 0.001


def test_the_chain_is_learned_to_its_end():
    def mastered(config):
        student = NoisyChainStudent(chain=30, impossible=12, coins=12, solved=6, seed=3)
        parameters = student.parameters
        made = config(parameters=parameters) if config is FrontierConfig else config()
        made = made.model_copy(update=LOCAL)
        return simulate(student, made, 8_000, seed=3).mastered[-1]

    assert mastered(FrontierConfig) > 0.75 > 1.5 * mastered(NoiseAwareConfig)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_tasks_and_tasks_at_one_place(n):
    config = FrontierConfig(parameters=[(2.0, 3.0)] * n, **LOCAL)
    with Curriculum(n, config, seed=0) as curriculum:
        for at in range(100):
            curriculum.report(curriculum.draw().ticket, float(at % 3 == 0))
        assert curriculum.probabilities()[1].sum() == pytest.approx(1.0)


def test_no_task_is_its_own_neighbour():
    points = np.zeros((40, 2))
    points[30:] = 1.0
    _, neighbours = FrontierConfig(parameters=points, neighbours=6, **LOCAL)._graph
    assert neighbours.shape == (40, 6)
    assert not np.any(neighbours == np.arange(40)[:, None])
    assert np.all(neighbours[:30] < 30)
    assert all(len(set(row)) == 6 for row in neighbours.tolist())


def test_tries_outlive_a_checkpoint_and_a_pickle(tmp_path):
    config = FrontierConfig(parameters=range(6), score_range=(0, 1), update_every=10, **LOCAL)
    with Curriculum(6, config, seed=1) as curriculum:
        for at in range(300):
            task = curriculum.draw()
            curriculum.report(task.ticket, float(task.task_id < at // 60))
        curriculum.save(str(tmp_path / "checkpoint"))
        twin = Curriculum(6, pickle.loads(pickle.dumps(config)), seed=1)
        with twin:
            twin.load(str(tmp_path / "checkpoint"))
            for one in (curriculum, twin):
                for _ in range(50):
                    one.report(one.draw().ticket, 0.0)
            tables = [
                one.tracker.snapshot()[["tries", "seen", "retry"]] for one in (curriculum, twin)
            ]
    assert tables[0]["tries"].max() > 1.0
    assert np.array_equal(*tables)


def test_every_task_has_parameters():
    config = FrontierConfig(parameters={0: 1.0, 2: 2.0}, update_every=1, **LOCAL)
    with (
        Curriculum(3, config) as curriculum,
        pytest.raises(ValueError, match=r"1 tasks have no parameters, task 1 for one"),
    ):
        curriculum.draw()
    with pytest.raises(ValueError, match=r"the lengths \[1, 2\]"):
        FrontierConfig(parameters=[[1.0], [1.0, 2.0]])
    with pytest.raises(ValueError, match="neighbours"):
        FrontierConfig(parameters=[1.0], neighbours=0)


def test_an_algorithm_with_columns_is_no_part_of_a_mixture():
    with pytest.raises(ValueError, match="has the columns"):
        MixtureConfig(parts=[(0.5, FrontierConfig(parameters=[1.0, 2.0]))])


def test_how_often_neighbourhoods_are_looked_at():
    assert FrontierConfig(parameters=range(1000)).update_every == 50
    assert FrontierConfig(parameters=range(3)).update_every == 10
    assert FrontierConfig(parameters=range(3), update_every=4).update_every == 4


def test_columns_of_tasks_that_are_gone_are_not_missed():
    config = FrontierConfig(parameters=range(3), **LOCAL)
    with Curriculum(3, config) as curriculum:
        session = curriculum.tracker.backend.session
        session.remove(1)
        assert session.set_columns("retry", np.arange(3), np.ones(3)).tolist() == [
            True,
            False,
            True,
        ]
        with pytest.raises(UnknownTaskError):
            session.set_column(1, "retry", 1.0)
        with pytest.raises(ValueError, match='no column "other"'):
            session.set_columns("other", np.arange(1), np.ones(1))
        with pytest.raises(ValueError, match="not a finite number"):
            session.set_columns("retry", np.arange(2), np.array([1.0, np.nan]))


def test_without_scipy_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['scipy'] = None\n"
        "import curricle\n"
        "try: curricle.FrontierConfig(parameters=[1.0])\n"
        "except ModuleNotFoundError as error: print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'curricle[frontier]'" in run.stdout
