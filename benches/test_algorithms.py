"""Cost of a draw and its report under each algorithm: ``pytest benches/test_algorithms.py``.

A round is a number of episodes, at least twice ``update_every``, so that the calls of ``weights``
are in it; ``per_episode_us`` (``--benchmark-json``, in ``extra_info``) is the median round divided
by their number. On a busy machine, ``--benchmark-timer=time.process_time`` counts only the time of
the processor. Nothing here fails on a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from curricle import Curriculum, LearnabilityConfig, LearningProgressConfig, LevelReplayConfig
from curricle.algorithms.catalogue import ALGORITHMS

SIZES = [1_000, 100_000]
# The scores of the tasks are of a spread of success rates, four for each task.
SCORES = 4


def fields_of(name: str, size: int) -> dict[str, Any]:
    """The fields that have no default."""
    stages = [range(size // 2), range(size // 2, size)]
    bounded: dict[str, Any] = {"score_range": (0.0, 1.0), "task_tracker_ema_alpha": 0.1}
    parts = [
        (0.4, LearningProgressConfig(**bounded)),
        (0.3, LevelReplayConfig(**bounded)),
        (0.2, LearnabilityConfig(**bounded)),
    ]
    needed: dict[str, dict[str, Any]] = {
        "mixture": {"parts": parts, **bounded},
        "sequential-stages": {"stages": stages},
        "annealed-stages": {"stages": stages, "episodes_per_stage": size},
        "alp-gmm": {"parameters": np.random.default_rng(0).random((size, 2))},
        "frontier": {"parameters": np.random.default_rng(0).random((size, 2))},
    }
    return needed.get(name, {})


@pytest.mark.benchmark(group="a draw and its report")
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size} tasks")
@pytest.mark.parametrize("name", ALGORITHMS)
def test_episode(benchmark: Any, name: str, size: int) -> None:
    if name == "alp-gmm":
        pytest.importorskip("sklearn")
    config = ALGORITHMS[name](**fields_of(name, size))
    rng = np.random.default_rng(0)
    with Curriculum(size, config, seed=0) as curriculum:
        for _ in range(SCORES):
            curriculum.report(np.arange(size), (rng.random(size) < 0.5).astype(float))
        every = getattr(curriculum.algorithm, "update_every", 1)
        episodes = 2 * max(every, 50)

        def play() -> None:
            for at in range(episodes):
                curriculum.report(curriculum.draw().ticket, float(at % 3 == 0))

        benchmark.pedantic(play, rounds=3, iterations=1, warmup_rounds=1)
    if benchmark.stats is not None:
        median = benchmark.stats.stats.median
        benchmark.extra_info["per_episode_us"] = round(median / episodes * 1e6, 1)
