"""The agent, its curve and pictures, and the training job as a real command."""

import csv
import json
import math
import os
import re
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from pydantic import ValidationError
from typer.testing import CliRunner

from curricle import _core
from curricle.assembly_lines import (
    AssemblyLinesConfig,
    AssemblyLinesEnv,
    AssemblyLinesTaskGenerator,
)
from curricle.assembly_lines.layout import OBSERVATION_SIZE
from curricle.cli import app
from curricle.errors import CheckpointError
from curricle.plots import draw_run
from curricle.training.agent import LinearActorCritic, estimate_advantages
from curricle.training.checkpoint import Progress
from curricle.training.curve import curve_points, write_curve
from curricle.training.evaluation import evaluate, evaluation_tasks
from curricle.training.features import NOTHING_THERE, NUM_ACTIVE, NUM_FEATURES, active_features
from curricle.training.rollout import Rollout
from curricle.training.run_folder import create_folder, read_settings
from curricle.training.settings import AgentSettings, TrainSettings
from curricle.training.summary import summarise
from curricle.training.trainer import Result, make_curriculum, make_generator

COMMAND = [sys.executable, "-m", "curricle.cli", "train", "assembly-lines"]
LIMIT = 100


def random_rollout(rng, steps=12, num_envs=3):
    rollout = Rollout(steps, num_envs)
    shape = (steps, num_envs)
    rollout.features[:] = rng.integers(NUM_FEATURES, size=(*shape, NUM_ACTIVE))
    rollout.actions[:] = rng.integers(4, size=shape)
    rollout.values[:] = rng.normal(size=shape)
    rollout.rewards[:] = rng.integers(2, size=shape)
    rollout.terminated[:] = rng.random(shape) < 0.2
    rollout.ended[:] = rollout.terminated | (rng.random(shape) < 0.2)
    rollout.is_step[1:] = ~rollout.ended[:-1]
    rollout.is_step[0] = True
    return rollout


def test_the_published_task_set_is_a_preset_of_the_job():
    choices = make_generator(TrainSettings(tasks="published", impossible_ratio=0.2)).config
    assert choices == AssemblyLinesTaskGenerator.Config.published(impossible_ratio=0.2)
    assert choices.chain_lengths == (2, 3, 4)
    assert choices.room_sizes == ("small", "medium")


def test_long_chains_are_a_preset_of_the_job():
    choices = make_generator(TrainSettings(tasks="long-chains", noisy_ratio=0.2)).config
    assert choices == AssemblyLinesTaskGenerator.Config(
        chain_lengths=(3, 4), room_sizes=("small", "medium"), noisy_ratio=0.2
    )


def test_fresh_rooms_are_for_training_alone():
    choices = make_generator(TrainSettings(fresh_rooms=True)).config
    assert choices.fresh_rooms
    # Success is measured in rooms that are the same for all runs.
    assert evaluation_tasks(choices) == evaluation_tasks(AssemblyLinesTaskGenerator.Config())


class TestFeatures:
    def test_they_are_indices_of_weights(self):
        for family in ("normal", "impossible", "noisy"):
            observations = []
            for config in evaluation_tasks(AssemblyLinesTaskGenerator.Config(), family):
                observations.append(AssemblyLinesEnv(config).reset(seed=0)[0])
            features = active_features(np.stack(observations))
            assert features.shape == (len(observations), NUM_ACTIVE)
            assert features.min() >= 0
            assert features.max() < NUM_FEATURES

    def test_an_assembler_is_the_same_one_in_chains_of_any_length(self):
        observation = np.zeros((2, OBSERVATION_SIZE), np.int8)
        assembler = (2, 1, -2, 1, 2)
        observation[0, 6 + 5 * 1 : 6 + 5 * 2] = assembler
        observation[1, 6 + 5 * 3 : 6 + 5 * 4] = assembler
        first, second = (set(row) - {NOTHING_THERE} for row in active_features(observation))
        assert first == second
        assert len(first) == 3

    def test_what_is_held_changes_them_all(self):
        observation = np.zeros((2, OBSERVATION_SIZE), np.int8)
        observation[:, 6:11] = (2, 1, -2, 1, 2)
        observation[1, 0] = 1
        first, second = (set(row) - {NOTHING_THERE} for row in active_features(observation))
        assert not first & second


