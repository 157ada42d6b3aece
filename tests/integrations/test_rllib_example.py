"""The example of RLlib goes on where it ended, agent and tasks alike."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray.rllib", reason="RLlib is not installed")
pytest.importorskip("torch", reason="PyTorch is not installed")

from curricle import Curriculum, NoiseAwareConfig

ROOT = Path(__file__).parents[2]


def run_example(folder):
    """Runs two iterations: steps after each, and episodes in all, as it prints them."""
    command = [sys.executable, ROOT / "examples" / "rllib_ppo.py", "--iterations", "2"]
    printed = subprocess.run(
        [*command, "--folder", folder],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    ).stdout
    steps = [int(count) for count in re.findall(r"^ *(\d+) steps", printed, re.MULTILINE)]
    return steps, sum(int(count) for count in re.findall(r"(\d+) episodes", printed))


def saved_episodes(folder):
    from examples.rllib_ppo import TASKS

    config = NoiseAwareConfig(score_range=(0.0, 500.0), use_shared_memory=False)
    with Curriculum(TASKS, config, seed=0) as curriculum:
        curriculum.load(str(folder / "curriculum.ckpt"))
        return curriculum.tracker.totals()["completions"]


def test_the_example_goes_on_where_it_ended(tmp_path):
    first_steps, first = run_example(tmp_path)
    assert 2048 <= first_steps[0] < first_steps[1]
    assert saved_episodes(tmp_path) == first > 4
    second_steps, second = run_example(tmp_path)
    assert second_steps[0] >= first_steps[1] + 2048
    assert saved_episodes(tmp_path) == second > first
