"""Prompts as tasks: draws, observed rewards, and states to go on from."""

import numpy as np
import pytest

from curricle import Curriculum, LearnabilityConfig, NoiseAwareConfig, UniformConfig
from curricle.integrations.prompts import PromptLearnabilityConfig, Prompts

HERE = {"use_shared_memory": False}


def made(size=100, config=None, seed=0):
    config = config or NoiseAwareConfig(score_range=(0.0, 1.0), **HERE)
    return Prompts(Curriculum(size, config, seed=seed))


def stats(prompts, prompt_id):
    return prompts.curriculum.tracker.get_task_stats(prompt_id)


def completions(prompts):
    return prompts.curriculum.tracker.totals()["completions"]


def test_each_row_of_rewards_is_one_score():
    prompts = made()
    ids = prompts.draw(3)
    prompts.observe(ids, [[0.0, 1.0], [1.0, 1.0], [0.0, 0.5]])
    assert completions(prompts) == 3
    assert [stats(prompts, i)["mean_score"] for i in ids.tolist()] == [0.5, 1.0, 0.25]
    assert prompts.waiting == []


def test_rewards_of_a_prompt_are_one_score_in_whatever_order():
    prompts = made()
    a, b = prompts.draw(2).tolist()
    prompts.observe([a, b, b, a], [1.0, 0.0, 0.5, 0.5])
    assert completions(prompts) == 2
    assert stats(prompts, a)["mean_score"] == 0.75
    assert stats(prompts, b)["mean_score"] == 0.25


def test_nan_is_no_reward():
    prompts = made()
    a, b = prompts.draw(2).tolist()
    prompts.observe([a, b], [[np.nan, 1.0], [np.nan, np.nan]])
    assert stats(prompts, a)["mean_score"] == 1.0
    assert completions(prompts) == 1
    assert prompts.waiting == []


@pytest.mark.parametrize("rewards", [[[[0.0]]], [0.0, 1.0], 0.5])
def test_shapes_that_do_not_belong_together_are_refused(rewards):
    prompts = made()
    ids = prompts.draw(1)
    with pytest.raises(ValueError, match=r"give \(1,\) or \(1, k\)"):
        prompts.observe(ids, rewards)
    assert prompts.waiting == ids.tolist()


def test_a_draw_counts_once():
    prompts = made()
    a, b = prompts.draw(2).tolist()
    prompts.observe([a], [1.0])
    with pytest.raises(ValueError, match=f"prompt {a} .* observed before"):
        prompts.observe([b, a], [1.0, 1.0])
    assert completions(prompts) == 1, "nothing of a batch that is refused is written"
    prompts.observe([b], [1.0])
    assert completions(prompts) == 2


def test_a_prompt_that_was_drawn_twice_can_be_observed_twice():
    prompts = made(1)
    first = prompts.draw(1)
    second = prompts.draw(1)
    prompts.observe(second, [1.0])
    prompts.observe(first, [0.0])
    assert completions(prompts) == 2
    assert prompts.draw(2, replace=True).tolist() == [0, 0]
    prompts.observe([0, 0], [[1.0], [0.0]])
    assert completions(prompts) == 4


def test_after_a_score_out_of_range_the_draw_still_waits():
    prompts = made()
    ids = prompts.draw(2)
    with pytest.raises(ValueError, match="score"):
        prompts.observe(ids, [1.0, 7.0])
    assert completions(prompts) == 0
    prompts.observe(ids, [1.0, 0.7])
    assert completions(prompts) == 2


def test_draws_that_are_never_observed_do_not_pile_up():
    prompts = made(1000, UniformConfig(**HERE))
    for _ in range(150):
        prompts.draw(512, replace=True)
    last = prompts.draw(512)
    assert len(prompts.waiting) <= 65_536
    prompts.observe(last, np.ones(512))
    assert completions(prompts) == 512


def test_no_prompt_comes_twice_however_uneven_the_draws():
    prompts = made(64, PromptLearnabilityConfig(rand_task_rate=0.0, **HERE))
    # All but two prompts are hardly ever drawn.
    prompts.draw(64)
    prompts.observe(np.arange(64), np.r_[0.5, 0.5, np.full(62, 1e-9)])
    for n in (1, 5, 32, 33, 64):
        drawn = prompts.draw(n)
        assert len(set(drawn.tolist())) == n
    with pytest.raises(ValueError, match="only 64"):
        prompts.draw(65)


def test_learnability_is_p_times_one_minus_p():
    prompts = made(5, PromptLearnabilityConfig(rand_task_rate=0.0, **HERE))
    ids = prompts.draw(5)
    order = np.argsort(ids)
    rewards = np.array([[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 1, 1], [1, 1, 1, 1]])
    prompts.observe(ids[order], rewards)
    known, shares = prompts.curriculum.probabilities()
    p = rewards.mean(axis=1)
    np.testing.assert_allclose(shares[np.argsort(known)], p * (1 - p) / np.sum(p * (1 - p)))


def test_learnability_follows_the_latest_rewards_and_stays_when_frozen():
    prompts = made(2, PromptLearnabilityConfig(rand_task_rate=0.0, **HERE))
    for rewards in ([[0, 1, 1, 1], [0, 1, 0, 1]], [[0, 0, 1, 1], [0, 1, 0, 1]]):
        prompts.draw(2)
        prompts.observe([0, 1], rewards)
    weights = [prompts.curriculum.tracker.get_task_stats(i)["lp_score"] for i in (0, 1)]
    assert weights == pytest.approx([0.625 * 0.375, 0.25])
    prompts.curriculum.freeze()
    prompts.draw(2)
    prompts.observe([0, 1], [[0, 0], [0, 0]])
    assert [stats(prompts, i)["lp_score"] for i in (0, 1)] == weights