class TestAgent:
    def test_the_gradient_is_that_of_the_objective(self):
        rng = np.random.default_rng(0)
        agent = LinearActorCritic(AgentSettings(entropy_weight=0.3, value_weight=0.7))
        features = rng.integers(40, size=(6, NUM_ACTIVE))
        actions = rng.integers(4, size=6)
        advantages, returns = rng.normal(size=6), rng.normal(size=6)
        agent.weights[:40] = rng.normal(size=(40, 5)) * 0.2

        def objective():
            probabilities, values = agent.evaluate(features)
            log = np.log(probabilities)
            return float(
                np.mean(
                    advantages * log[np.arange(6), actions]
                    - 0.3 * (probabilities * log).sum(axis=1)
                    - 0.35 * (returns - values) ** 2
                )
            )

        gradient = agent.gradient(features, actions, advantages, returns)
        for row, column in zip(rng.integers(40, size=25), rng.integers(5, size=25), strict=True):
            at = agent.weights[row, column]
            agent.weights[row, column] = at + 1e-5
            above = objective()
            agent.weights[row, column] = at - 1e-5
            below = objective()
            agent.weights[row, column] = at
            assert gradient[row, column] == pytest.approx((above - below) / 2e-5, abs=1e-7)

    def test_advantages_are_discounted_sums_within_an_episode(self):
        rng = np.random.default_rng(1)
        settings = AgentSettings(discount=0.9, trace=0.8)
        rollout = random_rollout(rng)
        last = rng.normal(size=3)
        following = np.vstack([rollout.values[1:], last])
        errors = rollout.rewards + 0.9 * following * ~rollout.terminated - rollout.values
        advantages = estimate_advantages(rollout, last, settings)
        for start in range(12):
            for env in range(3):
                total, factor = 0.0, 1.0
                for step in range(start, 12):
                    total += factor * errors[step, env]
                    factor *= 0.9 * 0.8
                    if rollout.ended[step, env]:
                        break
                assert advantages[start, env] == pytest.approx(total)

    def test_an_absent_machine_weighs_nothing(self):
        agent = LinearActorCritic(AgentSettings())
        rollout = random_rollout(np.random.default_rng(2))
        rollout.features[:, :, :5] = NOTHING_THERE
        agent.learn(rollout, np.zeros(3))
        assert not agent.weights[NOTHING_THERE].any()
        assert agent.weights.any()

    def test_it_learns_the_shortest_chain(self):
        rng = np.random.default_rng(3)
        agent = LinearActorCritic(AgentSettings(learning_rate=0.02))
        tasks = [
            AssemblyLinesConfig(chain_length=1, room_size="tiny", seed=seed) for seed in range(8)
        ]
        envs = [AssemblyLinesEnv(task) for task in tasks]
        observations = np.stack([env.reset(seed=1)[0] for env in envs])
        for _ in range(120):
            rollout = Rollout(32, len(envs))
            rollout.is_step[:] = True
            for step in range(32):
                rollout.features[step] = active_features(observations)
                rollout.actions[step], rollout.values[step] = agent.act(rollout.features[step], rng)
                for index, env in enumerate(envs):
                    observation, reward, terminated, truncated, _ = env.step(
                        rollout.actions[step, index]
                    )
                    if terminated or truncated:
                        observation, _ = env.reset()
                    observations[index] = observation
                    rollout.rewards[step, index] = reward
                    rollout.terminated[step, index] = terminated or truncated
            rollout.ended[:] = rollout.terminated
            agent.learn(rollout, agent.evaluate(active_features(observations))[1])
        unseen = [task.model_copy(update={"seed": 1000 + task.seed}) for task in tasks * 4]
        assert evaluate(agent, unseen, rng)["tiny_1chain_0sinks"] >= 0.9

    def test_its_state_makes_an_agent_that_goes_on_alike(self):
        rng = np.random.default_rng(4)
        rollouts = [random_rollout(rng) for _ in range(3)]
        one, other = LinearActorCritic(AgentSettings()), LinearActorCritic(AgentSettings())
        one.learn(rollouts[0], np.zeros(3))
        other.load_state(one.state())
        for agent in (one, other):
            agent.learn(rollouts[1], np.ones(3))
            agent.learn(rollouts[2], np.ones(3))
        assert np.array_equal(one.weights, other.weights)

    def test_it_refuses_the_state_of_other_features(self):
        agent = LinearActorCritic(AgentSettings())
        with pytest.raises(ValueError, match=r"\(3, 5\): it was written by another version"):
            agent.load_state({**agent.state(), "weights": np.zeros((3, 5))})


