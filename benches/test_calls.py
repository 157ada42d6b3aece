"""Cost of the calls that a worker or a learner makes, from Python: ``pytest benches/``.

Figures of one run are to be compared with each other (``--benchmark-group-by=group``); nothing
here fails on a wall-clock time. With ``--benchmark-min-time=0.001`` no first call, which may be
slow, decides how many calls are timed together. Under ``--benchmark-json``, the time of a batched
call is to be divided by the ``tasks_a_call`` of its ``extra_info``.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from benches.idle_env import Idle
from curricle import Curriculum, CurriculumEnv, NoiseAwareConfig, Rules, Session

SIZES = [1_000, 1_000_000]
LABELS = 32
BATCH = 1024
# Ids for single calls: with so many of a million, a record is no longer near when it comes again.
RANDOM = 100_000
SCORES = np.linspace(0.0, 1.0, BATCH)
Call = Callable[..., Any]


def next_id_of(size: int) -> Callable[[], int]:
    """Gives random ids, again and again the same ones; a call of it costs some 30 ns."""
    return itertools.cycle(np.random.default_rng(0).integers(0, size, RANDOM).tolist()).__next__


def next_batch_of(size: int) -> Callable[[], np.ndarray]:
    """The same in batches of ``BATCH``, int64."""
    ids = np.random.default_rng(0).integers(0, size, (RANDOM // BATCH, BATCH))
    return itertools.cycle(ids).__next__


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size} tasks")
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    size = request.param
    # In shared memory, as a trainer's.
    name = f"curricle-bench-{os.getpid()}"
    session = Session(size, Rules(floor=0.1, score_range=(0.0, 1.0)), name=name)
    ids = np.arange(size)
    session.create_many(ids, [f"label {i % LABELS}" for i in range(size)])
    rng = np.random.default_rng(1)
    for _ in range(3):
        session.update_many(ids, rng.random(size))
    yield session
    session.close()


@pytest.mark.benchmark(group="session, one task")
@pytest.mark.parametrize("call", ["closed", "index", "field", "read", "update"])
def test_session_one(benchmark: Any, session: Session, call: str) -> None:
    calls: dict[str, tuple[Any, ...]] = {
        # A property that reads one flag: what any call of the binding costs at least.
        "closed": (attrgetter("closed"), session),
        "index": (session.index, 5),
        "field": (session.field, 5, "lp_score"),
        "read": (session.read, 5),
        "update": (session.update, 5, 0.5),
    }
    benchmark(*calls[call])


@pytest.mark.benchmark(group="session, one task at random")
@pytest.mark.parametrize("call", ["field", "read", "update", "draw", "draw and report"])
def test_session_random(benchmark: Any, session: Session, call: str) -> None:
    next_id = next_id_of(session.capacity)
    calls: dict[str, Call] = {
        "field": lambda: session.field(next_id(), "lp_score"),
        "read": lambda: session.read(next_id()),
        "update": lambda: session.update(next_id(), 0.5),
        "draw": session.draw,
        "draw and report": lambda: session.report(session.draw(), 0.5),
    }
    benchmark(calls[call])


@pytest.mark.benchmark(group="session, 1,024 tasks at once")
@pytest.mark.parametrize(
    "call", ["update_many", "draw_many", "draw_many and report_many", "report_and_draw"]
)
def test_session_batch(benchmark: Any, session: Session, call: str) -> None:
    next_batch = next_batch_of(session.capacity)
    open_tickets = [session.draw_many(BATCH)]

    def report_and_draw() -> None:
        open_tickets[0] = session.report_and_draw(open_tickets[0], SCORES, None, BATCH)[1]

    calls: dict[str, Call] = {
        "update_many": lambda: session.update_many(next_batch(), SCORES),
        "draw_many": lambda: session.draw_many(BATCH),
        "draw_many and report_many": lambda: session.report_many(session.draw_many(BATCH), SCORES),
        "report_and_draw": report_and_draw,
    }
    benchmark.extra_info["tasks_a_call"] = BATCH
    benchmark(calls[call])


@pytest.mark.benchmark(group="session, all tasks")
@pytest.mark.parametrize(
    "call", ["probabilities", "choose_eviction", "label_totals", "totals", "snapshot"]
)
def test_session_all(benchmark: Any, session: Session, call: str) -> None:
    # Three scores are enough for a task to be evicted, as in the core's bench: the search ends in
    # a task, and looks at most others no closer than at their progress.
    arguments = (3, 0.4) if call == "choose_eviction" else ()
    benchmark(getattr(session, call), *arguments)


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size} tasks")
def curriculum(request: pytest.FixtureRequest) -> Iterator[Curriculum]:
    config = NoiseAwareConfig(score_range=(0.0, 1.0), max_memory_tasks=request.param)
    curriculum = Curriculum(request.param, config)
    yield curriculum
    curriculum.close()


@pytest.mark.benchmark(group="tracker, one task")
@pytest.mark.parametrize("call", ["update", "update_task_performance", "get_task_stats"])
def test_tracker_one(benchmark: Any, curriculum: Curriculum, call: str) -> None:
    tracker, next_id = curriculum.tracker, next_id_of(curriculum.pool_size)
    calls: dict[str, Call] = {
        "update": lambda: tracker.update(next_id(), 0.5),
        "update_task_performance": lambda: tracker.update_task_performance(next_id(), 0.5),
        "get_task_stats": lambda: tracker.get_task_stats(next_id()),
    }
    benchmark(calls[call])


@pytest.mark.benchmark(group="tracker, 1,024 tasks at once")
@pytest.mark.parametrize("call", ["update_batch", "sample", "sample and report"])
def test_tracker_batch(benchmark: Any, curriculum: Curriculum, call: str) -> None:
    tracker, next_batch = curriculum.tracker, next_batch_of(curriculum.pool_size)
    calls: dict[str, Call] = {
        "update_batch": lambda: tracker.update_batch(next_batch(), SCORES),
        "sample": lambda: tracker.sample(BATCH),
        "sample and report": lambda: tracker.report(tracker.sample(BATCH), SCORES),
    }
    benchmark.extra_info["tasks_a_call"] = BATCH
    benchmark(calls[call])


@pytest.mark.benchmark(group="curriculum, one task")
@pytest.mark.parametrize("call", ["draw", "draw and report"])
def test_curriculum_one(benchmark: Any, curriculum: Curriculum, call: str) -> None:
    calls: dict[str, Call] = {
        "draw": curriculum.draw,
        "draw and report": lambda: curriculum.report(curriculum.draw().ticket, 0.5),
    }
    benchmark(calls[call])


@pytest.mark.benchmark(group="curriculum, 1,024 tasks at once")
@pytest.mark.parametrize("call", ["draw_many", "draw_many and report"])
def test_curriculum_batch(benchmark: Any, curriculum: Curriculum, call: str) -> None:
    def draw_and_report() -> None:
        curriculum.report([task.ticket for task in curriculum.draw_many(BATCH)], SCORES)

    calls: dict[str, Call] = {
        "draw_many": lambda: curriculum.draw_many(BATCH),
        "draw_many and report": draw_and_report,
    }
    benchmark.extra_info["tasks_a_call"] = BATCH
    benchmark(calls[call])


@pytest.fixture
def labelled() -> Iterator[Curriculum]:
    tasks = {f"label {i}": i for i in range(LABELS)}
    with Curriculum(tasks, NoiseAwareConfig(score_range=(0.0, 1.0))) as curriculum:
        yield curriculum


def wrapped(wrapper: str, length: int, curriculum: Curriculum) -> gym.Env[Any, Any]:
    env = Idle(length)
    if wrapper == "gymnasium.Wrapper":
        return gym.Wrapper(env)
    every = 1 if wrapper == "CurriculumEnv, metrics" else None
    return CurriculumEnv(env, curriculum, metrics_every=every)


@pytest.mark.benchmark(group="a step within an episode")
@pytest.mark.parametrize("wrapper", ["gymnasium.Wrapper", "CurriculumEnv"])
def test_step(benchmark: Any, labelled: Curriculum, wrapper: str) -> None:
    env = wrapped(wrapper, 10**9, labelled)
    env.reset()
    benchmark(env.step, 0)


@pytest.mark.benchmark(group="an episode of one step and a reset")
@pytest.mark.parametrize(
    "wrapper", ["gymnasium.Wrapper", "CurriculumEnv", "CurriculumEnv, metrics"]
)
def test_episode(benchmark: Any, labelled: Curriculum, wrapper: str) -> None:
    env = wrapped(wrapper, 1, labelled)
    env.reset()

    def episode() -> None:
        env.step(0)
        env.reset()

    benchmark(episode)
