"""How a task reaches an environment: small strategies, one for each form of ``apply``."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import gymnasium as gym

if TYPE_CHECKING:
    from curricle.tasks import CurriculumTask

Options: TypeAlias = dict[str, Any] | None

TASK_METHODS = ("set_task", "set_mg_config")
"""Methods that ``apply="auto"`` looks for, in this order."""


class Apply(ABC):
    """Hands a task to an environment just before its reset.

    An object of a user's own subclass may serve several environments at once, so what it keeps
    must not belong to one of them.
    """

    @abstractmethod
    def hand_over(self, env: Any, task: "CurriculumTask", options: Options) -> tuple[Any, Options]:
        """Hands ``task`` over.

        Args:
            env: the wrapped environment, with all its inner wrappers.
            task: what to play next; the environment receives ``task.env_cfg``.
            options: the options that the caller of ``reset`` gave.

        Returns:
            The environment to reset (``env`` unless another takes its place) and its options.
        """


class CallMethod(Apply):
    """Calls a method of one environment, or of a wrapper inside it, with the configuration."""

    def __init__(self, method: Callable[[Any], Any]) -> None:
        self.method = method

    def hand_over(self, env: Any, task: "CurriculumTask", options: Options) -> tuple[Any, Options]:
        self.method(task.env_cfg)
        return env, options


class ResetOptions(Apply):
    """Passes the configuration in the ``options`` of ``reset``.

    Args:
        key: the option that carries the configuration; None if the configuration is a mapping
            whose entries are options themselves.
    """

    def __init__(self, key: str | None = "task") -> None:
        self.key = key

    def hand_over(self, env: Any, task: "CurriculumTask", options: Options) -> tuple[Any, Options]:
        given = options or {}
        if self.key is not None:
            return env, {**given, self.key: task.env_cfg}
        if not isinstance(task.env_cfg, Mapping):
            raise TypeError(
                f"ResetOptions(key=None): the configuration of task {task.task_id} is "
                f"{task.env_cfg!r}, not a mapping of options"
            )
        return env, {**given, **task.env_cfg}


class Attributes(Apply):
    """Sets attributes of one environment, the innermost of its wrappers.

    Names and values come from a configuration that is a mapping, otherwise from the slice values
    of the task; a dotted name reaches into an attribute's own attributes. A mapping's ``"label"``
    names the task and is skipped where the environment has no such attribute. What one task set
    and the next does not mention goes back to its first value.
    """

    def __init__(self) -> None:
        self._first_values: dict[str, Any] = {}

    def hand_over(self, env: Any, task: "CurriculumTask", options: Options) -> tuple[Any, Options]:
        base = env.unwrapped
        values = self._values(base, task)
        # All names are looked up before the first is set: a misspelt one changes nothing.
        first_values = {
            name: self._current(base, name, task)
            for name in values
            if name not in self._first_values
        }
        self._first_values.update(first_values)
        for name, value in {**self._first_values, **values}.items():
            owner, _, attribute = name.rpartition(".")
            setattr(attrgetter(owner)(base) if owner else base, attribute, value)
        return env, options

    @staticmethod
    def _values(base: Any, task: "CurriculumTask") -> Mapping[str, Any]:
        config = task.env_cfg
        if isinstance(config, Mapping):
            if "label" in config and not hasattr(base, "label"):
                return {name: value for name, value in config.items() if name != "label"}
            return config
        if task.slice_values:
            return task.slice_values
        raise TypeError(
            f"apply='attributes': the configuration of task {task.task_id} is {config!r}, not a "
            "mapping of names to values, and the task has no slice values"
        )

    @staticmethod
    def _current(base: Any, name: str, task: "CurriculumTask") -> Any:
        try:
            return attrgetter(name)(base)
        except AttributeError:
            raise AttributeError(
                f"apply='attributes': {base} has no attribute {name!r} (task {task.task_id})"
            ) from None


class Rebuild(Apply):
    """Builds the environment anew from the configuration of each task.

    The new environment must have the spaces of the old one, which is closed. It goes on with the
    old one's random numbers, so that a seeded reset determines the episodes after it as well.

    Args:
        factory: builds an environment from ``task.env_cfg``.
    """

    def __init__(self, factory: Callable[[Any], Any]) -> None:
        self.factory = factory

    def hand_over(self, env: Any, task: "CurriculumTask", options: Options) -> tuple[Any, Options]:
        built = self.factory(task.env_cfg)
        require_same_spaces(env, built)
        if isinstance(env, gym.Env):
            built.np_random = env.np_random
        env.close()
        return built, options


class CallFunction(Apply):
    """Calls ``function(env, task)``; an environment that it returns takes the old one's place.

    The function gets the ``CurriculumTask`` itself. It owns what it returns: nothing is closed.
    """

    def __init__(self, function: Callable[[Any, "CurriculumTask"], Any]) -> None:
        self.function = function

    def hand_over(self, env: Any, task: "CurriculumTask", options: Options) -> tuple[Any, Options]:
        returned = self.function(env, task)
        if returned is None or returned is env:
            return env, options
        require_same_spaces(env, returned)
        return returned, options


ApplyForm: TypeAlias = str | Apply | Callable[[Any, "CurriculumTask"], Any]
"""``"auto"``, ``"options"``, ``"attributes"``, a method's name, an ``Apply``, or a callable."""