def test_an_unseen_prompt_counts_as_one_that_is_solved_half_the_time():
    prompts = made(2, PromptLearnabilityConfig(**HERE))
    (drawn,) = prompts.draw(1).tolist()
    prompts.observe([drawn], [[0.0, 1.0]])
    np.testing.assert_allclose(prompts.curriculum.probabilities()[1], 0.5)


def test_an_algorithm_of_ones_own_is_asked_for_weights():
    prompts = made(9, LearnabilityConfig(buffer_share=None, floor=0.0, update_every=1, **HERE))
    for _ in range(2):
        ids = prompts.draw(2)
        prompts.observe(ids, (ids == 3)[:, None] * [1.0, 1.0])
    prompts.draw(1)
    ids, shares = prompts.curriculum.probabilities()
    scored = [i for i in range(9) if stats(prompts, i)["completion_count"]]
    assert shares[np.isin(ids, scored)].max() == 0.0


@pytest.mark.parametrize(
    "config",
    [NoiseAwareConfig(score_range=(0.0, 1.0), **HERE), PromptLearnabilityConfig(**HERE)],
)
@pytest.mark.parametrize("replace", [False, True])
def test_a_state_goes_on_with_the_same_draws(config, replace):
    rng = np.random.default_rng(0)
    before = made(50, config, seed=3)
    for _ in range(5):
        ids = before.draw(8, replace=replace)
        before.observe(np.unique(ids), rng.random((len(np.unique(ids)), 4)))
    before.draw(8, replace=replace)  # waits for its rewards while the state is taken
    after = made(50, config, seed=99)
    after.load_state_dict(before.state_dict())
    assert after.waiting == before.waiting
    for _ in range(5):
        ids = np.array(before.waiting[-8:])
        rewards = rng.random((8, 4))
        for prompts in (before, after):
            prompts.observe(ids, rewards)
        drawn = before.draw(8, replace=replace)
        assert after.draw(8, replace=replace).tolist() == drawn.tolist()
    assert completions(after) == completions(before)
    for prompt_id in range(50):
        assert stats(after, prompt_id)["lp_score"] == stats(before, prompt_id)["lp_score"]
    with pytest.raises(ValueError, match="observe each draw once"):
        after.observe([min(set(range(50)) - set(after.waiting))], [1.0])


def test_a_batch_from_before_and_after_a_load_is_refused_as_a_whole():
    before = made(50)
    old = before.draw(4)
    prompts = made(50, seed=1)
    prompts.load_state_dict(before.state_dict())
    new = prompts.draw(50)
    ids = [*new[~np.isin(new, old)][:4].tolist(), *old.tolist()]
    # Those that were drawn before and again are observed as of the later draw, so observe twice.
    prompts.observe(old, np.ones(4))
    with pytest.raises(ValueError, match="score"):
        prompts.observe(ids, [1.0] * 7 + [7.0])
    assert completions(prompts) == 4
    prompts.observe(ids, [1.0] * 8)
    assert completions(prompts) == 12


@pytest.mark.parametrize("reward", [-5.0, 1.5, np.inf, -np.inf])
def test_every_reward_must_be_within_the_range_and_not_their_mean_alone(reward):
    prompts = made(config=PromptLearnabilityConfig(**HERE))
    first, second = prompts.draw(2).tolist()
    rewards = [[0.0, 1.0], [reward, 1.0 - reward]]
    message = rf"prompt {second} has a reward of -?\S+; .* score_range=\(0.0, 1.0\) of the config"
    with pytest.raises(ValueError, match=message):
        prompts.observe([first, second], rewards)
    with pytest.raises(ValueError, match=message):
        prompts.observe([first, first, second, second], np.ravel(rewards))
    assert completions(prompts) == 0
    assert prompts.waiting == [first, second]


def test_without_a_range_a_reward_must_be_finite():
    prompts = made(config=NoiseAwareConfig(**HERE))
    (drawn,) = prompts.draw(1).tolist()
    with pytest.raises(ValueError, match=f"prompt {drawn} has a reward of -inf; it must be finite"):
        prompts.observe([drawn], [[np.inf, -np.inf]])
    prompts.observe([drawn], [[-7.0, None]])
    assert stats(prompts, drawn)["mean_score"] == -7.0


@pytest.mark.parametrize("rewards", [["good"], [[0.0, 1.0], [0.0]]])
def test_rewards_that_are_no_numbers_are_refused_in_our_words(rewards):
    prompts = made()
    with pytest.raises(TypeError, match=r"rewards are .*; give numbers of shape"):
        prompts.observe(prompts.draw(len(rewards)), rewards)


@pytest.mark.parametrize(
    "fields", [{"exploration_bonus": -1.0}, {"exploration_bonus": 4096.0}, {"rand_task_rate": 2.0}]
)
def test_a_field_out_of_its_range_is_refused_by_its_name(fields):
    with pytest.raises(ValueError, match=f"(?s){next(iter(fields))}.*Input should be"):
        PromptLearnabilityConfig(**fields)
