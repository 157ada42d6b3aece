"""Environments by their names: what RLlib sends to env runners, and what becomes of it there."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ray import cloudpickle
from ray.tune.registry import ENV_CREATOR, _global_registry, register_env

from curricle.backends import SharedMemoryBackend
from curricle.curriculum import Curriculum

if TYPE_CHECKING:
    from ray.rllib.env.env_context import EnvContext


def register_curriculum_env(
    name: str,
    make_env: Callable[[Curriculum, EnvContext], Any],
    curriculum: Curriculum | Callable[[], Curriculum],
) -> None:
    """Registers an environment of RLlib whose tasks come from a curriculum.

    RLlib's configuration then holds the name alone, and so do its checkpoints: a process that
    restores one registers the name first.

    Args:
        name: of the environment, for ``config.environment(name)``.
        make_env: makes one environment in an env runner, `CurriculumEnv` around it (or, for
            several agents, `CurriculumParallelEnv` inside RLlib's ``ParallelPettingZooEnv``), from
            the curriculum and the ``EnvContext``, which has ``env_config`` in it.
        curriculum: of a session in shared memory; each env runner attaches to it. For several
            machines a function that makes it, with a name for its session: it is called once in
            each process, the first on a machine makes that machine's session, and
            `CurriculumCallback` has the sessions exchange their episodes.

    Raises:
        ModuleNotFoundError: on import of the module, if ray is missing.
        ValueError: the curriculum is one of this process alone.
    """
    creator = Creator(name, make_env, curriculum)
    if isinstance(curriculum, Curriculum):
        creator.check(curriculum)
    register_env(name, creator)
    _CREATORS[name] = creator


class Creator:
    """Makes environments; one object in a process, however often RLlib fetches it.

    So a process attaches once, and environments that RLlib makes anew find their session.
    """

    def __init__(
        self,
        name: str,
        make_env: Callable[[Curriculum, EnvContext], Any],
        curriculum: Curriculum | Callable[[], Curriculum],
    ) -> None:
        self._name = name
        self._make_env = make_env
        self._given = curriculum
        self._registration = uuid.uuid4().hex
        self.registered_here = True

    @cached_property
    def curriculum(self) -> Curriculum:
        """The curriculum of this process."""
        if isinstance(self._given, Curriculum):
            return self._given
        curriculum = self._given()
        self.check(curriculum)
        return curriculum

    @property
    def has_machines(self) -> bool:
        """Whether each machine has a session of its own."""
        return not isinstance(self._given, Curriculum)

    def __call__(self, context: EnvContext) -> Any:
        return self._make_env(self.curriculum, context)

    def __reduce__(self) -> tuple[Any, ...]:
        state = cloudpickle.dumps((self._make_env, self._given))
        return _fetched, (self._name, self._registration, state)

    @classmethod
    def fetched(cls, name: str, registration: str, state: bytes) -> Creator:
        """The object of this process, of what another process has registered."""
        creator = cls(name, *cloudpickle.loads(state))
        creator._registration = registration
        creator.registered_here = False
        return creator

    def is_of(self, registration: str) -> bool:
        """Whether it is of a registration, or of another one under the same name."""
        return self._registration == registration

    @staticmethod
    def check(curriculum: Curriculum) -> None:
        """Refuses a curriculum that other processes cannot share."""
        if not isinstance(curriculum.tracker.backend, SharedMemoryBackend):
            raise ValueError(
                "the curriculum keeps its records in this process alone, and env runners are "
                "processes of their own; leave use_shared_memory=False or backend= out"
            )


# Of this process, by name of the environment.
_CREATORS: dict[str, Creator] = {}


def _fetched(name: str, registration: str, state: bytes) -> Creator:
    known = _CREATORS.get(name)
    if known is None or not known.is_of(registration):
        known = _CREATORS[name] = Creator.fetched(name, registration, state)
    return known


def creator_of(name: Any) -> Creator | None:
    """What was registered under a name, in whichever process of the job."""
    if isinstance(name, str) and _global_registry.contains(ENV_CREATOR, name):
        creator = _global_registry.get(ENV_CREATOR, name)
        if isinstance(creator, Creator):
            return creator
    return None
