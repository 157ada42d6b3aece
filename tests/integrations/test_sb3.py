"""Stable-Baselines3: every episode counts once, whatever becomes of the workers; logs; resuming."""

import csv
import os
import signal
import sys

import pytest

sb3 = pytest.importorskip("stable_baselines3")

from stable_baselines3 import DQN, PPO  # noqa: E402
from stable_baselines3.common.callbacks import BaseCallback  # noqa: E402
from stable_baselines3.common.env_util import make_vec_env  # noqa: E402
from stable_baselines3.common.logger import configure  # noqa: E402
from stable_baselines3.common.monitor import load_results  # noqa: E402
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv  # noqa: E402

from curricle import Curriculum, CurriculumEnv, NoiseAwareConfig  # noqa: E402
from curricle.integrations.sb3 import CurriculumCallback  # noqa: E402
from example_runs import run_example, run_python  # noqa: E402

# Longer than a terminal's column of names, and alike up to there.
LONG = "a label that a terminal cuts to 36 characters: "
TASKS = {
    f"{LONG}length {length}": {"length": length, "polemass_length": 0.1 * length}
    for length in (0.1, 0.5, 2.0)
}
FORKSERVER = {"vec_env_cls": SubprocVecEnv, "vec_env_kwargs": {"start_method": "forkserver"}}


@pytest.fixture
def curriculum():
    with Curriculum(TASKS, NoiseAwareConfig(score_range=(0.0, 500.0)), seed=3) as curriculum:
        yield curriculum


def make_envs(curriculum, folder, n_envs=4, **options):
    return make_vec_env(
        "CartPole-v1",
        n_envs=n_envs,
        wrapper_class=CurriculumEnv,
        wrapper_kwargs={"curriculum": curriculum, "apply": "attributes"},
        monitor_dir=str(folder),
        **options,
    )


def make_model(envs):
    return PPO("MlpPolicy", envs, n_steps=64, batch_size=64, n_epochs=1, device="cpu", seed=0)


class KillOneWorker(BaseCallback):
    """Kills a worker between two steps, when all of them wait."""

    def __init__(self, after):
        super().__init__()
        self.after = after

    def _on_step(self):
        if self.n_calls == self.after:
            process = self.training_env.processes[0]
            os.kill(process.pid, signal.SIGKILL)
            process.join()
        return True


@pytest.mark.parametrize("options", [{"vec_env_cls": DummyVecEnv}, FORKSERVER])
def test_every_episode_counts_once(curriculum, tmp_path, options):
    envs = make_envs(curriculum, tmp_path, **options)
    make_model(envs).learn(1024)
    envs.close()
    episodes = load_results(str(tmp_path))
    totals = curriculum.tracker.totals()
    assert totals["completions"] == len(episodes) > 4
    assert totals["score_sum"] == pytest.approx(episodes["r"].sum())
    # Each environment has drawn for the episode that the end of the training cut off.
    assert totals["scheduled"] == len(episodes) + 4
    curriculum.verify()


def test_a_killed_worker_ends_training_and_loses_no_finished_episode(curriculum, tmp_path):
    envs = make_envs(curriculum, tmp_path / "first", **FORKSERVER)
    model = make_model(envs)
    with pytest.raises((EOFError, ConnectionError)):
        model.learn(4096, KillOneWorker(after=200))
    for process in envs.processes:
        process.terminate()
        process.join()
    before = len(load_results(str(tmp_path / "first")))
    assert curriculum.tracker.totals()["completions"] == before > 4
    curriculum.verify()

    envs = make_envs(curriculum, tmp_path / "second", **FORKSERVER)
    model.set_env(envs)
    model.learn(512, reset_num_timesteps=False)
    envs.close()
    after = len(load_results(str(tmp_path / "second")))
    totals = curriculum.tracker.totals()
    assert totals["completions"] == before + after
    # Four episodes were cut off by the kill and four by the end.
    assert totals["scheduled"] == before + after + 8
    curriculum.verify()


