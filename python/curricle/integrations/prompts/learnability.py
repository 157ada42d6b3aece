"""Draws the prompts that are solved about as often as not."""

from __future__ import annotations

from collections.abc import Iterable

from curricle._core import Rules
from curricle.config import Exploration, LearningProgressConfig, Share, Step
from curricle.tracker import TaskTracker


class PromptLearnabilityConfig(LearningProgressConfig):
    """Weights prompts by their learnability p (1 - p), where p is the mean reward.

    Source of p (1 - p): Rutherford et al. 2024, "No Regrets: Investigating and Improving Regret
    Approximations for Curriculum Discovery". `LearnabilityConfig` reads all tasks to weigh them;
    here `Prompts` weighs those it has observed, so that the cost does not grow with the prompts.
    Of the inherited fields, those of learning progress do nothing.

    Attributes:
        score_range: ``(lo, hi)`` that rewards lie in, which maps them to p in [0, 1].
        task_tracker_ema_alpha: step of the EMA over a prompt's groups that p is, in (0, 1].
        exploration_bonus: weight of a prompt without a reward, in [0, 4096); 0.25 counts it as
            p = 1/2.
        rand_task_rate: share of draws that is uniform over the prompts, in [0, 1].

    Example:
        >>> PromptLearnabilityConfig().rules().as_dict()["exploration"]
        0.25
    """

    score_range: tuple[float, float] = (0.0, 1.0)
    # A prompt is seen some ten times in a run, and the policy has changed in between.
    task_tracker_ema_alpha: Step = 0.5
    exploration_bonus: Exploration = 0.25
    rand_task_rate: Share = 0.05

    def rules(self) -> Rules:
        """Rules that leave learning progress to `weigh`."""
        return Rules(
            **self.statistics_rules(),
            progress="given",
            floor=self.rand_task_rate,
            exploration=self.exploration_bonus,
            min_samples=0,
        )

    def weigh(self, tracker: TaskTracker, prompt_ids: Iterable[int]) -> None:
        """Weighs prompts that have a reward; while the session is frozen, none."""
        backend = tracker.backend
        if backend.frozen:
            return
        read, set_lp = backend.read, backend.set_lp
        low, high = self.score_range
        width = high - low
        for prompt_id in prompt_ids:
            data = read(prompt_id)
            if data is not None:
                p = (data.reward_ema - low) / width
                # Rounding may put the mean a little outside of the range.
                set_lp(prompt_id, max(p * (1.0 - p), 0.0))
