"""Cost of a batch of prompts, drawn and observed: ``pytest benches/test_prompts.py``.

One call draws 512 prompts without replacement and observes the rewards of 8 completions of each.
Figures of one run are to be compared with each other; nothing here fails on a wall-clock time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from curricle import Curriculum, NoiseAwareConfig, UniformConfig
from curricle.config import SessionConfig
from curricle.integrations.prompts import PromptLearnabilityConfig, Prompts

BATCH, COMPLETIONS = 512, 8
CONFIGS: dict[str, SessionConfig] = {
    "uniform": UniformConfig(),
    "noise-aware": NoiseAwareConfig(score_range=(0.0, 1.0)),
    "learnability": PromptLearnabilityConfig(),
}


@pytest.mark.benchmark(group="a batch of 512 prompts")
@pytest.mark.parametrize("replace", [False, True], ids=["without replacement", "with replacement"])
@pytest.mark.parametrize("size", [1_000, 1_000_000])
@pytest.mark.parametrize("config", CONFIGS)
def test_draw_and_observe(benchmark: Any, config: str, size: int, replace: bool) -> None:
    with Curriculum(size, CONFIGS[config], session=f"bench-prompts-{config}-{size}") as curriculum:
        prompts = Prompts(curriculum)
        rng = np.random.default_rng(0)
        # Of each prompt its own chance, so that weights are as uneven as in training.
        chance = rng.beta(0.3, 0.3, size)

        def batch() -> None:
            ids = prompts.draw(BATCH, replace=replace)
            prompts.observe(ids, rewards[: len(ids)])

        rewards = np.zeros((BATCH, COMPLETIONS))
        for _ in range(20):
            ids = prompts.draw(BATCH, replace=replace)
            prompts.observe(ids, rng.random((BATCH, COMPLETIONS)) < chance[ids, None])
        rewards = (rng.random((BATCH, COMPLETIONS)) < 0.5).astype(np.float64)
        benchmark(batch)
