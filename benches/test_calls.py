"""Cost of the calls that a worker makes, from Python: ``pytest benches/``.

Figures of one run are to be compared with each other (``--benchmark-group-by=group``); nothing
here fails on a wall-clock time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from curricle import Curriculum, LearningProgressConfig, Rules, Session

SIZES = [1_000, 1_000_000]


class Idle(gym.Env[np.ndarray, int]):
    """An environment that costs next to nothing; an episode takes ``length`` steps."""

    observation_space = gym.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, length: int) -> None:
        self.length = length
        self.observation = np.zeros(1, np.float32)

    def set_task(self, config: Any) -> None:
        self.task = config

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        self.left = self.length
        return self.observation, {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.left -= 1
        return self.observation, 1.0, self.left <= 0, False, {}


@pytest.fixture(params=SIZES, ids=lambda size: f"{size} tasks")
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    session = Session(request.param, Rules(floor=0.1))
    session.create_many(np.arange(request.param), [f"label {i % 32}" for i in range(request.param)])
    yield session
    session.close()


@pytest.mark.benchmark(group="one task")
@pytest.mark.parametrize("call", ["closed", "update", "read", "field", "draw"])
def test_one_task(benchmark: Any, session: Session, call: str) -> None:
    calls: dict[str, Any] = {
        # A property that reads one flag: what any call of the binding costs at least.
        "closed": lambda: session.closed,
        "update": lambda: session.update(5, 0.5),
        "read": lambda: session.read(5),
        "field": lambda: session.field(5, "lp_score"),
        "draw": session.draw,
    }
    benchmark(calls[call])


@pytest.mark.benchmark(group="1,024 tasks at once")
def test_update_many(benchmark: Any, session: Session) -> None:
    ids = np.random.default_rng(0).integers(0, session.capacity, 1024)
    benchmark(session.update_many, ids, np.linspace(0.0, 1.0, 1024))


@pytest.mark.benchmark(group="all tasks")
@pytest.mark.parametrize("call", ["probabilities", "choose_eviction", "label_totals"])
def test_all_tasks(benchmark: Any, session: Session, call: str) -> None:
    benchmark(getattr(session, call))


@pytest.fixture
def curriculum() -> Iterator[Curriculum]:
    tasks = {f"label {i}": i for i in range(32)}
    curriculum = Curriculum(tasks, LearningProgressConfig(rand_task_rate=0.1))
    yield curriculum
    curriculum.close()


@pytest.mark.benchmark(group="a step within an episode")
@pytest.mark.parametrize("wrapper", ["gymnasium.Wrapper", "CurriculumEnv"])
def test_step(benchmark: Any, curriculum: Curriculum, wrapper: str) -> None:
    inner = Idle(length=10**9)
    env = gym.Wrapper(inner) if wrapper == "gymnasium.Wrapper" else curriculum.wrap(inner)
    env.reset()
    benchmark(env.step, 0)


@pytest.mark.benchmark(group="an episode of one step and a reset")
@pytest.mark.parametrize("wrapper", ["gymnasium.Wrapper", "CurriculumEnv"])
def test_episode(benchmark: Any, curriculum: Curriculum, wrapper: str) -> None:
    inner = Idle(length=1)
    env = gym.Wrapper(inner) if wrapper == "gymnasium.Wrapper" else curriculum.wrap(inner)
    env.reset()

    def episode() -> None:
        env.step(0)
        env.reset()

    benchmark(episode)
