"""RLlib: every episode counts once, whatever becomes of env runners; results; resuming."""

import os
import sys

import pytest

ray = pytest.importorskip("ray", reason="Ray is not installed")
pytest.importorskip("ray.rllib", reason="RLlib is not installed")
pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("pettingzoo", reason="PettingZoo is not installed")

import gymnasium as gym  # noqa: E402
from ray.rllib.algorithms.ppo import PPOConfig  # noqa: E402
from ray.tune.registry import register_env  # noqa: E402

from curricle import Curriculum, NoiseAwareConfig, list_sessions  # noqa: E402
from curricle.integrations.rllib import CurriculumCallback, register_curriculum_env  # noqa: E402
from example_runs import run_python  # noqa: E402
from ray_workers import small_ray  # noqa: E402
from rllib_envs import TASKS, make_config, make_env, make_race, noted  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def _ray():
    with small_ray():
        yield


def make_curriculum():
    return Curriculum(TASKS, NoiseAwareConfig(score_range=(0.0, 500.0)), seed=3)


def pids(algorithm):
    return algorithm.env_runner_group.foreach_env_runner(
        lambda env_runner: os.getpid(), local_env_runner=False
    )


def members(curriculum):
    """Processes that are attached to the session."""
    (facts,) = (facts for facts in list_sessions() if facts["name"] == curriculum.session)
    return facts["processes"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """An algorithm with two env runners, its curriculum, and the folder of noted episodes."""
    folder = tmp_path_factory.mktemp("run")
    with make_curriculum() as curriculum:
        register_curriculum_env("in two env runners", make_env, curriculum)
        algorithm = make_config("in two env runners", folder, 2).build_algo()
        yield algorithm, curriculum, folder
        algorithm.stop()


def test_every_episode_counts_once_and_is_in_the_results(run):
    algorithm, curriculum, folder = run
    before = 0
    for _ in range(3):
        result = algorithm.train()
        episodes = result["env_runners"]["num_episodes_lifetime"]
        assert result["curriculum"]["episodes"] == episodes > before
        new = result["env_runners"]["num_episodes"]
        assert new == episodes - before
        before = episodes
        assert result["curriculum_share"].keys() == TASKS.keys()
        assert sum(result["curriculum_share"].values()) == pytest.approx(1.0)
    returns = noted(folder)
    totals = curriculum.tracker.totals()
    assert totals["completions"] == len(returns) == episodes
    assert totals["score_sum"] == pytest.approx(sum(returns))
    curriculum.verify()


def test_a_killed_env_runner_is_replaced_and_loses_no_finished_episode(run):
    algorithm, curriculum, folder = run
    algorithm.train()
    before = set(pids(algorithm))
    (folder / "kill").touch()
    algorithm.train()
    assert not (folder / "kill").exists()
    # RLlib trains on with the other one until the new process is there.
    while len(after := set(pids(algorithm))) < len(before):
        algorithm.train()
    (born,) = after - before
    result = algorithm.train()
    assert (folder / f"{born}.returns").exists()
    returns = noted(folder)
    totals = curriculum.tracker.totals()
    assert result["curriculum"]["episodes"] == totals["completions"] == len(returns)
    assert totals["score_sum"] == pytest.approx(sum(returns))
    curriculum.verify()


def test_stopped_env_runners_have_left_the_session(tmp_path):
    with make_curriculum() as curriculum:
        register_curriculum_env("stopped", make_env, curriculum)
        algorithm = make_config("stopped", tmp_path, 1).build_algo()
        assert len(members(curriculum)) == 2
        algorithm.stop()
        assert members(curriculum) == [os.getpid()]
    assert curriculum.session not in {facts["name"] for facts in list_sessions()}


def test_evaluation_in_another_environment_counts_nowhere(tmp_path):
    with make_curriculum() as curriculum:
        register_curriculum_env("evaluated", make_env, curriculum)
        register_env("for evaluation", lambda context: gym.make("CartPole-v1"))
        config = make_config("evaluated", tmp_path, 0).evaluation(
            evaluation_interval=1,
            evaluation_duration=4,
            evaluation_config={"env": "for evaluation"},
        )
        algorithm = config.build_algo()
        result = algorithm.train()
        algorithm.stop()
        assert result["evaluation"]["env_runners"]["num_episodes"] == 4
        assert curriculum.tracker.totals()["completions"] == len(noted(tmp_path))
        assert result["curriculum"]["episodes"] == result["env_runners"]["num_episodes"]


def test_an_episode_of_several_agents_counts_once(tmp_path):
    tasks = {f"length {length}": {"length": length} for length in (1, 3, 6)}
    with Curriculum(tasks, NoiseAwareConfig(score_range=(0.0, 1.0)), seed=0) as curriculum:
        register_curriculum_env("race", make_race, curriculum)
        config = make_config("race", tmp_path, 0)
        config.multi_agent(policies={"both"}, policy_mapping_fn=lambda agent, *_, **__: "both")
        algorithm = config.build_algo()
        result = algorithm.train()
        algorithm.stop()
        episodes = result["env_runners"]["num_episodes_lifetime"]
        assert result["curriculum"]["episodes"] == episodes > 20
        curriculum.verify()


def test_a_curriculum_of_one_process_and_an_environment_without_one_are_refused():
    alone = Curriculum(TASKS, NoiseAwareConfig(use_shared_memory=False), seed=0)
    with alone, pytest.raises(ValueError, match="env runners are processes of their own"):
        register_curriculum_env("alone", make_env, alone)
    config = PPOConfig().environment("CartPole-v1").env_runners(num_env_runners=0)
    with pytest.raises(ValueError, match="'CartPole-v1' has no curriculum"):
        config.callbacks(CurriculumCallback).build_algo()


RESTORED = """
import sys
from pathlib import Path
from ray.rllib.algorithms.ppo import PPO
from ray_workers import small_ray
from test_rllib import *
folder = Path(sys.argv[1])
with small_ray(), make_curriculum() as curriculum:
    register_curriculum_env("kept", make_env, curriculum)
    curriculum.load(str(folder / "curriculum.ckpt"))
    ids, chances = curriculum.probabilities()
    algorithm = PPO.from_checkpoint(str(folder / "algorithm"))
    result = algorithm.train()
    algorithm.stop()
    print(*ids)
    print(*chances)
    print(result["curriculum"]["episodes"], result["num_env_steps_sampled_lifetime"])
"""


def test_a_checkpoint_brings_back_algorithm_and_distribution(tmp_path):
    with make_curriculum() as curriculum:
        register_curriculum_env("kept", make_env, curriculum)
        algorithm = make_config("kept", tmp_path, 0).build_algo()
        algorithm.train()
        steps = algorithm.train()["num_env_steps_sampled_lifetime"]
        algorithm.save_to_path(tmp_path / "algorithm")
        curriculum.save(str(tmp_path / "curriculum.ckpt"))
        algorithm.stop()
        ids, chances = curriculum.probabilities()
    out = run_python("-c", RESTORED, tmp_path, importable=sys.path)
    again_ids, again_chances, counts = (line.split() for line in out.splitlines()[-3:])
    assert dict(zip(map(int, again_ids), map(float, again_chances), strict=True)) == dict(
        zip(ids.tolist(), chances.tolist(), strict=True)
    )
    assert float(counts[0]) == len(noted(tmp_path))
    assert float(counts[1]) > steps