def resolve_apply(apply: ApplyForm, env: Any) -> Apply:
    """Turns every form of ``apply`` into a strategy, and checks that ``env`` has what it needs.

    Raises:
        ValueError: ``"auto"`` finds nothing, or the named method does not exist.
        TypeError: something else than the forms of ``apply``.
    """
    if isinstance(apply, Apply):
        return apply
    if apply == "options":
        return ResetOptions()
    if apply == "attributes":
        return Attributes()
    if apply == "auto":
        for name in TASK_METHODS:
            method = find_method(env, name)
            if method is not None:
                return CallMethod(method)
        raise ValueError(f"apply='auto': {env} has none of the methods {TASK_METHODS}. {FORMS}")
    if isinstance(apply, str):
        method = find_method(env, apply)
        if method is None:
            raise ValueError(f"apply={apply!r}: {env} has no such method in any layer. {FORMS}")
        return CallMethod(method)
    if callable(apply):
        return CallFunction(apply)
    raise TypeError(f"apply={apply!r} is none of its forms. {FORMS}")


FORMS = (
    "Say how a task reaches the environment: the name of a method that takes the configuration, "
    "'options' (reset(options={'task': configuration})), 'attributes' (the configuration's names "
    "and values are set on env.unwrapped), Rebuild(factory) (the environment is built anew from "
    "each configuration), or a callable (env, task) -> env | None."
)


def find_method(env: Any, name: str) -> Callable[..., Any] | None:
    """The outermost method called ``name`` in the wrappers of ``env``; None if there is none."""
    for layer in layers(env):
        method = getattr(layer, name, None)
        if callable(method):
            return method  # type: ignore[no-any-return]
    return None


def layers(env: Any) -> Iterator[Any]:
    """``env`` and what it wraps, from the outside in."""
    while env is not None:
        yield env
        env = getattr(env, "env", None)


def require_same_spaces(old: Any, new: Any) -> None:
    """Raises ValueError unless both environments have equal spaces (and agents)."""
    before, after = spaces_of(old), spaces_of(new)
    for name, space in before.items():
        if after.get(name) != space:
            raise ValueError(
                f"the environment that `apply` built has {name} {after.get(name)}, but {space} "
                "was there before: all tasks must share their spaces"
            )


def spaces_of(env: Any) -> dict[str, Any]:
    """Everything of an environment's interface that must not change between tasks, by name."""
    if not hasattr(env, "possible_agents"):
        return {"observation_space": env.observation_space, "action_space": env.action_space}
    agents = list(env.possible_agents)
    spaces: dict[str, Any] = {"possible_agents": agents}
    for agent in agents:
        spaces[f"observation_space of {agent}"] = env.observation_space(agent)
        spaces[f"action_space of {agent}"] = env.action_space(agent)
    return spaces