def test_an_agent_without_a_machine_in_sight_is_there_unless_its_team_has_no_such_agent():
    features = np.full((2, NUM_ACTIVE), NOTHING_THERE)
    actions, values = np.zeros(2, np.int64), np.zeros(2)
    alone, team = Rollout(1, 2), Rollout(1, 2)
    for rollout, envs in ((alone, 2), (team, 1)):
        no = np.zeros(envs, np.bool_)
        rollout.record(0, features, actions, values, np.zeros(envs), no, no, no)
    assert alone.is_step.tolist() == [[True, True]]
    assert team.is_step.tolist() == [[False, False]]


def test_an_impossible_label_is_never_solved():
    tasks = evaluation_tasks(
        AssemblyLinesTaskGenerator.Config(chain_lengths=(1,), room_sizes=("tiny",)), "impossible"
    )
    agent = LinearActorCritic(AgentSettings())
    success = evaluate(agent, tasks, np.random.default_rng(0))
    assert success == {
        "tiny_1chain_0sinks_IMPOSSIBLE": 0.0,
        "tiny_1chain_1sinks_IMPOSSIBLE": 0.0,
    }


def test_the_success_of_a_run_is_that_of_what_can_be_learned():
    success = {
        "tiny_1chain_0sinks": 1.0,
        "tiny_2chain_0sinks": 0.5,
        "tiny_1chain_0sinks_IMPOSSIBLE": 0.0,
        "tiny_1chain_0sinks_NOISY": 0.4,
    }
    summary = summarise(TrainSettings(noisy_ratio=0.1), Result(Progress(), {}, success, True))
    assert (summary["success"], summary["least_success"]) == (0.75, 0.5)


def test_a_noisy_label_pays_by_its_coin_in_an_evaluation():
    choices = AssemblyLinesTaskGenerator.Config(chain_lengths=(1,), room_sizes=("tiny",))
    tasks = [
        task.model_copy(update={"max_steps": 2}) for task in evaluation_tasks(choices, "noisy") * 20
    ]
    success = evaluate(LinearActorCritic(AgentSettings()), tasks, np.random.default_rng(0))
    assert success.keys() == {"tiny_1chain_0sinks_NOISY", "tiny_1chain_1sinks_NOISY"}
    for mean in success.values():
        assert mean == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 160))


def test_a_local_run_is_one_process():
    with pytest.raises(ValidationError, match="processes=4 and backend='local'"):
        TrainSettings(backend="local")


@pytest.fixture
def curve():
    labels = [
        "tiny_1chain_0sinks",
        "medium_4chain_1sinks_2agents",
        "small_2chain_0sinks_IMPOSSIBLE",
        "tiny_2chain_0sinks_2agents_NOISY",
    ]
    points = []
    for index in range(1, 6):
        totals = {
            label: {
                "scheduled": float(10 * index * (row + 1)),
                "completions": float(10 * index * (row + 1)),
                "env_steps": float(100 * index),
                "score_sum": float(5 * index),
                "lp_mean": 0.1,
            }
            for row, label in enumerate(labels)
        }
        success = {labels[0]: index / 5, labels[1]: index / 10}
        points += curve_points(60 * index, 300 * index, float(index), totals, success)
    return points


