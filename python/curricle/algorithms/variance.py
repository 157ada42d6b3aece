"""Draws the tasks whose scores vary most."""

from __future__ import annotations

from curricle.config import LearningProgressConfig


class VarianceConfig(LearningProgressConfig):
    """Learning progress taken to be the variance of a task's score.

    `LearningProgressConfig` with ``use_bidirectional=False``: for scores of 0 and 1 the variance
    is p (1 - p), the learnability of Rutherford et al. 2024, here of all tasks and without a
    buffer.
    """

    use_bidirectional: bool = False