@pytest.mark.parametrize("algorithm", ["on-policy", "off-policy"])
def test_each_row_of_the_log_says_what_happened_since_the_row_before(
    curriculum, tmp_path, capsys, algorithm
):
    envs = make_envs(curriculum, tmp_path / "episodes", n_envs=1)
    if algorithm == "on-policy":
        model = make_model(envs)
    else:
        model = DQN("MlpPolicy", envs, learning_starts=1_000_000, device="cpu", seed=0)
    model.set_logger(configure(str(tmp_path / "log"), ["stdout", "csv"]))
    model.learn(640, CurriculumCallback(curriculum, max_labels=2))
    envs.close()
    model.logger.close()

    with open(tmp_path / "log" / "progress.csv") as file:
        rows = list(csv.DictReader(file))
    counts = [0.0, *(float(row["curriculum/episodes"]) for row in rows)]
    assert len(rows) > 2
    assert 0 < counts[-1] <= curriculum.tracker.totals()["completions"]
    returns = load_results(str(tmp_path / "episodes"))["r"].to_numpy()
    for row, before, now in zip(rows, counts[:-1], counts[1:], strict=True):
        if now > before:
            episodes = returns[int(before) : int(now)]
            assert float(row["curriculum/score"]) == pytest.approx(episodes.mean())
    shares = [name for name in rows[0] if name.startswith("curriculum_share/")]
    assert len(shares) == 3
    shown = capsys.readouterr().out
    assert "curriculum/" in shown
    assert "curriculum_share" not in shown


def test_the_callback_gives_its_place_in_the_log_back(curriculum, tmp_path):
    envs = make_envs(curriculum, tmp_path, n_envs=1)
    model = make_model(envs)
    model.set_logger(configure(None, []))
    callback = CurriculumCallback(curriculum)
    callback.init_callback(model)
    callback.on_training_start({}, {})
    # As after training that ended in an error.
    callback.on_training_start({}, {})
    assert len(model.logger.output_formats) == 1
    callback.on_training_end()
    assert model.logger.output_formats == []
    envs.close()


def saved(folder):
    """Episodes counted and probabilities of the checkpoint, and the model's steps."""
    from examples.sb3_ppo import TASKS as tasks

    config = NoiseAwareConfig(score_range=(0.0, 500.0), use_shared_memory=False)
    with Curriculum(tasks, config, seed=0) as curriculum:
        curriculum.load(str(folder / "curriculum.ckpt"))
        episodes = curriculum.tracker.totals()["completions"]
        return episodes, PPO.load(folder / "model.zip", device="cpu").num_timesteps


def test_the_example_goes_on_where_it_ended(tmp_path):
    run_example("sb3_ppo.py", "--steps", 1024, "--folder", tmp_path)
    first, steps = saved(tmp_path)
    assert first == len(load_results(str(tmp_path))) > 4
    assert steps == 1024
    run_example("sb3_ppo.py", "--steps", 1024, "--folder", tmp_path)
    second, steps = saved(tmp_path)
    assert second == len(load_results(str(tmp_path))) > first
    assert steps == 2048


def test_a_checkpoint_brings_back_the_distribution(curriculum, tmp_path):
    envs = make_envs(curriculum, tmp_path)
    model = make_model(envs)
    model.learn(1024)
    curriculum.save(str(tmp_path / "curriculum.ckpt"))
    envs.close()
    ids, chances = curriculum.probabilities()
    code = (
        "import sys; from curricle import *; from test_sb3 import TASKS\n"
        "c = Curriculum(TASKS, NoiseAwareConfig(score_range=(0.0, 500.0)), seed=3)\n"
        "c.load(sys.argv[1]); ids, p = c.probabilities()\n"
        "print(*ids); print(*p); c.close()"
    )
    out = run_python("-c", code, tmp_path / "curriculum.ckpt", importable=sys.path)
    again_ids, again_chances = (line.split() for line in out.splitlines())
    assert dict(zip(map(int, again_ids), map(float, again_chances), strict=True)) == dict(
        zip(ids.tolist(), chances.tolist(), strict=True)
    )