def test_the_curve_is_a_table_of_one_row_a_label_and_point(curve, tmp_path):
    write_curve(tmp_path / "curve.csv", curve)
    with (tmp_path / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    assert rows[-1]["episodes"] == "300"
    assert {row["success"] for row in rows if row["label"].endswith("IMPOSSIBLE")} == {"nan"}


def test_the_pictures_are_drawn(curve, tmp_path):
    draw_run(tmp_path, curve, "Test")
    for name in ("learning_curve.png", "label_shares.png"):
        pixels = imread(tmp_path / name)
        assert pixels.shape[:2] == (840, 1500)
        assert pixels.std() > 0.05


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    folder = create_folder(tmp_path / "run", TrainSettings(seed=3))
    assert read_settings(folder).seed == 3
    with pytest.raises(FileExistsError, match="--resume"):
        create_folder(folder, TrainSettings())
    with pytest.raises(CheckpointError, match="cannot go on"):
        read_settings(tmp_path)


def coin_among_failures(curriculum):
    """Learning progress, and share of the draws, of a task that every other episode solves."""
    settings = TrainSettings(curriculum=curriculum, backend="local", processes=1, pool_size=10)
    with closing(make_curriculum(settings)) as drawn:
        ids, _ = drawn.probabilities()
        for task in ids:
            for number in range(100):
                drawn.report(int(task), float(task == ids[0] and number % 2))
        share = dict(zip(*drawn.probabilities(), strict=True))[ids[0]]
        return drawn.explain(int(ids[0]))["lp_score"], share


def test_each_choice_draws_by_its_own_learning_progress():
    lp, share = coin_among_failures("learning-progress")
    assert lp > 0.001
    assert share > 0.8
    lp, share = coin_among_failures("noise-aware")
    assert lp < 1e-4
    assert share < 0.1
    assert coin_among_failures("uniform")[1] == pytest.approx(0.1)


class TestCommandLine:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--processes", "0"], "--processes"),
            (["--impossible-ratio", "1.5"], "less than or equal to 1"),
            (["--curriculum", "random"], "'learning-progress', 'noise-aware', 'uniform'"),
            (["--resume", "nowhere"], "does not exist"),
        ],
    )
    def test_a_wrong_value_is_named(self, arguments, message):
        result = CliRunner().invoke(app, ["train", "assembly-lines", *arguments])
        assert result.exit_code == 2
        assert message in re.sub(r"[\s│]+", " ", result.output)

    def test_a_resumed_run_keeps_its_settings(self, tmp_path):
        arguments = ["--resume", str(tmp_path), "--seed", "3"]
        result = CliRunner().invoke(app, ["train", "assembly-lines", *arguments])
        assert result.exit_code == 2
        assert "'--seed': the resumed run has its own" in re.sub(r"[\s│]+", " ", result.output)

    def test_an_error_is_one_line(self, tmp_path):
        (tmp_path / "something").touch()
        arguments = ["train", "assembly-lines", "--out", str(tmp_path)]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 1
        assert result.output.count("\n") == 1
        assert result.output.startswith("error: the folder ")
        assert isinstance(CliRunner().invoke(app, [*arguments, "--debug"]).exception, OSError)

    def test_a_missing_extra_is_named(self):
        code = "import sys; sys.modules['typer'] = None; import curricle.cli"
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT
        )
        assert result.returncode == 1
        assert result.stderr == (
            "curricle: typer is missing; install it with: pip install 'curricle[cli]'\n"
        )

    def test_a_missing_engine_is_named(self, tmp_path):
        arguments = ["train", "mettagrid-assembly-lines", "--out", str(tmp_path / "run")]
        code = (
            "import sys; sys.modules['mettagrid'] = None;"
            f"sys.argv[1:] = {arguments}; from curricle.cli import main; main()"
        )
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT
        )
        assert result.returncode == 1
        assert result.stderr == (
            "error: mettagrid is missing; install it with: pip install 'curricle[mettagrid]' "
            "(Python 3.11 or 3.12, Linux with glibc 2.34 or newer)\n"
        )
        assert not (tmp_path / "run").exists()

    def test_a_run_goes_on_in_its_own_engine(self, tmp_path):
        folder = create_folder(tmp_path / "run", TrainSettings(engine="mettagrid-assembly-lines"))
        arguments = ["train", "assembly-lines", "--resume", str(folder)]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 1
        assert result.output == (
            f"error: the run in {folder} is one of mettagrid-assembly-lines; go on with: "
            f"curricle train mettagrid-assembly-lines --resume {folder}\n"
        )

    def test_the_package_needs_no_extra(self):
        code = (
            "import sys, curricle, curricle.assembly_lines;"
            "print({'typer', 'rich', 'matplotlib', 'mettagrid'} & sys.modules.keys())"
        )
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=True
        )
        assert result.stdout == "set()\n"


def run_environment(session):
    return {**os.environ, "CURRICLE_SESSION": session}


def run_command(arguments, session):
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        env=run_environment(session),
    )


def is_left(session):
    return any(entry["name"] == session for entry in _core.list_sessions())


@pytest.mark.parametrize("curriculum", ["uniform", "learning-progress"])
def test_a_run_fills_its_folder_and_goes_on(curriculum, tmp_path):
    folder = tmp_path / "run"
    session = f"curricle-test-train-{os.getpid()}-{curriculum}"
    new = ["--curriculum", curriculum, "--processes", "2", "--seed", "5", "--out", str(folder)]
    result = run_command([*new, "--episodes", "60"], session)
    assert (result.returncode, result.stderr) == (0, "")
    assert not is_left(session)
    assert {path.name for path in folder.iterdir()} == {
        "checkpoint.npz",
        "curve.csv",
        "label_shares.png",
        "learning_curve.png",
        "settings.json",
        "summary.json",
    }
    check_summary(folder, episodes=60, seed=5)

    result = run_command(["--resume", str(folder), "--episodes", "120"], session)
    assert (result.returncode, result.stderr) == (0, "")
    check_summary(folder, episodes=120, seed=5)


