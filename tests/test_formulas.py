"""Update formulas and draws against an independent oracle in NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from curricle._core import Rules, TaskData
from curricle.backends import LocalMemoryBackend
from curricle.config import LearningProgressConfig
from curricle.curriculum import Curriculum

UNBOUNDED = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)
BOUNDED = st.lists(st.floats(-2.0, 3.0), min_size=1, max_size=60)
STEP = st.floats(0.005, 1.0)


def ema_weights(n, step):
    """Weights of n scores in their EMA, the first score being its start; shape (n,)."""
    weights = step * (1.0 - step) ** np.arange(n - 1, -1, -1.0)
    weights[0] = (1.0 - step) ** (n - 1)
    return weights


def ema(values, step):
    return float(ema_weights(len(values), step) @ np.asarray(values, dtype=float))


def reweighted(p, t):
    """R(p) as odds: R multiplies the odds p / (1 - p) by (1 - t) / t."""
    odds = p / (1.0 - p) * (1.0 - t) / t if p < 1.0 else np.inf
    return 1.0 if odds == np.inf else odds / (1.0 + odds)


def advanced(rules, scores, threshold=0.5, span=None):
    data = TaskData(1, success_threshold=threshold)
    for score in scores:
        data = rules.advance(data, score, 2, span=span)
    return data


def close(value, rel=1e-9, scale=1.0):
    return pytest.approx(value, rel=rel, abs=1e-9 * max(scale, 1.0))


@given(scores=UNBOUNDED, alpha=STEP, threshold=st.floats(-1e3, 1e3))
def test_statistics_of_the_raw_score(scores, alpha, threshold):
    data = advanced(Rules(ema_alpha=alpha), scores, threshold, span=1.0)
    size = np.abs(scores).max()
    assert data.reward_ema == close(ema(scores, alpha), scale=size)
    assert data.ema_squared == close(ema(np.square(scores), alpha), scale=size**2)
    assert data.success_rate_ema == close(ema(np.array(scores) >= threshold, alpha))
    assert data.total_score == close(np.sum(scores), scale=size * len(scores))
    assert data.mean_score == close(np.mean(scores), scale=size)
    assert (data.completion_count, data.last_score) == (len(scores), scores[-1])
    assert data.env_steps == 2 * len(scores)


@given(scores=UNBOUNDED, a=STEP, factor=st.floats(0.01, 1.0), span=st.floats(1.0, 1e7))
def test_progress_without_bounds_is_in_units_of_the_span(scores, a, factor, span):
    rules = Rules(ema_timescale=a, slow_timescale_factor=factor)
    data = advanced(rules, scores, span=span)
    size = np.abs(scores).max()
    fast, slow = ema(scores, a), ema(scores, a * factor)
    assert data.p_fast == close(fast, scale=size)
    assert data.p_slow == close(slow, scale=size)
    assert data.p_true == close(fast, scale=size)
    assert data.lp_score == close(abs(fast - slow) / span, scale=size / span)


@given(scores=BOUNDED, a=STEP, k=st.integers(1, 8), t=st.floats(0.05, 0.95))
def test_progress_with_range_baseline_and_reweighting(scores, a, k, t):
    rules = Rules(
        ema_timescale=a,
        score_range=(-2.0, 3.0),
        baseline="mean",
        baseline_samples=k,
        reweighting=t,
    )
    data = advanced(rules, scores)
    z = (np.array(scores) + 2.0) / 5.0
    # The baseline grows with the first k scores: each is held against the mean up to itself.
    means = np.array([min(z[: min(i + 1, k)].mean(), 0.75) for i in range(len(z))])
    x = np.maximum(z - means, 0.0) / (1.0 - means)
    fast, slow = ema(x, a), ema(x, 0.2 * a)
    assert data.random_baseline == close(means[-1])
    assert data.p_fast == close(fast)
    assert data.p_slow == close(slow)
    assert data.p_true == close(ema(scores, a))
    expected = abs(reweighted(fast, t) - reweighted(slow, t))
    assert data.lp_score == pytest.approx(expected, rel=1e-6, abs=1e-7)


@given(scores=BOUNDED, a=st.floats(0.01, 0.9), deviations=st.floats(0.0, 3.0))
def test_noise_is_taken_off(scores, a, deviations):
    rules = Rules(
        ema_timescale=a, score_range=(-2.0, 3.0), noise_deviations=deviations, ema_alpha=0.05
    )
    data = advanced(rules, scores)
    z = (np.array(scores) + 2.0) / 5.0
    n = len(z)
    difference = ema_weights(n, a) - ema_weights(n, 0.2 * a)
    variance = max(ema(np.square(scores), 0.05) - ema(scores, 0.05) ** 2, 0.0) / 25.0
    noise = np.sqrt(variance * np.sum(difference**2))
    raw = abs(difference @ z)
    expected = max(raw - deviations * noise, raw / 256 if deviations else raw)
    assert data.lp_score == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(scores=UNBOUNDED, alpha=STEP)
def test_variance_as_progress(scores, alpha):
    data = advanced(Rules(progress="variance", ema_alpha=alpha), scores, span=1e6)
    variance = ema(np.square(scores), alpha) - ema(scores, alpha) ** 2
    assert data.lp_score == pytest.approx(max(variance, 0.0) / 1e12, rel=1e-6, abs=1e-9)


def mean_then_ema(values, step):
    """The mean of as many values as the EMA looks at, and the EMA of the rest from there."""
    count = next((k - 1 for k in range(1, len(values) + 1) if 1.0 / k < step), len(values))
    return ema([np.mean(values[:count]), *values[count:]], step)


def evidence_of(scores, alpha):
    """Page's cumulative sum as the record keeps it, from the whole history of scores in [0, 1]."""
    evidence = 0.0
    for n in range(1, len(scores)):
        past = scores[:n]
        mean = min(max(mean_then_ema(past, alpha), 0.0), 1.0)
        variance = max(mean_then_ema(np.square(past), alpha) - mean**2, 0.0)
        counted = min(n, 1.0 / alpha)
        rate = (mean * counted + 0.15) / (counted + 0.3)
        higher = 0.9 * rate + 0.1
        x = min(max(scores[n], 0.0), 1.0)
        ratio = x * np.log(higher / rate) + (1.0 - x) * np.log((1.0 - higher) / (1.0 - rate))
        flips = rate * (1.0 - rate)
        dispersion = (variance * counted / flips + 1.0) / (counted + 1.0)
        evidence += -0.03 * evidence + ratio / min(max(dispersion, 0.5), 1.0)
        evidence = min(max(evidence, 0.0), 30.0)
    return evidence


