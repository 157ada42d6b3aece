"""A script on teams of two: PettingZoo in SuperSuit's vector environment of processes."""

from __future__ import annotations

import supersuit

from benches.trainers.arm import TASKS, WORKERS
from benches.trainers.ppo import Script
from curricle import Curriculum, NoiseAwareConfig
from curricle.assembly_lines import AssemblyLinesConfig, AssemblyLinesParallelEnv
from curricle.envs import CurriculumParallelEnv
from curricle.integrations.supersuit import FinalInfos
from curricle.loggers import JsonlLogger

TEAM = AssemblyLinesConfig(num_agents=2, positions=("any",), room_size="tiny", chain_length=1)
ENVS = 8


def make_curriculum() -> Curriculum:
    """As many tasks as other trainers have, of one team."""
    return Curriculum([TEAM] * TASKS, NoiseAwareConfig(score_range=(0.0, 1.0)), seed=0)


class Trainer(Script):
    """As `examples/supersuit_ppo.py`."""

    def __init__(self, curriculum: Curriculum | None) -> None:
        env, how = AssemblyLinesParallelEnv(TEAM), {}
        if curriculum is not None:
            env = FinalInfos(CurriculumParallelEnv(env, curriculum))
            self._logger = JsonlLogger(curriculum, "curriculum.jsonl")
            how = {"log": self._logger.log}
        envs = supersuit.pettingzoo_env_to_vec_env_v1(env)
        envs = supersuit.concat_vec_envs_v1(envs, ENVS, WORKERS)
        super().__init__(envs, 2 * ENVS, (66, 4), **how)

    def workers(self) -> list[int]:
        """Those of SuperSuit."""
        return [process.pid for process in self.envs.procs]
