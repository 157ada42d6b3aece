"""Mixtures: their shares, against each part by itself, and learning progress as a part."""

import secrets

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curricle import (
    AnnealedStagesConfig,
    Curriculum,
    CustomConfig,
    LearnabilityConfig,
    LearningProgressConfig,
    LevelReplayConfig,
    MixtureConfig,
    SequentialStagesConfig,
    TeacherStudentConfig,
    UniformConfig,
    VarianceConfig,
)
from curricle.algorithms.progress_weights import progress_weights
from process_workers import train_odd
from score_histories import after, shares
from session_workers import Worker

LOCAL = {"use_shared_memory": False}
BOUNDED = {"score_range": (0.0, 1.0), "task_tracker_ema_alpha": 0.1}


def played(config, n=12):
    """A curriculum after scores that are the same for every config."""
    rng = np.random.default_rng(0)
    curriculum = Curriculum(n, config, seed=0)
    curriculum.report(rng.integers(0, n - 1, 40 * n), rng.random(40 * n).round(1))
    curriculum.draw()
    return curriculum


PARTS = [
    (0.1, LearnabilityConfig(**LOCAL, **BOUNDED)),
    (0.2, LevelReplayConfig(**LOCAL, **BOUNDED)),
    (0.15, TeacherStudentConfig(**LOCAL, **BOUNDED)),
    (0.05, SequentialStagesConfig(stages=[range(6), range(6, 12)], **LOCAL, **BOUNDED)),
    (0.1, AnnealedStagesConfig(stages=[[0], range(12)], episodes_per_stage=9, **LOCAL, **BOUNDED)),
    (0.1, LearningProgressConfig(rand_task_rate=0.2, **LOCAL, **BOUNDED)),
    (0.1, VarianceConfig(use_baseline_normalization=True, **LOCAL, **BOUNDED)),
]


@pytest.mark.parametrize("parts", [PARTS[:6], PARTS[6:], PARTS[:1], [(1.0, PARTS[1][1])]])
def test_it_is_the_sum_of_its_parts(parts):
    """Each part's own curriculum, of the core's weights where they are, is the oracle."""
    mixture = MixtureConfig(parts=parts, **LOCAL, **BOUNDED)
    floor = 1.0 - sum(share for share, _ in parts)
    expected = np.full(12, floor / 12)
    for share, part in parts:
        expected += share * shares(played(part))
    assert shares(played(mixture)) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert mixture.floor == pytest.approx(floor)


FRACTIONS = st.floats(0.0, 1.0)
HISTORIES = st.lists(st.lists(FRACTIONS, max_size=25), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(
    histories=HISTORIES,
    fields=st.fixed_dictionaries(
        {
            "use_bidirectional": st.booleans(),
            "noise_deviations": st.sampled_from([0.0, 1.5]),
            "early_progress_amplification": st.floats(0.05, 0.95),
            "min_samples_for_lp": st.integers(0, 20),
            "exploration_bonus": FRACTIONS,
            "exploration_blend_factor": FRACTIONS,
            "progress_smoothing": st.sampled_from([0.0, 0.01]),
            "performance_bonus_weight": FRACTIONS,
            "ema_timescale": st.floats(0.01, 0.9),
        }
    ),
    low=st.floats(-5.0, 5.0),
    span=st.floats(0.1, 100.0),
    normalises=st.booleans(),
)
def test_learning_progress_is_weighed_as_in_the_core(histories, fields, low, span, normalises):
    baseline = {"use_baseline_normalization": normalises}
    config = LearningProgressConfig(score_range=(low, low + span), **LOCAL, **fields, **baseline)
    table = after(config, [[low + span * score for score in scores] for scores in histories])
    # The core keeps weights in units of 2^-30.
    assert progress_weights(config, table) == pytest.approx(table["weight"], rel=1e-6, abs=1e-6)


def test_one_session_for_two_processes():
    parts = [(0.5, LevelReplayConfig()), (0.3, LearnabilityConfig())]
    session = f"test-{secrets.token_hex(8)}"
    curriculum = Curriculum(8, MixtureConfig(parts=parts), session=session, seed=0)
    workers = [Worker(), Worker(method="spawn")]
    for worker in workers:
        worker.tell(train_odd, curriculum, 300)
    for worker in workers:
        assert worker.answer() == set(range(8))
    curriculum.algorithm.refresh()
    here = shares(curriculum)
    there = [worker.ask(shares, curriculum) for worker in workers]
    assert np.array_equal(there, [here, here])
    assert curriculum.tracker.totals()["completions"] == 600
    assert [worker.end() for worker in workers] == [0, 0]
    curriculum.close()


def test_it_is_computed_as_often_as_its_parts():
    replay, learnability = LevelReplayConfig(), LearnabilityConfig(update_every=30)
    assert MixtureConfig(parts=[(0.5, replay), (0.5, learnability)]).update_every is None
    assert MixtureConfig(parts=[(0.5, learnability)]).update_every == 30
    assert MixtureConfig(parts=[(0.5, replay)], update_every=4).update_every == 4


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"parts": []}, "at least 1"),
        ({"parts": [(0.6, PARTS[0][1]), (0.5, PARTS[1][1])]}, "add up to 1.1, beyond 1"),
        ({"parts": PARTS[:1], "floor": 0.5}, "floor=0.5, but the shares of parts leave 0.9"),
        ({"parts": [(0.0, PARTS[0][1])]}, "greater than 0"),
        ({"parts": [(0.5, UniformConfig())]}, "is the floor"),
        (
            {"parts": [(0.5, CustomConfig())]},
            r"CustomConfig, has no weights.*take a LearningProgressConfig",
        ),
        ({"parts": [(0.5, LearningProgressConfig())]}, "needs score_range"),
        (
            {"parts": [(0.5, LearnabilityConfig(task_tracker_ema_alpha=0.3))]},
            r"parts\[0\], a LearnabilityConfig, has task_tracker_ema_alpha=0.3, where 0.1 holds",
        ),
        ({"parts": PARTS[5:]}, r"parts\[1\], a VarianceConfig, has baseline=None"),
    ],
)
def test_parts_that_do_not_mix(fields, said):
    bounds = {} if "score_range" in said or "0.3" in said else BOUNDED
    with pytest.raises(ValueError, match=said):
        MixtureConfig(**(bounds | fields))
