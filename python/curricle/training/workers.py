"""The worker processes: one environment each, all in the session of one curriculum."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.vector import AsyncVectorEnv
from numpy.typing import NDArray

from curricle.assembly_lines import AssemblyLinesEnv
from curricle.curriculum import Curriculum
from curricle.envs import CurriculumEnv
from curricle.training.stopping import signals_blocked


@dataclass(frozen=True, slots=True)
class EnvFactory:
    """Makes a worker's environment; pickled to the worker, where it joins the session."""

    curriculum: Curriculum

    def __call__(self) -> CurriculumEnv[NDArray[Any], np.int64]:
        """An assembly-lines environment whose tasks the curriculum draws."""
        return CurriculumEnv(AssemblyLinesEnv(), self.curriculum, per_label_metrics=False)


@contextmanager
def worker_envs(curriculum: Curriculum, processes: int) -> Iterator[AsyncVectorEnv]:
    """A vector environment of worker processes; none of them is left at the end.

    Raises:
        ChildProcessError: a worker died.
    """
    with signals_blocked():
        envs = AsyncVectorEnv([EnvFactory(curriculum)] * processes, context="spawn")
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