@given(
    scores=st.lists(st.sampled_from([0.0, 1.0]) | st.floats(0.0, 1.0), min_size=1, max_size=60),
    alpha=st.floats(0.02, 0.5),
    ranged=st.booleans(),
)
def test_noise_aware_progress(scores, alpha, ranged):
    lo, hi = (-20.0, 30.0)
    rules = Rules(
        progress="noise-aware",
        ema_alpha=alpha,
        ema_timescale=0.3,
        noise_deviations=2.0,
        score_range=(lo, hi) if ranged else None,
    )
    data = TaskData(1)
    for x in scores:
        data = rules.advance(data, lo + (hi - lo) * x, span=hi - lo, lowest=lo)
    evidence = evidence_of(np.array(scores), alpha)
    assert data.evidence == pytest.approx(evidence, rel=1e-5, abs=1e-5)
    by_evidence = min(1e-4 * data.evidence + 0.1 * max(data.evidence - 1.5, 0.0) ** 2, 1.0)
    mean = mean_then_ema(scores, alpha)
    variance = max(mean_then_ema(np.square(scores), alpha) - mean**2, 0.0)
    flips = mean * (1.0 - mean)
    n = len(scores)
    difference = ema_weights(n, 0.3) - ema_weights(n, 0.06)
    noise = np.sqrt(variance * np.sum(difference**2))
    raw = abs(difference @ np.array(scores))
    by_difference = 0.0
    if flips > 1e-9 and noise > 1e-6 and raw > 1e-9:
        by_difference = (1.0 - min(variance / flips, 1.0)) * min(max(raw / noise - 2.0, 0.0), 1.0)
        assert data.lp_score == pytest.approx(max(by_evidence, by_difference), abs=1e-5)
    assert 0.0 <= data.lp_score <= 1.0


