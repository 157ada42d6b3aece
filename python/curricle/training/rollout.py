"""The steps between two updates of the agent."""

import numpy as np
from numpy.typing import NDArray

from curricle.training.features import NUM_ACTIVE, is_present


class Rollout:
    """Arrays of shape (steps, environments) that one pass of the training loop fills.

    With teams there is a column for each agent of each environment.

    Attributes:
        features: active features of the observation before each step, (steps, envs, NUM_ACTIVE).
        actions: taken.
        values: of the observation before each step.
        rewards: of each step.
        terminated: whether the step ended in a state worth nothing.
        ended: whether an episode ended with the step.
        is_step: ``False`` where the action went nowhere: the environment was only reset, or its
            task has no such agent.
    """

    def __init__(self, steps: int, num_envs: int) -> None:
        shape = (steps, num_envs)
        self.features: NDArray[np.intp] = np.empty((*shape, NUM_ACTIVE), np.intp)
        self.actions: NDArray[np.int64] = np.empty(shape, np.int64)
        self.values: NDArray[np.float64] = np.empty(shape)
        self.rewards: NDArray[np.float64] = np.empty(shape)
        self.terminated: NDArray[np.bool_] = np.empty(shape, np.bool_)
        self.ended: NDArray[np.bool_] = np.empty(shape, np.bool_)
        self.is_step: NDArray[np.bool_] = np.empty(shape, np.bool_)

    def record(
        self,
        step: int,
        features: NDArray[np.intp],
        actions: NDArray[np.int64],
        values: NDArray[np.float64],
        rewards: NDArray[np.float64],
        terminated: NDArray[np.bool_],
        ended: NDArray[np.bool_],
        is_reset: NDArray[np.bool_],
    ) -> None:
        """Takes in a step: what agents saw and did, and what became of their environments.

        Args:
            step: its index.
            features: shape (agents, NUM_ACTIVE), the agents of an environment side by side.
            actions: shape (agents,).
            values: shape (agents,).
            rewards: shape (environments,), one for all agents of an environment; so are the rest.
            terminated: whether the step ended in a state worth nothing.
            ended: whether an episode ended with the step.
            is_reset: whether the environment was only reset.
        """
        seats = len(actions) // len(rewards)
        self.features[step] = features
        self.actions[step] = actions
        self.values[step] = values
        self.rewards[step] = rewards.repeat(seats)
        self.terminated[step] = terminated.repeat(seats)
        self.ended[step] = ended.repeat(seats)
        # One agent is always there, also where no machine is in its sight.
        is_there = is_present(features) if seats > 1 else np.True_
        self.is_step[step] = ~is_reset.repeat(seats) & is_there
