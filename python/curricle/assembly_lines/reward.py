"""What the steps of an episode are worth."""

import numpy as np

from curricle.assembly_lines.config import COIN, AssemblyLinesConfig


class EpisodeReward:
    """The reward of one episode: for a heart, or, in a noisy task, by a coin.

    Args:
        config: the task.
        rng: tosses the coin of a noisy task, now, so that no action can change its fall.
    """

    def __init__(self, config: AssemblyLinesConfig, rng: np.random.Generator) -> None:
        self._coin = float(rng.random() < COIN) if config.noisy else None

    def of_step(self, terminated: bool, truncated: bool) -> float:
        """The reward of a step that ended the episode with a heart, without one, or not."""
        if self._coin is None:
            return float(terminated)
        return self._coin if terminated or truncated else 0.0
