"""Stages of tasks, one after the other or blending into each other."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from curricle.algorithms.custom import CustomConfig
from curricle.config import Count, Share, Step


class _Stages(CustomConfig):
    stages: Annotated[tuple[tuple[int, ...], ...], Field(min_length=1)]
    floor: Share = 0.1

    @field_validator("stages", mode="before")
    @classmethod
    def _stages_of_sequences(cls, stages: Any) -> Any:
        # YAML and JSON have no tuples, and ids in a row are given as ranges.
        if not isinstance(stages, list | tuple):
            return stages
        return tuple(tuple(s) if isinstance(s, list | range) else s for s in stages)

    @field_validator("stages")
    @classmethod
    def _no_empty_stage(cls, stages: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
        for at, stage in enumerate(stages):
            if not stage:
                raise ValueError(f"stages[{at}] has no tasks; name their ids, or leave it out")
        return stages

    def _members(self, snapshot: NDArray[Any]) -> NDArray[np.bool_]:
        """Which tasks each stage has, shape (stages, n)."""
        members = np.array([np.isin(snapshot["task_id"], stage) for stage in self.stages])
        outside = snapshot["task_id"][~members.any(axis=0)]
        if len(outside):
            raise ValueError(
                f"{len(outside)} tasks are in no stage, task {outside[0]} for one; name each id "
                "in at least one of the stages"
            )
        return members


class SequentialStagesConfig(_Stages):
    """Stages in sequence: the next one opens when the present one is mastered.

    Draws are uniform over the present stage: the first one whose mean ``success_rate_ema`` is
    below the threshold, the last one when there is none. A task without a score counts as rate 0.
    Only the record says what is mastered, so that a stage that is forgotten is the present one
    again; the floor keeps the rates of all stages up to date.

    Source: Bengio et al. 2009, "Curriculum learning", section 3: a sequence of training
    distributions. Opening by a threshold is the hand-made curriculum that Matiisen et al. 2017
    compare with; threshold and floor are not from a paper.

    Attributes:
        stages: ids of the tasks of each stage, first to last; a task may be in several.
        threshold: mean success rate that opens the next stage, in (0, 1].
        floor: share of draws that is uniform over all tasks, in [0, 1].
        task_default_success_threshold: score from which an episode is a success.
        task_tracker_ema_alpha: step of the success rate's EMA, in (0, 1].

    Example:
        >>> config = SequentialStagesConfig(stages=[range(0, 10), range(10, 100)])
        >>> config.threshold
        0.8
    """

    threshold: Step = 0.8
    task_tracker_ema_alpha: Step = 0.1

    def weights(self, snapshot: NDArray[Any]) -> NDArray[np.float64]:
        """Weights of draws, shape (n,).

        Raises:
            ValueError: a task that is in no stage.
        """
        members = self._members(snapshot)
        rate = np.where(snapshot["completion_count"] > 0, snapshot["success_rate_ema"], 0.0)
        present = members[-1]
        for stage in members:
            # What a pool has no task of cannot be learned, and does not hold up the others.
            if stage.any() and rate[stage].mean() < self.threshold:
                present = stage
                break
        weights: NDArray[np.float64] = present.astype(np.float64)
        return weights


class AnnealedStagesConfig(_Stages):
    """Stages that blend into each other as episodes go by, whatever their scores.

    After t completions of the tasks in the pool, stage s = t / ``episodes_per_stage`` is where
    training is: with k the whole part of s, a share 1 - (s - k) of the draws is uniform over stage
    k and the rest over stage k + 1. After the last stage is reached it stays.

    Source: Bengio et al. 2009, "Curriculum learning", section 3: the weights of the training
    distributions change by and by from the first to the target distribution.

    Attributes:
        stages: ids of the tasks of each stage, first to last; a task may be in several.
        episodes_per_stage: completions, in all processes, from one stage to the next, >= 1.
        floor: share of draws that is uniform over all tasks, in [0, 1].
    """

    episodes_per_stage: Count

    def weights(self, snapshot: NDArray[Any]) -> NDArray[np.float64]:
        """Weights of draws, shape (n,).

        Raises:
            ValueError: a task that is in no stage.
        """
        members = self._members(snapshot)
        # What a pool has no task of is nothing to draw from.
        stages = members[members.any(axis=1)]
        if len(stages) == 0:
            return np.zeros(len(snapshot))
        completions = float(snapshot["completion_count"].sum())
        position = min(completions / self.episodes_per_stage, len(stages) - 1.0)
        whole = min(int(position), len(stages) - 1)
        after = min(whole + 1, len(stages) - 1)
        uniform = stages / stages.sum(axis=1, keepdims=True)
        blend: NDArray[np.float64] = uniform[whole] + (position - whole) * (
            uniform[after] - uniform[whole]
        )
        return np.maximum(blend, 0.0)