@given(scores=st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=60))
def test_weights_of_noise_aware_progress(scores):
    rules = Rules(progress="noise-aware", ema_alpha=0.05, exploration=0.1, min_samples=3)
    data = TaskData(1)
    assert rules.weigh(data) == 0.1
    for x in scores:
        data = rules.advance(data, x, span=1.0)
    share = min(len(scores) / 3.0, 1.0)
    unsolved = 1e-6 + 0.002 * (1.0 - data.success_rate_ema) ** 4
    blend = 0.5 if share < 1.0 else 1.0
    assert data.weight == close(unsolved + 0.1 * (1.0 - share) + blend * share * data.lp_score)


@given(scores=BOUNDED, least=st.integers(0, 20), exploration=st.floats(0.0, 1.0))
def test_weights(scores, least, exploration):
    rules = Rules(
        score_range=(-2.0, 3.0),
        min_samples=least,
        exploration=exploration,
        exploration_blend=0.25,
        progress_floor=0.01,
        performance_bonus=0.5,
    )
    data = advanced(rules, scores)
    raw = abs(data.p_fast - data.p_slow) + 0.5 * (data.p_true + 2.0) / 5.0
    progress = max(raw, 0.01)
    assert data.lp_score == close(progress)
    share = min(len(scores) / least, 1.0) if least else 1.0
    blend = exploration * (1.0 - share) + 0.25 * share * progress
    assert data.weight == close(progress if share == 1.0 else blend)
    assert rules.weigh(TaskData(1)) == exploration


def test_the_session_follows_the_same_formulas():
    rng = np.random.default_rng(0)
    rules = LearningProgressConfig().rules()
    backend = LocalMemoryBackend(50, rules=rules)
    ids, scores = rng.integers(0, 50, 5000), rng.normal(0.0, 100.0, 5000)
    backend.update_scores(ids, scores)
    table = backend.snapshot()
    for row in table:
        own = scores[ids == row["task_id"]]
        assert row["reward_ema"] == pytest.approx(ema(own, 0.02), rel=1e-9)
        assert row["p_fast"] == pytest.approx(ema(own, 0.1), rel=1e-9)
        assert row["p_slow"] == pytest.approx(ema(own, 0.02), rel=1e-9)
        assert row["completion_count"] == len(own)
    totals = backend.totals()
    assert totals["completions"] == 5000
    assert totals["score_sum"] == pytest.approx(scores.sum(), rel=1e-9)
    assert totals["lp_mean"] == pytest.approx(table["lp_score"].mean(), rel=1e-6)
    assert totals["lp_std"] == pytest.approx(table["lp_score"].std(), rel=1e-5)
    assert (totals["score_min"], totals["score_max"]) == (scores.min(), scores.max())


def expected_shares(table, law, floor, amplification=2.0):
    if law == "proportional":
        weights = table["weight"]
    elif law == "sigmoid":
        lp = table["lp_score"]
        weights = 1.0 / (1.0 + np.exp(-amplification * (lp - lp.mean()) / lp.std()))
    else:
        weights = np.ones(len(table))
    return (1.0 - floor) * weights / weights.sum() + floor / len(table)


