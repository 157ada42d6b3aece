"""The scripts that train by themselves: they learn, and count each episode once."""

import re

import pytest

torch = pytest.importorskip("torch")

from curricle import Curriculum  # noqa: E402
from example_runs import run_example  # noqa: E402


def last_numbers(lines):
    return [float(re.search(r"[\d.]+$", line)[0]) for line in lines]


def test_ppo_learns_and_goes_on_from_its_checkpoint(tmp_path):
    from examples.cleanrl_ppo import CONFIG, TASKS

    def episodes_saved():
        with Curriculum(TASKS, CONFIG, seed=0) as curriculum:
            curriculum.load(f"{checkpoint}.curriculum")
            curriculum.verify()
            totals = curriculum.tracker.totals()
            # Each of the eight environments was in an episode when the script ended.
            assert totals["scheduled"] - totals["completions"] in (8, 16)
            return totals["completions"]

    checkpoint = tmp_path / "agent.ckpt"
    means = last_numbers(
        run_example("cleanrl_ppo.py", "--steps", 16_384, "--checkpoint", checkpoint).splitlines()
    )
    assert max(means[-4:]) > 2 * means[0]
    first = episodes_saved()
    again = run_example("cleanrl_ppo.py", "--steps", 4_096, "--checkpoint", checkpoint)
    # An agent that began anew would need as long as the first did.
    assert last_numbers(again.splitlines())[-1] > 1.3 * means[0]
    assert episodes_saved() > first


def test_level_replay_reports_each_episode_once_and_learns_to_cross_lakes():
    *rows, last = run_example("level_replay_by_value_loss.py").splitlines()
    begun, reported = map(float, re.findall(r"[\d.]+", last))
    # Each of the sixteen environments was in an episode when the script ended.
    assert begun - 16 == reported > 1000
    crossed = last_numbers(rows)
    assert crossed[-1] > crossed[0] + 10
