"""PufferLib: every episode counts once, what its logs get, kills, and resuming."""

import json
import math
import os
import signal

import gymnasium as gym
import numpy as np
import pytest

from curricle import Curriculum, CurriculumEnv, NoiseAwareConfig
from curricle.integrations.pufferlib import EpisodeInfos
from example_runs import ROOT, run_example, run_python

LENGTHS = (0.1, 0.5, 2.0)
TASKS = {f"length {n}": {"length": n, "polemass_length": 0.1 * n} for n in LENGTHS}
ENVS = 4


@pytest.fixture
def curriculum():
    with Curriculum(TASKS, NoiseAwareConfig(score_range=(0.0, 500.0)), seed=3) as curriculum:
        yield curriculum


@pytest.fixture
def puffer(tmp_path, monkeypatch):
    """The package, which makes a link in the working directory on import."""
    monkeypatch.chdir(tmp_path)
    reason = "PufferLib 3 is not installed, see docs/integrations.md"
    pytest.importorskip("pufferlib.vector", reason=reason, exc_type=ImportError)
    pytest.importorskip("pufferlib.emulation")
    return pytest.importorskip("pufferlib")


def play(env, **how):
    """The infos of an episode's reset and of its last step."""
    _, begun = env.reset(**how)
    ended = False
    while not ended:
        *_, terminated, truncated, info = env.step(0)
        ended = terminated or truncated
        assert ended or not info
    return begun, info


def test_infos_have_numbers_that_may_be_averaged(curriculum):
    env = EpisodeInfos(CurriculumEnv(gym.make("CartPole-v1"), curriculum, apply="attributes"))
    begun, info = play(env)
    assert begun == {}
    (label,) = [name for name, row in curriculum.label_totals().items() if row["completions"]]
    assert info.keys() == {"curriculum/score", "curriculum/lp", f"curriculum_score/{label}"}
    assert info[f"curriculum_score/{label}"] == info["curriculum/score"] > 0
    # An episode that counts nowhere has no learning progress.
    _, info = play(env, options={"task": 0})
    assert info.keys() == {"curriculum/score", "curriculum_score/length 0.1"}


@pytest.mark.parametrize("backend", ["Serial", "Multiprocessing"])
def test_every_episode_counts_once_whatever_becomes_of_the_workers(curriculum, puffer, backend):
    def make(buf=None, seed=0):
        env = puffer.EpisodeStats(gym.make("CartPole-v1"))
        env = EpisodeInfos(CurriculumEnv(env, curriculum, apply="attributes"))
        return puffer.emulation.GymnasiumPufferEnv(env, buf=buf, seed=seed)

    def make_envs():
        many = {} if backend == "Serial" else {"num_workers": 2, "overwork": True}
        envs = puffer.vector.make(
            make, num_envs=ENVS, backend=getattr(puffer.vector, backend), **many
        )
        envs.reset(seed=3)
        return envs

    def scores_of(envs, steps):
        """Scores of PufferLib's own statistics, each beside that of the curriculum."""
        scores, ends = [], 0
        for _ in range(steps):
            _, _, ended, cut, infos = envs.step(np.random.randint(2, size=ENVS))
            ends += int((ended | cut).sum())
            scores += [info["episode_return"] for info in infos]
            assert all(info["episode_return"] == info["curriculum/score"] for info in infos)
        assert len(scores) == ends
        return scores

    envs = make_envs()
    scores = scores_of(envs, 200)
    totals = curriculum.tracker.totals()
    assert totals["completions"] == len(scores) > 10
    assert totals["score_sum"] == sum(scores)
    # An environment is reset in the step after its last one.
    assert 0 <= totals["scheduled"] - len(scores) <= ENVS
    if backend == "Multiprocessing":
        # The next step would wait for it without end.
        os.kill(envs.processes[0].pid, signal.SIGKILL)
        envs.processes[0].join()
    envs.close()
    for process in getattr(envs, "processes", []):
        process.join()
    curriculum.verify()

    envs = make_envs()
    scores += scores_of(envs, 100)
    envs.close()
    for process in getattr(envs, "processes", []):
        process.join()
    totals = curriculum.tracker.totals()
    assert totals["completions"] == len(scores)
    assert totals["score_sum"] == sum(scores)
    curriculum.verify()


def rows_of_example(folder, steps):
    """What the example logs of the curriculum, row by row."""
    options = ["--train.data-dir", folder, "--train.total-timesteps", steps]
    assert "curriculum_score/leng" in run_example("pufferlib_ppo.py", *options, folder=folder)
    return [json.loads(row) for row in (folder / "curriculum.jsonl").read_text().splitlines()]


@pytest.mark.timeout(240)  # it trains twice
def test_the_example_learns_logs_and_goes_on(puffer, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("pyro", reason="PufferLib's trainer needs pyro-ppl")

    def saved():
        # Not here: to import the trainer changes how this process treats signals and warnings.
        code = (
            "from curricle import Curriculum; from examples.pufferlib_ppo import CONFIG, TASKS\n"
            "curriculum = Curriculum(TASKS, CONFIG, seed=0); curriculum.load('curriculum.ckpt')\n"
            "curriculum.verify(); print(curriculum.tracker.totals()['completions'])"
        )
        done = run_python("-c", code, folder=tmp_path, importable=[ROOT])
        return float(done.splitlines()[-1])

    rows = rows_of_example(tmp_path, 6_144)
    first = saved()
    # The trainer has asked for one step more than it has taken.
    assert rows[-1]["curriculum/episodes"] <= first <= rows[-1]["curriculum/episodes"] + 16
    scores = [row["curriculum/score"] for row in rows if "curriculum/score" in row]
    assert max(scores[-6:]) > 1.4 * scores[0]
    again = rows_of_example(tmp_path, 1_024)
    assert saved() >= again[-1]["curriculum/episodes"] > first
    # An agent that began anew would be where the first began.
    assert max(row["curriculum/score"] for row in again if "curriculum/score" in row) > scores[0]
    assert math.isfinite(again[-1]["curriculum/lp"])