@pytest.mark.parametrize("law", ["proportional", "sigmoid", "uniform"])
@pytest.mark.parametrize("floor", [0.0, 0.2])
@pytest.mark.parametrize("n", [7, 300])
def test_draws_follow_probabilities(law, floor, n):
    rules = Rules(law=law, floor=floor, amplification=2.0, min_samples=3)
    backend = LocalMemoryBackend(512, rules=rules)
    rng = np.random.default_rng(n)
    backend.create_many(np.arange(n))
    backend.update_scores(rng.integers(0, n, 6 * n), rng.normal(size=6 * n))
    for task_id in range(0, n, 5):
        backend.remove(task_id)
    table = backend.snapshot()
    ids, shares = backend.probabilities()
    assert ids.tolist() == table["task_id"].tolist()
    assert shares == pytest.approx(expected_shares(table, law, floor), rel=1e-4, abs=1e-9)
    draws = 100_000
    drawn = np.array([ticket.task_id for ticket in backend.draw_many(draws)])
    counts = np.array([np.count_nonzero(drawn == task_id) for task_id in ids])
    assert counts.sum() == draws
    likely = shares * draws >= 5.0
    rest = ~likely
    observed = np.append(counts[likely], counts[rest].sum())
    expected = np.append(shares[likely] * draws, shares[rest].sum() * draws)
    observed, expected = observed[expected > 0.0], expected[expected > 0.0]
    statistic = np.sum((observed - expected) ** 2 / expected)
    assert stats.chi2.sf(statistic, len(expected) - 1) > 1e-4


def learner_share(others, draws=13_000, last=2_000):
    """Share of one learner among 1,000 tasks, once each of them had some scores."""
    rng = np.random.default_rng(1)
    curriculum = Curriculum(1000, LearningProgressConfig(use_shared_memory=False), seed=1)
    practised = hits = 0
    for step in range(draws):
        task = curriculum.draw()
        if task.task_id == 500:
            practised += 1
            hits += step >= draws - last
            score = min(practised / 5_000, 1.0)
        else:
            score = others(task.task_id, rng)
        curriculum.report(task.ticket, score)
    return hits / last


def test_one_learner_among_tasks_without_progress():
    # Half of the others cannot be solved, half are mastered.
    assert learner_share(lambda task_id, rng: float(task_id % 2)) >= 0.3


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_one_learner_with_scores_of_0_and_1(seed):
    # Noise may explain its first successes, and yet it is drawn on.
    rng = np.random.default_rng(seed)
    config = LearningProgressConfig(use_shared_memory=False, score_range=(0.0, 1.0))
    curriculum = Curriculum(1000, config, seed=seed)
    constant = np.arange(1000) % 2.0
    constant[500] = 0.0
    for _ in range(50):
        curriculum.report(np.arange(1000), constant)
    practised = hits = draws = 0
    succeeded = False
    while practised < 100:
        task = curriculum.draw()
        score = constant[task.task_id]
        if task.task_id == 500:
            practised += 1
            hits += succeeded
            score = float(rng.random() < practised / 100)
            succeeded = succeeded or score > 0.0
        draws += succeeded
        curriculum.report(task.ticket, score)
    assert hits / draws >= 0.3


@pytest.mark.parametrize(("deviations", "least", "most"), [(1.5, 0.3, 1.0), (0.0, 0.0, 0.1)])
def test_one_learner_among_noisy_tasks(deviations, least, most):
    # Without taking the noise off, 999 tasks of pure noise take nearly all draws.
    rng = np.random.default_rng(2)
    config = LearningProgressConfig(use_shared_memory=False, noise_deviations=deviations)
    curriculum = Curriculum(1000, config)
    for practised in range(50):
        scores = 0.5 + 0.03 * rng.standard_normal(1000)
        scores[500] = practised / 50
        curriculum.report(np.arange(1000), scores)
    assert least <= curriculum.explain(500)["probability"] <= most


def test_exploration_does_not_depend_on_the_number_of_tasks():
    for n in (10, 10_000):
        backend = LocalMemoryBackend(n, rules=Rules(min_samples=2))
        backend.create_many(np.arange(n))
        backend.update_scores(np.array([0, 0]), np.array([0.0, 1.0]))
        # LP 0.08 of the one with scores, exploration 0.1 of each of the others.
        shares = backend.probabilities()[1]
        assert shares[0] / shares[1] == pytest.approx(0.8, rel=1e-4)
