"""What RLlib tells a curriculum: an iteration has ended, an env runner begins, stops or returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray.rllib.callbacks.callbacks import RLlibCallback

from curricle.integrations.rllib.environments import creator_of
from curricle.integrations.rllib.machines import Machines
from curricle.loggers.base import MAX_LABELS
from curricle.loggers.measures import Measures

if TYPE_CHECKING:
    from ray.rllib.algorithms import Algorithm
    from ray.rllib.env.env_runner import EnvRunner


class CurriculumCallback(RLlibCallback):  # type: ignore[misc]
    """Adds the metrics of the session to each result of ``algorithm.train()``.

    ``result["curriculum"]["episodes"]``, say, or ``result["curriculum_share"][label]``: the names
    of `docs/logging.md`, with a dict for what stands before the slash, as loggers of RLlib and Tune
    flatten results. For ``config.callbacks(CurriculumCallback)``.

    An env runner leaves the session when ``algorithm.stop()`` stops it, so stop an algorithm before
    the curriculum is closed. Where each machine has a session of its own, they exchange their
    episodes at the end of each iteration, and once before the first.

    Raises:
        ValueError: the environment was not registered by `register_curriculum_env`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._measures: Measures | None = None
        self._machines: Machines | None = None

    def on_algorithm_init(self, *, algorithm: Algorithm, **others: Any) -> None:
        """Finds the curriculum of the algorithm's environment."""
        creator = creator_of(algorithm.config.env)
        if creator is None:
            raise ValueError(
                f"the environment {algorithm.config.env!r} has no curriculum; register it by "
                "register_curriculum_env before the algorithm is made or restored"
            )
        self._measures = Measures(creator.curriculum, MAX_LABELS)
        if creator.has_machines:
            self._machines = Machines(algorithm)
            # What a checkpoint brought to one of them reaches all before the first episode.
            self._machines.exchange()

    def on_env_runners_recreated(self, *, is_evaluation: bool, **others: Any) -> None:
        """Env runners that came back have attached again; one may be on another machine now."""
        if self._machines is not None and not is_evaluation:
            self._machines.look_again()

    def on_environment_created(self, *, env_runner: EnvRunner, **others: Any) -> None:
        """Has an env runner of another process leave the session when it is stopped."""
        creator = creator_of(env_runner.config.env)
        if creator is None or creator.registered_here:
            return
        stop = env_runner.stop

        def stop_and_leave() -> None:
            stop()
            creator.curriculum.close()

        # Then RLlib kills the process, which could not leave any more.
        env_runner.stop = stop_and_leave

    def on_train_result(self, *, result: dict[str, Any], **others: Any) -> None:
        """Completes a result; of the metrics logger it would be too late for this one."""
        assert self._measures is not None
        if self._machines is not None:
            self._machines.exchange()
        for metric, value in self._measures.take().items():
            group, _, name = metric.partition("/")
            result.setdefault(group, {})[name] = value