def test_a_run_of_steps_ends_by_steps_and_goes_on_by_either(tmp_path):
    folder = tmp_path / "run"
    session = f"curricle-test-steps-{os.getpid()}"
    new = ["--processes", "2", "--out", str(folder), "--steps", "6000"]
    result = run_command([*new, "--episodes", "60"], session)
    assert (result.returncode, folder.exists()) == (2, False)
    assert "not both" in result.stderr

    result = run_command(new, session)
    assert (result.returncode, result.stderr) == (0, "")
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["env_steps"] in (6000, 6001)
    with (folder / "curve.csv").open() as file:
        points = sorted({int(row["env_steps"]) for row in csv.DictReader(file)})
    # Every 2,500 steps, as soon as an update has been made, and at the end.
    assert [2500 <= points[0] <= 2756, 5000 <= points[1] <= 5256] == [True, True]
    assert points[2:] == [summary["env_steps"]]

    result = run_command(["--resume", str(folder), "--steps", "5000"], session)
    assert result.returncode == 1
    assert "give a larger --steps" in result.stderr
    episodes = summary["episodes"] + 20
    result = run_command(["--resume", str(folder), "--episodes", str(episodes)], session)
    assert (result.returncode, result.stderr) == (0, "")
    check_summary(folder, episodes=episodes, seed=0)


def check_summary(folder: Path, episodes, seed):
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["settings"]["episodes"] == episodes
    assert summary["seed"] == seed
    assert summary["steps_per_second"] > 0
    assert summary["versions"]["curricle"] == _core.__version__
    # Two processes may end an episode in one step.
    assert episodes <= summary["episodes"] <= episodes + 1
    labels = summary["labels"].values()
    assert sum(label["completions"] for label in labels) <= summary["episodes"]
    assert sum(label["completions"] for label in labels) >= 0.9 * episodes
    assert 0 < sum(label["env_steps"] for label in labels) <= summary["env_steps"]
    for name, label in summary["labels"].items():
        assert label["samples"] >= label["completions"]
        assert 0.0 <= label["mean_reward"] <= 1.0
        assert math.isfinite(label["lp"])
        if name.endswith("_IMPOSSIBLE"):
            assert (label["mean_reward"], label["success"]) == (0.0, 0.0)


def start_run(folder, session):
    """A run of two workers that has begun to train."""
    process = subprocess.Popen(
        [*COMMAND, "--processes", "2", "--out", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A terminal sends Ctrl-C to the whole group.
        start_new_session=True,
        env=run_environment(session),
    )
    assert process.stdout is not None
    assert "episodes" in process.stdout.readline()
    return process


def test_ctrl_c_leaves_a_checkpoint_and_nothing_else(tmp_path):
    folder = tmp_path / "run"
    session = f"curricle-test-interrupt-{os.getpid()}"
    process = start_run(folder, session)
    os.killpg(process.pid, signal.SIGINT)
    # Every worker inherited the pipe, so that its end is the end of them all.
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert re.search(rf"^stopped after \d+ of 8000 .* --resume {folder}$", output, re.MULTILINE)
    assert "Traceback" not in output
    assert not is_left(session)

    result = run_command(["--resume", str(folder), "--episodes", "40"], session)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="finds the worker in /proc")
def test_a_dead_worker_ends_the_run_with_a_checkpoint_and_nothing_else(tmp_path):
    folder = tmp_path / "run"
    session = f"curricle-test-dead-worker-{os.getpid()}"
    process = start_run(folder, session)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [
        int(child)
        for child in children
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 1
    assert output.splitlines()[-1] == "error: a worker process died; go on with --resume"
    assert "Traceback" not in output
    assert not is_left(session)
    assert (folder / "checkpoint.npz").exists()


def test_a_damaged_checkpoint_is_one_line(tmp_path):
    folder = create_folder(tmp_path / "run", TrainSettings(processes=1))
    (folder / "checkpoint.npz").write_bytes(b"PK\x03\x04 and not much more")
    result = run_command(["--resume", str(folder)], f"curricle-test-damaged-{os.getpid()}")
    assert result.returncode == 1
    assert result.stderr.startswith("error: cannot go on from ")
    assert result.stderr.count("\n") == 1
