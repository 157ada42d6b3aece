"""Where episodes are played: worker processes that share one curriculum, or this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv

from curricle.assembly_lines import AssemblyLinesConfig, AssemblyLinesParallelEnv
from curricle.curriculum import Curriculum
from curricle.envs import CurriculumEnv, CurriculumParallelEnv
from curricle.training.engine import Engine, engine_of
from curricle.training.settings import EngineName
from curricle.training.stopping import signals_blocked
from curricle.training.team import TeamEnv

AnyEnv = gym.Env[Any, Any]

# As many as the worker processes of a run by default.
_LOCAL_ENVS = 4


def make_env(task: AssemblyLinesConfig, engine: Engine, has_teams: bool) -> AnyEnv:
    """An environment that no curriculum counts, for tasks of one agent or of teams as well."""
    return TeamEnv(AssemblyLinesParallelEnv(task)) if has_teams else engine.make_env(task)


@dataclass(frozen=True, slots=True)
class EnvFactory:
    """Makes a worker's environment; pickled to the worker, where it joins the session."""

    curriculum: Curriculum
    engine: EngineName
    has_teams: bool

    def __call__(self) -> AnyEnv:
        """An environment whose tasks the curriculum draws."""
        if self.has_teams:
            team = AssemblyLinesParallelEnv()
            return TeamEnv(CurriculumParallelEnv(team, self.curriculum, per_label_metrics=False))
        env = engine_of(self.engine).make_env(None)
        return CurriculumEnv(env, self.curriculum, per_label_metrics=False)


@contextmanager
def local_envs(factory: EnvFactory) -> Iterator[VectorEnv[Any, Any, Any]]:
    """A vector environment in this process."""
    envs = SyncVectorEnv([factory] * _LOCAL_ENVS)
    try:
        yield envs
    finally:
        envs.close()


@contextmanager
def worker_envs(factory: EnvFactory, processes: int) -> Iterator[VectorEnv[Any, Any, Any]]:
    """A vector environment of worker processes; none of them is left at the end.

    Raises:
        ChildProcessError: a worker died.
    """
    with signals_blocked():
        envs = AsyncVectorEnv([factory] * processes, context="spawn")
    try:
        yield envs
    except BaseException as error:
        # Its close() would wait for an answer, which a dead worker does not give.
        for process in envs.processes:
            process.kill()
            process.join()
        envs.closed = True
        if isinstance(error, EOFError | ConnectionError):
            raise ChildProcessError("a worker process died; go on with --resume") from error
        raise
    envs.close()
