"""The example of RLlib goes on where it ended, agent and tasks alike."""

import re

import pytest

pytest.importorskip("ray.rllib", reason="RLlib is not installed")
pytest.importorskip("torch", reason="PyTorch is not installed")

from curricle import Curriculum, NoiseAwareConfig
from example_runs import run_example


def two_iterations(folder):
    """Steps after each, and episodes in all, as the example prints them."""
    printed = run_example("rllib_ppo.py", "--iterations", 2, "--folder", folder)
    steps = [int(count) for count in re.findall(r"^ *(\d+) steps", printed, re.MULTILINE)]
    return steps, sum(int(count) for count in re.findall(r"(\d+) episodes", printed))


def saved_episodes(folder):
    from examples.rllib_ppo import TASKS

    config = NoiseAwareConfig(score_range=(0.0, 500.0), use_shared_memory=False)
    with Curriculum(TASKS, config, seed=0) as curriculum:
        curriculum.load(str(folder / "curriculum.ckpt"))
        return curriculum.tracker.totals()["completions"]


def test_the_example_goes_on_where_it_ended(tmp_path):
    first_steps, first = two_iterations(tmp_path)
    assert 2048 <= first_steps[0] < first_steps[1]
    assert saved_episodes(tmp_path) == first > 4
    second_steps, second = two_iterations(tmp_path)
    assert second_steps[0] >= first_steps[1] + 2048
    assert saved_episodes(tmp_path) == second > first
