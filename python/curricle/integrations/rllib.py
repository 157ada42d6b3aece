"""RLlib's new API stack: environments that env runners make, and metrics in the results.

RLlib resets inside the env runner, without options, so `CurriculumEnv` draws the tasks there.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from curricle.backends import SharedMemoryBackend
from curricle.extras import need_extra
from curricle.loggers.base import MAX_LABELS
from curricle.loggers.measures import Measures

need_extra("curricle.integrations.rllib", "rllib", "ray")

from ray import cloudpickle  # noqa: E402  after the check
from ray.rllib.algorithms import Algorithm  # noqa: E402
from ray.rllib.callbacks.callbacks import RLlibCallback  # noqa: E402
from ray.tune.registry import (  # noqa: E402
    ENV_CREATOR,
    _global_registry,
    register_env,
)

if TYPE_CHECKING:
    from ray.rllib.env.env_context import EnvContext
    from ray.rllib.env.env_runner import EnvRunner

    from curricle.curriculum import Curriculum


def register_curriculum_env(
    name: str, make_env: Callable[[Curriculum, EnvContext], Any], curriculum: Curriculum
) -> None:
    """Registers an environment of RLlib whose tasks come from a curriculum.

    RLlib's configuration then holds the name alone, and so do its checkpoints: a process that
    restores one registers the name first.

    Args:
        name: of the environment, for ``config.environment(name)``.
        make_env: makes one environment in an env runner, `CurriculumEnv` around it (or, for
            several agents, `CurriculumParallelEnv` inside RLlib's ``ParallelPettingZooEnv``), from
            the curriculum and the ``EnvContext``, which has ``env_config`` in it.
        curriculum: of a session in shared memory; each env runner attaches to it.

    Raises:
        ModuleNotFoundError: on import of the module, if ray is missing.
        ValueError: the curriculum is one of this process alone.
    """
    if not isinstance(curriculum.tracker.backend, SharedMemoryBackend):
        raise ValueError(
            "the curriculum keeps its records in this process alone, and env runners are processes "
            "of their own; leave use_shared_memory=False or backend= out"
        )
    creator = _Creator(name, make_env, curriculum)
    register_env(name, creator)
    _CREATORS[name] = creator


class CurriculumCallback(RLlibCallback):  # type: ignore[misc]
    """Adds the metrics of the session to each result of ``algorithm.train()``.

    ``result["curriculum"]["episodes"]``, say, or ``result["curriculum_share"][label]``: the names
    of `docs/logging.md`, with a dict for what stands before the slash, as loggers of RLlib and Tune
    flatten results. For ``config.callbacks(CurriculumCallback)``.

    An env runner leaves the session when ``algorithm.stop()`` stops it, so stop an algorithm before
    the curriculum is closed.

    Raises:
        ValueError: the environment was not registered by `register_curriculum_env`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._measures: Measures | None = None

    def on_algorithm_init(self, *, algorithm: Algorithm, **others: Any) -> None:
        """Finds the curriculum of the algorithm's environment."""
        creator = _creator(algorithm.config.env)
        if creator is None:
            raise ValueError(
                f"the environment {algorithm.config.env!r} has no curriculum; register it by "
                "register_curriculum_env before the algorithm is made or restored"
            )
        self._measures = Measures(creator.curriculum, MAX_LABELS)

    def on_environment_created(self, *, env_runner: EnvRunner, **others: Any) -> None:
        """Has an env runner of another process leave the session when it is stopped."""
        creator = _creator(env_runner.config.env)
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
        for metric, value in self._measures.take().items():
            group, _, name = metric.partition("/")
            result.setdefault(group, {})[name] = value


class _Creator:
    """Makes environments; one object in a process, however often RLlib fetches it.

    So a process attaches once, and environments that RLlib makes anew find their session.
    """

    def __init__(
        self, name: str, make_env: Callable[[Curriculum, EnvContext], Any], curriculum: Curriculum
    ) -> None:
        self.name = name
        self.make_env = make_env
        self.curriculum = curriculum
        self.registration = uuid.uuid4().hex
        self.registered_here = True

    def __call__(self, context: EnvContext) -> Any:
        return self.make_env(self.curriculum, context)

    def __reduce__(self) -> tuple[Any, ...]:
        return _fetched, (self.name, self.registration, cloudpickle.dumps(vars(self)))


# Of this process, by name of the environment.
_CREATORS: dict[str, _Creator] = {}


def _fetched(name: str, registration: str, state: bytes) -> _Creator:
    known = _CREATORS.get(name)
    if known is None or known.registration != registration:
        known = _CREATORS[name] = _Creator.__new__(_Creator)
        vars(known).update(cloudpickle.loads(state), registered_here=False)
    return known


def _creator(name: Any) -> _Creator | None:
    """What was registered under a name, in whichever process of the job."""
    if isinstance(name, str) and _global_registry.contains(ENV_CREATOR, name):
        creator = _global_registry.get(ENV_CREATOR, name)
        if isinstance(creator, _Creator):
            return creator
    return None
