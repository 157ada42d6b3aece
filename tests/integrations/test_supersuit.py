"""SuperSuit's vector environments of PettingZoo teams: counts, labels, kills, logs, resuming."""

import json
import os
import re
import signal
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

supersuit = pytest.importorskip("supersuit", reason="SuperSuit is not installed")

from curricle import Curriculum, NoiseAwareConfig  # noqa: E402
from curricle.assembly_lines import (  # noqa: E402
    AssemblyLinesParallelEnv,
    AssemblyLinesTaskGenerator,
)
from curricle.envs import CurriculumParallelEnv, tickets  # noqa: E402
from curricle.integrations.supersuit import FinalInfos  # noqa: E402
from example_runs import run_example  # noqa: E402
from restarts import probabilities, probabilities_after_restart  # noqa: E402

TASKS = AssemblyLinesTaskGenerator.Config(
    room_sizes=("tiny",), chain_lengths=(1,), num_agents=(2,)
).create()
COPIES, AGENTS = 4, 2


def make_curriculum():
    config = NoiseAwareConfig(score_range=(0.0, 1.0), num_active_tasks=20)
    return Curriculum(TASKS, config, seed=3)


@pytest.fixture
def curriculum():
    with make_curriculum() as curriculum:
        yield curriculum


def make_envs(curriculum, processes, **options):
    team = AssemblyLinesParallelEnv(TASKS.get_task(0))
    env = FinalInfos(CurriculumParallelEnv(team, curriculum, **options))
    envs = supersuit.pettingzoo_env_to_vec_env_v1(env)
    return supersuit.concat_vec_envs_v1(envs, COPIES, num_cpus=processes)


def play(envs, steps, rng):
    """Steps at random; the last infos of the episodes that ended, and all infos of their steps."""
    finals, beside = [], []
    for _ in range(steps):
        _, _, ended, cut, infos = envs.step(rng.integers(4, size=COPIES * AGENTS))
        found = [info for info in infos if "final_info" in info]
        assert len(found) * AGENTS == (ended | cut).sum()
        finals += [info["final_info"] for info in found]
        beside += found
    return finals, beside


@pytest.mark.parametrize("processes", [0, 2])
def test_every_episode_counts_once_under_its_own_label(curriculum, processes):
    envs = make_envs(curriculum, processes)
    envs.reset()
    finals, beside = play(envs, 400, np.random.default_rng(0))
    played = Counter(info["curriculum/label"] for info in finals)
    scores = Counter()
    for info in finals:
        scores[info["curriculum/label"]] += info["curriculum/score"]
    rows = curriculum.label_totals()
    assert {name: row["completions"] for name, row in rows.items() if row["completions"]} == played
    assert {name: row["score_sum"] for name, row in rows.items() if row["score_sum"]} == +scores
    totals = curriculum.tracker.totals()
    assert totals["completions"] == len(finals) > 10
    assert totals["scheduled"] == len(finals) + COPIES
    # Why there is an adapter: beside it SuperSuit names the next task.
    tasks = [
        (info["curriculum/task_id"], one["curriculum/task_id"])
        for info, one in zip(beside, finals, strict=True)
    ]
    assert any(following != ended for following, ended in tasks)
    curriculum.verify()
    envs.close()


def test_the_learner_reports_each_ticket_once(curriculum):
    envs = make_envs(curriculum, 2, score=None)
    envs.reset()
    finals, _ = play(envs, 200, np.random.default_rng(0))
    curriculum.report([ticket for info in finals for ticket in tickets(info)], np.ones(len(finals)))
    assert curriculum.tracker.totals()["completions"] == len(finals) > 5
    envs.close()


