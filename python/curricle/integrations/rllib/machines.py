"""The machines of an algorithm: one process of each takes part in the exchange of episodes."""

from __future__ import annotations

import uuid
import warnings
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import ray

from curricle.integrations.ray import RayExchange
from curricle.integrations.rllib.environments import creator_of

if TYPE_CHECKING:
    from ray.rllib.algorithms import Algorithm
    from ray.rllib.env.env_runner import EnvRunner

# Seconds; an env runner first ends what it was asked to do before.
_PATIENCE = 60.0


class Machines:
    """Has the sessions of all machines that an algorithm runs on exchange their episodes.

    Of the algorithm's own machine its process takes part, of each other machine an env runner that
    RLlib holds for healthy. Where these are other processes than the last time, a new generation
    begins, in which nobody waits for those of the last one.
    """

    def __init__(self, algorithm: Algorithm) -> None:
        self._algorithm = algorithm
        self._name = uuid.uuid4().hex
        self._generation = 0
        # Env runners that take part, of each other machine one; None where they have changed.
        self._chosen: list[int] | None = None
        self._nodes: dict[int, str] = {}

    def look_again(self) -> None:
        """Env runners are other processes now, and may be elsewhere."""
        self._chosen = None

    def exchange(self) -> None:
        """One exchange of all machines, or of this one alone.

        Warns:
            RuntimeWarning: a machine did not take part. Nothing is lost: the next exchange brings
                what this one should have, and the one after it the rest.
        """
        group = self._algorithm.env_runner_group
        if self._chosen is None:
            self._nodes = dict(group.foreach_env_runner(_node_of, local_env_runner=False))
        chosen = self._choose(group.healthy_env_runner_ids())
        if chosen != self._chosen:
            self._chosen = chosen
            self._generation += 1
        size = len(chosen) + 1
        places = [_Place(self._name, rank, size, self._generation) for rank in range(size)]
        if chosen:
            group.foreach_env_runner(
                [partial(_take_part_there, place=place) for place in places[1:]],
                remote_worker_ids=chosen,
                local_env_runner=False,
                # Nobody has an answer before this process takes part.
                timeout_seconds=0.0,
            )
        try:
            _take_part(self._algorithm.config.env, places[0])
        except TimeoutError as error:
            warnings.warn(
                f"machines did not exchange episodes: {error}", RuntimeWarning, stacklevel=2
            )
            self._chosen = None

    def _choose(self, healthy: list[int]) -> list[int]:
        """The first of the healthy env runners on each other machine."""
        first: dict[str, int] = {}
        for index in sorted(healthy):
            if index in self._nodes:
                first.setdefault(self._nodes[index], index)
        first.pop(ray.get_runtime_context().get_node_id(), None)
        return sorted(first.values())


class _Place(NamedTuple):
    """What a process takes part as."""

    name: str
    rank: int
    world_size: int
    generation: int


# Of this process.
_exchanges: dict[_Place, RayExchange] = {}


def _take_part(env: str, place: _Place) -> None:
    if place not in _exchanges:
        for former in [other for other in _exchanges if other.name == place.name]:
            del _exchanges[former]
        _exchanges[place] = RayExchange(
            place.name,
            place.rank,
            place.world_size,
            generation=place.generation,
            timeout=_PATIENCE,
        )
    creator = creator_of(env)
    assert creator is not None
    creator.curriculum.exchange(_exchanges[place])


def _take_part_there(env_runner: EnvRunner, place: _Place) -> None:
    # RLlib would end an env runner that raises; the algorithm's process has the same error.
    with suppress(TimeoutError, RuntimeError):
        _take_part(env_runner.config.env, place)


def _node_of(env_runner: EnvRunner) -> tuple[int, str]:
    return env_runner.worker_index, ray.get_runtime_context().get_node_id()
