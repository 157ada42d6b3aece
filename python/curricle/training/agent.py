"""A linear softmax actor-critic on sparse features, trained by Adam. Plain NumPy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from curricle.training.features import NOTHING_THERE, NUM_FEATURES
from curricle.training.rollout import Rollout
from curricle.training.settings import AgentSettings

NUM_ACTIONS = 4
_LEAST_SPREAD = 0.05


class LinearActorCritic:
    """One policy and one value function for all tasks.

    Both are sums of the weights of the active features: ``weights`` has shape
    (NUM_FEATURES, NUM_ACTIONS + 1), its last column is the value.
    """

    def __init__(self, settings: AgentSettings) -> None:
        self.settings = settings
        self.weights = np.zeros((NUM_FEATURES, NUM_ACTIONS + 1))
        self._mean = np.zeros_like(self.weights)
        self._square = np.zeros_like(self.weights)
        self._num_updates = 0

    def evaluate(
        self, features: NDArray[np.intp]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Probabilities of the actions, shape (n, 4), and values, shape (n,)."""
        outputs = self.weights[features].sum(axis=1)
        logits = outputs[:, :NUM_ACTIONS]
        unnormalised = np.exp(logits - logits.max(axis=1, keepdims=True))
        return unnormalised / unnormalised.sum(axis=1, keepdims=True), outputs[:, NUM_ACTIONS]

    def act(
        self, features: NDArray[np.intp], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Actions drawn from the policy, shape (n,), and values, shape (n,)."""
        probabilities, values = self.evaluate(features)
        drawn = rng.random((len(features), 1)) > probabilities.cumsum(axis=1)[:, :-1]
        return drawn.sum(axis=1), values

    def learn(self, rollout: Rollout, last_values: NDArray[np.float64], rate: float = 1.0) -> None:
        """One step of Adam up the policy gradient.

        Args:
            rollout: what happened.
            last_values: of the observations after its last step, shape (environments,).
            rate: share of the learning rate to step by, in (0, 1].
        """
        all_advantages = estimate_advantages(rollout, last_values, self.settings)
        returns = (all_advantages + rollout.values)[rollout.is_step]
        advantages = all_advantages[rollout.is_step]
        # Rewards are rare at first: a gradient of their own size would stand still. The second
        # term keeps the noise of a rollout without any from being blown up.
        advantages = advantages / (advantages.std() + _LEAST_SPREAD)
        features = rollout.features[rollout.is_step]
        actions = rollout.actions[rollout.is_step]
        self._ascend(self.gradient(features, actions, advantages, returns), rate)

    def gradient(
        self,
        features: NDArray[np.intp],
        actions: NDArray[np.int64],
        advantages: NDArray[np.float64],
        returns: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Gradient of what is maximised, by the weights; the arguments have n as first axis.

        The mean of ``advantage * log pi(action) + entropy_weight * entropy(pi) -
        value_weight / 2 * (return - value)**2`` over the n samples.
        """
        settings = self.settings
        probabilities, values = self.evaluate(features)
        outputs = np.empty((len(actions), NUM_ACTIONS + 1))
        # d log pi(a) / d logits = onehot(a) - pi; d entropy / d logits = -pi (log pi + entropy).
        outputs[:, :NUM_ACTIONS] = -probabilities * advantages[:, None]
        outputs[np.arange(len(actions)), actions] += advantages
        log = np.log(probabilities + 1e-12)
        entropy = -(probabilities * log).sum(axis=1, keepdims=True)
        outputs[:, :NUM_ACTIONS] -= settings.entropy_weight * probabilities * (log + entropy)
        outputs[:, NUM_ACTIONS] = settings.value_weight * (returns - values)
        return _scatter(features, outputs / len(actions))

    def _ascend(self, gradient: NDArray[np.float64], rate: float) -> None:
        # Adam (Kingma and Ba, 2015) with the constants of that paper.
        self._num_updates += 1
        self._mean += 0.1 * (gradient - self._mean)
        self._square += 0.001 * (gradient * gradient - self._square)
        scale = np.sqrt(1 - 0.999**self._num_updates) / (1 - 0.9**self._num_updates)
        step = self.settings.learning_rate * rate * scale
        self.weights += step * self._mean / (np.sqrt(self._square) + 1e-8)

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that learning goes on from, as arrays."""
        return {
            "weights": self.weights,
            "mean": self._mean,
            "square": self._square,
            "num_updates": np.asarray(self._num_updates),
        }

    def load_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Takes over what :meth:`state` returned.

        Raises:
            ValueError: the arrays are those of another set of features.
        """
        if state["weights"].shape != self.weights.shape:
            raise ValueError(
                f"the agent has weights of shape {self.weights.shape}, the checkpoint "
                f"{state['weights'].shape}: it was written by another version"
            )
        self.weights = state["weights"].copy()
        self._mean = state["mean"].copy()
        self._square = state["square"].copy()
        self._num_updates = int(state["num_updates"])


def _scatter(features: NDArray[np.intp], outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums the outputs of all samples into the rows of their active features."""
    rows = features.ravel()
    gradient = np.empty((NUM_FEATURES, outputs.shape[1]))
    for column in range(outputs.shape[1]):
        weights = np.repeat(outputs[:, column], features.shape[1])
        gradient[:, column] = np.bincount(rows, weights, minlength=NUM_FEATURES)
    gradient[NOTHING_THERE] = 0.0
    return gradient


def estimate_advantages(
    rollout: Rollout, last_values: NDArray[np.float64], settings: AgentSettings
) -> NDArray[np.float64]:
    """Generalised advantage estimates (Schulman et al., 2016), shape (steps, environments).

    A truncated episode's last step is worth its reward and the value of where it stopped; a
    step that was only a reset starts anew.
    """
    advantages = np.empty_like(rollout.rewards)
    following, advantage = last_values, np.zeros_like(last_values)
    for step in range(len(advantages) - 1, -1, -1):
        target = rollout.rewards[step] + settings.discount * following * ~rollout.terminated[step]
        carried = settings.discount * settings.trace * advantage * ~rollout.ended[step]
        advantage = advantages[step] = target - rollout.values[step] + carried
        following = rollout.values[step]
    return advantages