def test_a_killed_worker_ends_the_step_and_loses_no_finished_episode(curriculum):
    envs = make_envs(curriculum, 2)
    envs.reset()
    rng = np.random.default_rng(0)
    before = len(play(envs, 200, rng)[0])
    os.kill(envs.procs[0].pid, signal.SIGKILL)
    envs.procs[0].join()
    with pytest.raises((EOFError, ConnectionError)):
        envs.step(np.zeros(COPIES * AGENTS, np.int64))
    envs.close()
    # The other worker may have played that step.
    counted = curriculum.tracker.totals()["completions"]
    assert before <= counted <= before + COPIES // 2
    curriculum.verify()

    envs = make_envs(curriculum, 2)
    envs.reset()
    after = len(play(envs, 200, rng)[0])
    envs.close()
    totals = curriculum.tracker.totals()
    assert totals["completions"] == counted + after
    assert totals["scheduled"] - totals["completions"] == 2 * COPIES
    curriculum.verify()


def test_a_checkpoint_brings_back_the_distribution(curriculum, tmp_path):
    envs = make_envs(curriculum, 2)
    envs.reset()
    play(envs, 400, np.random.default_rng(0))
    envs.close()
    # On the first task something is learned, whatever the policy does.
    top = curriculum.algorithm.hypers.score_range[1]
    for share in np.linspace(0.0, 1.0, 30):
        curriculum.tracker.update(0, share * top)
    curriculum.save(str(tmp_path / "curriculum.ckpt"))
    before = probabilities(curriculum)
    assert len(set(before.values())) > 1
    assert probabilities_after_restart(str(tmp_path / "curriculum.ckpt"), make_curriculum) == before


def test_the_class_for_stable_baselines3_counts_a_team_once(curriculum):
    sb3 = pytest.importorskip("stable_baselines3")
    import torch
    from stable_baselines3.common.vec_env import VecMonitor

    torch.set_num_threads(1)
    team = AssemblyLinesParallelEnv(TASKS.get_task(0))
    envs = supersuit.pettingzoo_env_to_vec_env_v1(CurriculumParallelEnv(team, curriculum))
    envs = supersuit.concat_vec_envs_v1(envs, COPIES, 2, base_class="stable_baselines3")
    envs = VecMonitor(envs)
    sb3.PPO("MlpPolicy", envs, n_steps=64, n_epochs=1, device="cpu").learn(1024)
    assert curriculum.tracker.totals()["completions"] * AGENTS == envs.episode_count > 10
    envs.close()


def rows_of_example(checkpoint, steps):
    """Step, episodes and mean score of each row that the example prints."""
    out = run_example("supersuit_ppo.py", "--steps", steps, "--checkpoint", checkpoint)
    return [tuple(map(float, re.findall(r"[\d.]+", row))) for row in out.splitlines()]


@pytest.mark.timeout(240)  # it trains twice
def test_the_example_learns_logs_and_goes_on(tmp_path):
    from examples.supersuit_ppo import CONFIG, ENVS
    from examples.supersuit_ppo import TASKS as tasks

    def saved():
        with Curriculum(tasks, CONFIG, seed=0) as curriculum:
            curriculum.load(f"{checkpoint}.curriculum")
            curriculum.verify()
            return curriculum.tracker.totals()

    checkpoint = tmp_path / "team.ckpt"
    rows = rows_of_example(checkpoint, 70_000)
    first = saved()
    assert first["completions"] == rows[-1][1]
    assert first["scheduled"] == first["completions"] + ENVS
    # What chance solves, once there are enough episodes for a mean.
    assert max(mean for *_, mean in rows) > 1.5 * rows[10][2]
    logged = [json.loads(line) for line in Path(f"{checkpoint}.jsonl").read_text().splitlines()]
    assert [line["curriculum/episodes"] for line in logged] == [episodes for _, episodes, _ in rows]
    shares = [name for name in logged[-1] if name.startswith("curriculum_share/tiny_")]
    assert "curriculum_share/tiny_1chain_0sinks_2agents" in shares

    again = rows_of_example(checkpoint, 4_096)
    second = saved()
    assert second["completions"] == first["completions"] + again[-1][1]
    assert second["scheduled"] == first["scheduled"] + again[-1][1] + ENVS
