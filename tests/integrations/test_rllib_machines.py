"""RLlib on two machines, each with a session of its own: after each iteration they are one."""

import os
import signal

import pytest

ray = pytest.importorskip("ray", reason="Ray is not installed")
pytest.importorskip("ray.rllib", reason="RLlib is not installed")
pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("pettingzoo", reason="PettingZoo is not installed")

from ray.rllib.callbacks.callbacks import RLlibCallback  # noqa: E402

from curricle import Curriculum, NoiseAwareConfig  # noqa: E402
from curricle.integrations.rllib import (  # noqa: E402
    CurriculumCallback,
    machines,
    register_curriculum_env,
)
from curricle.integrations.rllib.environments import creator_of  # noqa: E402
from ray_workers import OF_EXCHANGE, two_machines  # noqa: E402
from rllib_envs import TASKS, make_config, make_env, noted  # noqa: E402

pytestmark = pytest.mark.skipif(
    not hasattr(Curriculum, "exchange"), reason="this curriculum exchanges no episodes"
)

ENV = "on two machines"


def make_curriculum():
    # Machines of a test have the same shared memory, so each has a name for its own.
    session = f"rllib-machines-{os.environ['RLLIB_MACHINES']}-{node()}"
    config = NoiseAwareConfig(score_range=(0.0, 500.0), **OF_EXCHANGE)
    return Curriculum(TASKS, config, session=session, seed=0)


def node():
    return ray.get_runtime_context().get_node_id()


def facts_there(env_runner):
    """Of an env runner: its machine, its process, completions and sum of scores of its session."""
    totals = creator_of(ENV).curriculum.tracker.totals()
    return node(), os.getpid(), totals["completions"], totals["score_sum"]


class StopOne(RLlibCallback):
    """Stops a process between its samples and the exchange."""

    pid = None

    def on_train_result(self, **others):
        if self.pid is not None:
            os.kill(self.pid, signal.SIGSTOP)


def test_sessions_become_one_whatever_becomes_of_env_runners(tmp_path, monkeypatch):
    monkeypatch.setenv("RLLIB_MACHINES", str(os.getpid()))
    # Seconds that an env runner is waited for; those of this test answer, or are stopped.
    monkeypatch.setattr(machines, "_PATIENCE", 5.0)
    with two_machines(), make_curriculum() as curriculum:
        # As from a checkpoint, before there is an algorithm.
        early = 5
        for _ in range(early):
            curriculum.report(0, 0.0)
        register_curriculum_env(ENV, make_env, make_curriculum)
        config = make_config(ENV, tmp_path, 2)
        # One on each machine, as each fills one.
        config.env_runners(num_cpus_per_env_runner=2).resources(num_cpus_for_main_process=0)
        config.callbacks([StopOne, CurriculumCallback])
        algorithm = config.build_algo()
        group = algorithm.env_runner_group

        def look():
            """Processes of the env runners by their machines, which have all episodes."""
            returns = noted(tmp_path)
            there = group.foreach_env_runner(facts_there, local_env_runner=False)
            for _, _, completions, score_sum in there:
                assert completions == early + len(returns)
                assert score_sum == pytest.approx(sum(returns))
            assert curriculum.tracker.totals()["completions"] == early + len(returns)
            return {machine: pid for machine, pid, _, _ in there}

        def train():
            result = algorithm.train()
            processes = look()
            assert result["curriculum"]["episodes"] == early + len(noted(tmp_path))
            return processes

        assert len(look()) == 2
        before = train()
        assert len(before) == 2

        (StopOne.pid,) = (pid for machine, pid in before.items() if machine != node())
        with pytest.warns(RuntimeWarning, match="1 of 2 ranks are missing: 1"):
            algorithm.train()
        os.kill(StopOne.pid, signal.SIGCONT)
        StopOne.pid = None
        # The next exchange brings what that one should have, and the one after it the rest.
        algorithm.train()
        assert train() == before

        # One attaches again. The other was all that its machine's session had, and finds none.
        for machine in before:
            os.kill(before[machine], signal.SIGKILL)
            train()
            while len(group.healthy_env_runner_ids()) < 2:
                train()
            after = train()
            assert after.keys() == before.keys()
            assert after[machine] != before[machine]
        algorithm.stop()
        creator_of(ENV).curriculum.close()
