"""The bench of trainers: arms by turns, what is missing or fails, and lines that a user adds."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benches.trainers.__main__ import app
from benches.trainers.added_lines import added_lines
from benches.trainers.catalogue import TRAINERS, Entry
from benches.trainers.pairs import compare, measure
from idle_trainers import IdleEntry, Trainer

# Linux counts processor time by ticks of some milliseconds.
HOW = {"pairs": 3, "turn_seconds": 0.05, "lead_seconds": 0.0}


def test_both_arms_train_in_pairs_and_one_has_the_curriculum(monkeypatch):
    order = []
    train = Trainer.train

    def noted(arm):
        order.append("on" if hasattr(arm._env, "curriculum") else "off")
        return train(arm)

    monkeypatch.setattr(Trainer, "train", noted)
    entry = IdleEntry()
    cost = compare(entry, entry.load(), **HOW)
    # Once at the beginning, then "off on", "on off", "off on".
    assert [name for name, _ in itertools.groupby(order)] == ["off", "on"] * 3
    assert cost.episodes == order.count("on")
    assert cost.trainer == f"Idle {np.__version__}"
    for figures in (cost.on, cost.off, cost.on_by_work, cost.off_by_work):
        assert len(figures.rounds) == 3
        assert all(0 < rate < math.inf for rate in figures.rounds)
    assert cost.ratio.rounds[0] == cost.on.rounds[0] / cost.off.rounds[0]


def test_what_is_missing_or_fails_is_named_and_the_others_go_on(monkeypatch, capfd):
    entries = {
        "missing": Entry("Missing", "missing", "missing", ""),
        "killed": IdleEntry(title="Killed", module="Killed"),
        "diverged": IdleEntry(title="Diverged", module="Diverged"),
        "idle": IdleEntry(),
    }
    for name, entry in entries.items():
        monkeypatch.setitem(TRAINERS, name, entry)
    failed = {}
    found = measure(failed, entries, **HOW)
    assert [cost.trainer for cost in found.costs] == [f"Idle {np.__version__}"]
    why = "ModuleNotFoundError: No module named 'benches.trainers.missing'"
    assert found.missing == {"Missing": why}
    assert failed == {
        "Killed": "its process ended with exit code -9",
        "Diverged": "ArithmeticError: an iteration of 4 steps with a loss of nan",
    }
    assert "in checked" in capfd.readouterr().err

    ran = CliRunner().invoke(app, ["--quick", "missing", "diverged", "idle"])
    assert ran.exit_code == 1
    assert f"| Idle {np.__version__} | 4 | {len(IdleEntry().lines)} | 2 |" in ran.stdout
    assert f"Not measured, as they cannot be imported: Missing ({why})." in ran.stdout
    assert "\nDiverged failed: ArithmeticError: " in ran.stdout


def test_a_name_that_is_none_is_refused_with_those_that_are():
    ran = CliRunner().invoke(app, ["stable-baselines3"], env={"COLUMNS": "200"})
    assert ran.exit_code == 2
    assert "'stable-baselines3' is none of cleanrl, sb3, supersuit" in ran.output


def test_lines_with_what_is_there_for_the_curriculum_are_counted(tmp_path):
    example = tmp_path / "example.py"
    example.write_text(
        '''"""A curriculum in a docstring."""
import trainer
from functools import partial
from curricle import Curriculum, CurriculumEnv as Wrapped  # a comment
from curricle.assembly_lines import AssemblyLinesEnv

TASKS = {"curriculum": 1}
curriculum = Curriculum(TASKS)
make = partial(Wrapped, AssemblyLinesEnv())
trainer.train(make, "curriculum")  # with a curriculum
curriculum_file = "file"; curriculum.save(curriculum_file)
'''
    )
    lines = added_lines(example, ["partial"])
    assert [line.partition(" ")[0] for line in lines] == [
        "from",
        "from",
        "curriculum",
        "make",
        "curriculum_file",
    ]


@pytest.mark.parametrize("entry", TRAINERS.values(), ids=TRAINERS)
def test_the_lines_of_an_example_are_those_that_wrap_save_and_load(entry):
    lines = "\n".join(entry.lines)
    assert "from curricle import Curriculum" in lines
    for said in ("curriculum.load(", "curriculum.save(", "NoiseAwareConfig("):
        assert said in lines
    for helper in entry.helpers:
        assert helper in lines
    page = Path(__file__).parents[1] / "docs" / "integrations.md"
    (row,) = [row for row in page.read_text().splitlines() if row.startswith(f"| {entry.title} |")]
    assert row.split(" | ")[2] == str(len(entry.lines))
    assert f"(../examples/{entry.example})" in row
