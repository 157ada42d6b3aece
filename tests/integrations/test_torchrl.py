"""TorchRL: every episode counts once, in whatever collector; its logs; kills; resuming."""

import csv
import os
import re
import signal
from functools import partial

import gymnasium as gym
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("torchrl", reason="TorchRL is not installed")

from torchrl.collectors import Collector, MultiSyncCollector  # noqa: E402
from torchrl.envs import GymWrapper, ParallelEnv, StepCounter, TransformedEnv  # noqa: E402
from torchrl.envs.utils import check_env_specs  # noqa: E402

from curricle import Curriculum, CurriculumEnv, NoiseAwareConfig  # noqa: E402
from curricle.integrations.torchrl import EpisodeReader  # noqa: E402
from example_runs import run_example  # noqa: E402
from restarts import probabilities, probabilities_after_restart  # noqa: E402

TASKS = {
    f"length {length}": {"length": length, "polemass_length": 0.1 * length}
    for length in (0.1, 0.5, 2.0)
}
WORKERS = 2


def make_curriculum():
    return Curriculum(TASKS, NoiseAwareConfig(score_range=(0.0, 500.0)), seed=3)


@pytest.fixture
def curriculum():
    with make_curriculum() as curriculum:
        yield curriculum


def make(curriculum):
    torch.set_num_threads(1)
    env = GymWrapper(CurriculumEnv(gym.make("CartPole-v1"), curriculum, apply="attributes"))
    return env.set_info_dict_reader(EpisodeReader())


def of_parallel_env(curriculum):
    """Steps of both workers in lockstep."""
    envs = ParallelEnv(WORKERS, partial(make, curriculum))
    return Collector(envs, None, frames_per_batch=200), lambda: envs._workers


def of_collecting_workers(curriculum):
    """Workers that collect by themselves, and wait when a batch is full."""
    makers = [partial(make, curriculum)] * WORKERS
    collector = MultiSyncCollector(makers, None, frames_per_batch=200)
    return collector, lambda: collector.procs


COLLECTORS = [of_parallel_env, of_collecting_workers]


def scores_by_task(data):
    """(task, score) of each episode that ended."""
    ended = data["next", "done"].flatten()
    facts = data["next", "curriculum"]
    assert torch.equal(facts["score"].flatten().isfinite(), ended)
    rows = (facts[name].flatten()[ended].tolist() for name in ("task_id", "score"))
    return list(zip(*rows, strict=True))


@pytest.mark.parametrize("make_collector", COLLECTORS)
def test_every_episode_counts_once_and_a_killed_worker_ends_collection(curriculum, make_collector):
    collector, processes = make_collector(curriculum)
    batches = iter(collector)
    episodes = [episode for _ in range(4) for episode in scores_by_task(next(batches))]
    totals = curriculum.tracker.totals()
    assert totals["completions"] == len(episodes) > 5
    assert totals["score_sum"] == sum(score for _, score in episodes)
    assert totals["scheduled"] == len(episodes) + WORKERS
    for task_id, label in enumerate(TASKS):
        played = [score for played_id, score in episodes if played_id == task_id]
        row = curriculum.label_totals()[label]
        assert (row["completions"], row["score_sum"]) == (len(played), sum(played))

    process = processes()[0]
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    # Which it is depends on the collector.
    with pytest.raises((RuntimeError, ValueError, OSError, EOFError)):
        for _ in batches:
            pass
    collector.shutdown()
    totals = curriculum.tracker.totals()
    assert totals["completions"] >= len(episodes)
    assert 0 <= totals["scheduled"] - totals["completions"] - WORKERS <= WORKERS
    curriculum.verify()

    before = totals["completions"]
    collector = Collector(make(curriculum), None, frames_per_batch=200)
    after = scores_by_task(next(iter(collector)))
    collector.shutdown()
    assert curriculum.tracker.totals()["completions"] == before + len(after)
    curriculum.verify()


def test_a_checkpoint_brings_back_the_distribution(curriculum, tmp_path):
    make(curriculum).rollout(1000, break_when_any_done=False)
    # Whatever was played by chance, one task now has progress.
    for score in (0.0, 0.0, 0.0, 500.0, 500.0, 500.0):
        curriculum.report(0, score)
    curriculum.save(str(tmp_path / "curriculum.ckpt"))
    before = probabilities(curriculum)
    assert len(set(before.values())) > 1
    assert probabilities_after_restart(str(tmp_path / "curriculum.ckpt"), make_curriculum) == before


def test_the_reader_says_which_task_each_step_is_of(curriculum):
    env = make(curriculum)
    check_env_specs(env)
    data = env.rollout(300, break_when_any_done=False)
    begun = data["curriculum", "task_id"].flatten()
    following = data["next", "curriculum", "task_id"].flatten()
    # Facts of a step are those of the episode that it belongs to, also of its last step.
    assert torch.equal(begun, following)
    ended = data["next", "done"].flatten()
    changes = (begun[1:] != begun[:-1]).nonzero().flatten()
    assert len(changes) > 1
    assert ended[changes].all()


def test_a_time_limit_outside_is_told(curriculum):
    env = TransformedEnv(make(curriculum), StepCounter(max_steps=3))
    with pytest.warns(UserWarning, match="put it inside"):
        env.rollout(40, break_when_any_done=False)
    assert curriculum.tracker.totals()["completions"] == 0


def last_row_of_example(folder, steps):
    """The numbers of the last row that the example prints: steps and episodes."""
    out = run_example("torchrl_ppo.py", "--steps", steps, "--folder", folder)
    return list(map(int, re.findall(r"\d+", out.splitlines()[-1])))


def logged(folder, name):
    """Values of a scalar in the trainer's log."""
    with open(folder / "ppo" / "scalars" / f"{name}.csv") as file:
        return [float(value) for _, value in csv.reader(file)]


@pytest.mark.timeout(240)  # it trains twice
def test_the_example_learns_logs_and_goes_on(tmp_path):
    from examples.torchrl_ppo import CONFIG, WORKERS
    from examples.torchrl_ppo import TASKS as tasks

    def saved():
        with Curriculum(tasks, CONFIG, seed=0) as curriculum:
            curriculum.load(f"{tmp_path}/curriculum.ckpt")
            curriculum.verify()
            return curriculum.tracker.totals()

    _, episodes = last_row_of_example(tmp_path, 5_120)
    first = saved()
    assert first["completions"] == episodes
    assert first["scheduled"] == episodes + WORKERS
    scores = logged(tmp_path, "curriculum/score")
    assert max(scores) > 1.5 * scores[0]
    assert logged(tmp_path, "curriculum/episodes") == logged(tmp_path, "episodes")
    assert max(logged(tmp_path, "curriculum_share/length 0.05")) > 0.0

    _, more = last_row_of_example(tmp_path, 1_024)
    second = saved()
    assert second["completions"] == episodes + more
    assert second["scheduled"] == episodes + more + 2 * WORKERS
    # An agent that began anew would be where the first began.
    assert logged(tmp_path, "curriculum/score")[-1] > 1.2 * scores[0]
