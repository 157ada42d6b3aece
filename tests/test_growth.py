"""What calls cost at a million tasks beside a thousand, in batches, and in an environment.

Ratios of the fastest rounds of one run, which take turns, with margins that a busy machine keeps
within. A call that loses an order of magnitude, or scans the tasks, does not.
"""

from contextlib import closing

import gymnasium as gym
import numpy as np
import pytest

from benches.idle_env import Idle
from benches.timing import seconds
from curricle import Curriculum, NoiseAwareConfig

SMALL = 1_000
LARGE = 1_000_000
LABELS = 32
BATCH = 1_024
ROUNDS = 9


def cost_over(one, other, times):
    """Cost of a call over that of another, of each in its fastest round."""
    rounds = [(seconds(one, times), seconds(other, times)) for _ in range(ROUNDS)]
    fastest = np.min(rounds, axis=0)
    return fastest[0] / fastest[1]


def scored(tasks):
    """A curriculum whose tasks have a score each; every 32nd has one of 32 labels."""
    config = NoiseAwareConfig(score_range=(0.0, 1.0), max_memory_tasks=tasks)
    curriculum = Curriculum(tasks, config, seed=0)
    for task in range(0, tasks, LABELS):
        curriculum.tracker.set_task_label(task, f"label {task // LABELS % LABELS}")
    curriculum.report(np.arange(tasks), np.resize((0.0, 1.0), tasks))
    return curriculum


@pytest.fixture(scope="module")
def curricula():
    """A large one and a small one."""
    with closing(scored(LARGE)) as large, closing(scored(SMALL)) as small:
        yield large, small


# Few of a million tasks are in the processor's caches: a random one costs 3 to 5 times as much.
@pytest.mark.parametrize(
    ("call", "times", "most"),
    [
        (lambda curriculum, ids: curriculum.draw(), 500, 10),
        (lambda curriculum, ids: curriculum.report(curriculum.draw().ticket, 0.5), 500, 10),
        (lambda curriculum, ids: curriculum.tracker.update(next(ids), 0.5), 500, 20),
        (lambda curriculum, ids: curriculum.tracker.get_task_stats(next(ids)), 500, 10),
        (lambda curriculum, ids: curriculum.label_totals(), 20, 5),
    ],
    ids=["draw", "draw and report", "update", "read", "totals of labels"],
)
def test_a_thousand_times_the_tasks(curricula, call, times, most):
    rng = np.random.default_rng(0)
    calls = []
    for curriculum in curricula:
        # A task comes again rarely, if there are many.
        ids = iter(rng.integers(0, len(curriculum.tracker), ROUNDS * times).tolist())
        calls.append(lambda curriculum=curriculum, ids=ids: call(curriculum, ids))
    assert cost_over(*calls, times) < most


@pytest.mark.parametrize("replace", [True, False], ids=["put back", "distinct"])
def test_a_batch_of_draws_from_a_thousand_times_the_tasks(curricula, replace):
    draws = [
        lambda tracker=curriculum.tracker: tracker.sample(64, replace) for curriculum in curricula
    ]
    # Measured at 3 to 5.
    assert cost_over(*draws, 30) < 20


def test_a_curriculum_adds_little_to_the_draw_and_report_of_its_session(curricula):
    _, small = curricula
    session = small.tracker.backend.session

    def bare():
        session.report(session.draw(), 0.5)

    # Measured at 2.
    assert cost_over(lambda: small.report(small.draw().ticket, 0.5), bare, 500) < 8


def test_an_episode_end_costs_what_a_draw_and_a_report_do(curricula):
    _, small = curricula
    env = small.wrap(Idle(length=1))

    def episode():
        env.reset()
        env.step(0)

    # Measured at 2.5 to 3.
    assert cost_over(episode, lambda: small.report(small.draw().ticket, 0.5), 300) < 10


def test_a_batch_of_updates_costs_less_than_its_tasks_one_by_one(curricula):
    tracker = curricula[1].tracker
    ids = np.random.default_rng(0).integers(0, SMALL, BATCH)
    scores = np.full(BATCH, 0.5)
    listed = ids.tolist()

    def one_by_one():
        for task in listed:
            tracker.update(task, 0.5)

    assert cost_over(lambda: tracker.update_batch(ids, scores), one_by_one, 3) < 1


def test_a_step_within_an_episode_costs_little_more_than_in_a_bare_wrapper(curricula):
    large, _ = curricula
    env, bare = large.wrap(Idle(length=10**9)), gym.Wrapper(Idle(length=10**9))
    env.reset()
    bare.reset()
    # Measured at 1.4 to 1.6.
    assert cost_over(lambda: env.step(0), lambda: bare.step(0), 1_000) < 4
