"""The recipe of impossible tasks: its checks, real short trainings, and the command."""

import json
import math
import re
from contextlib import closing
from dataclasses import replace
from inspect import signature

import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from curricle import Curriculum, LearningProgressConfig
from curricle.assembly_lines import AssemblyLinesTaskGenerator
from curricle.cli import app
from curricle.cli_recipe import impossible
from curricle.recipes.impossible import (
    LabelFigures,
    check_family,
    label_figures,
    late_share,
    uniform_share,
    without_progress,
)
from curricle.recipes.report import Run, outcomes, write_json
from curricle.training.checkpoint import Progress
from curricle.training.curve import CurvePoint
from curricle.training.settings import TrainSettings
from curricle.training.trainer import Result

CHECKS = ["draws", "reward", "lp", "lp_of_learners", "lp_of_normal", "share"]
COMMAND = ["recipe", "impossible", "--backend", "local", "--seeds", "1"]


def figures(label, late_samples, success, lp, score_sum=0.0, **others):
    """A label with five tasks and 100 episodes."""
    given = {"tasks": 5, "samples": 100, "completions": 100, "score_sum": score_sum} | others
    return LabelFigures(
        label=label, late_samples=late_samples, late_success=success, lp=lp, **given
    )


# The families have 10 of 25 tasks each, so that 20% of the late draws are half of their share.
GOOD = {
    "easy": figures("tiny_1chain_0sinks", 40, 0.97, 0.02, score_sum=90.0),
    "learner": figures("small_2chain_0sinks", 120, 0.5, 0.2, score_sum=40.0, tasks=0),
    "impossible": figures("tiny_1chain_0sinks_IMPOSSIBLE", 10, 0.0, 0.01),
    "other impossible": figures("tiny_2chain_0sinks_IMPOSSIBLE", 10, 0.0, 0.03),
    "noisy": figures("tiny_1chain_0sinks_NOISY", 10, 0.5, 0.01, score_sum=55.0),
    "other noisy": figures("small_2chain_0sinks_NOISY", 10, 0.5, 0.03, score_sum=45.0),
}
GOOD["easy"] = replace(GOOD["easy"], lp=0.05)


def failures(labels, family):
    checks = check_family(list(labels.values()), family)
    assert [check.name for check in checks] == CHECKS
    return [check.name for check in checks if not check.passed]


def changed(**changes):
    """The good figures, with fields of some labels replaced."""
    names = {name.replace(" ", "_"): name for name in GOOD}
    return GOOD | {names[key]: replace(GOOD[names[key]], **new) for key, new in changes.items()}


@pytest.mark.parametrize("family", ["impossible", "noisy"])
class TestChecks:
    def test_good_figures_pass_them_all(self, family):
        assert failures(GOOD, family) == []
        assert late_share(GOOD.values(), family) == 20 / 200
        assert uniform_share(GOOD.values(), family) == 10 / 25

    def test_a_family_must_be_drawn(self, family):
        none = {"samples": 0, "completions": 0, "score_sum": 0.0, "late_samples": 0}
        labels = changed(**{family: none, f"other_{family}": none})
        # Without an episode there is no mean reward either.
        assert failures(labels, family) == ["draws", "reward"]

    @pytest.mark.parametrize("lp", [0.1, 0.15])
    def test_the_lp_of_every_label_is_low(self, family, lp):
        labels = changed(**{family: {"lp": lp, "tasks": 1}, f"other_{family}": {"tasks": 9}})
        labels["easy"] = replace(labels["easy"], lp=0.5)
        assert failures(labels, family) == ["lp"]

    def test_it_is_below_that_of_every_learner(self, family):
        assert failures(changed(learner={"lp": 0.03}), family) == ["lp_of_learners"]
        assert failures(changed(learner={"lp": 0.031}), family) == []

    @pytest.mark.parametrize("success", [0.05, 0.95, 0.0, 1.0, math.nan])
    def test_who_has_mastered_or_never_succeeded_is_no_learner(self, family, success):
        others = {"late_success": success, "lp": 0.0}
        unlearned = replace(GOOD["learner"], label="medium_4chain_0sinks", **others)
        assert failures(GOOD | {"more": unlearned}, family) == []
        # And where nobody is learning there is nothing to compare with.
        assert failures(changed(learner=others), family) == ["lp_of_learners"]

    def test_the_mean_lp_is_below_that_of_normal_tasks(self, family):
        assert failures(changed(easy={"lp": 0.02}), family) == ["lp_of_normal"]
        assert failures(changed(easy={"lp": 0.021}), family) == []

    def test_it_gets_at_most_half_of_its_uniform_share(self, family):
        # x of x + 180 draws are 20% at x = 45.
        def with_late(samples):
            return changed(**{family: {"late_samples": samples - 10}})

        assert failures(with_late(45), family) == []
        assert failures(with_late(46), family) == ["share"]

    def test_an_lp_that_is_always_zero_fails(self, family):
        labels = without_progress(list(GOOD.values()))
        failed = failures(dict(zip(GOOD, labels, strict=True)), family)
        assert failed == ["lp_of_learners", "lp_of_normal"]


def test_an_impossible_task_must_pay_nothing():
    assert failures(changed(impossible={"score_sum": 0.001}), "impossible") == ["reward"]


@pytest.mark.parametrize(
    ("score_sum", "failed"), [(72.0, []), (85.0, ["reward"]), (15.0, ["reward"])]
)
def test_a_noisy_task_must_pay_as_a_fair_coin(score_sum, failed):
    # Of 200 episodes 100 +- 4 * 7.07 are within the margin.
    assert failures(changed(noisy={"score_sum": score_sum}), "noisy") == failed


def points(episodes, samples, completions, score_sum, lps):
    return [
        CurvePoint(episodes, 0, 0.0, label, samples, completions, 0, score_sum, lp, math.nan)
        for label, lp in lps.items()
    ]


def test_figures_are_those_of_the_second_half():
    curve = [
        *points(40, 40, 40, 9.0, {"a": 0.9}),
        *points(51, 60, 50, 10.0, {"a": 0.8}),
        *points(80, 80, 75, 20.0, {"a": 0.1, "late": 0.4}),
        *points(100, 100, 90, 30.0, {"a": 0.3, "late": 0.6}),
    ]
    result = Result(
        Progress(episodes=100, curve=curve), {"a": {"tasks": 3.0}, "late": {"tasks": 1.0}}, {}, True
    )
    first, late = label_figures(result, 100)
    assert first == LabelFigures("a", 3, 100, 90, 30.0, 40, 0.5, pytest.approx(0.2))
    assert late == LabelFigures("late", 1, 100, 90, 30.0, 100, pytest.approx(1 / 3), 0.5)
    with pytest.raises(ValueError, match="100 episodes are too few"):
        label_figures(replace(result, progress=Progress(curve=curve[:2])), 100)


def test_a_real_lp_that_is_always_zero_draws_uniformly():
    # Fast and slow EMA are one: what the third arm of the recipe stands for.
    config = LearningProgressConfig(
        score_range=(0.0, 1.0),
        slow_timescale_factor=1.0,
        exploration_bonus=0.0,
        num_active_tasks=30,
        use_shared_memory=False,
    )
    with closing(Curriculum(AssemblyLinesTaskGenerator(), config, seed=1)) as curriculum:
        for number in range(600):
            curriculum.report(curriculum.draw().ticket, float(number % 3 == 0))
        assert {row["lp_mean"] for row in curriculum.label_totals().values()} == {0.0}
        _, shares = curriculum.probabilities()
        assert shares.tolist() == pytest.approx([1 / 30] * 30)


@pytest.mark.parametrize("arm", ["learning-progress", "noise-aware"])
def test_a_control_that_passes_is_a_failure_of_the_recipe(arm):
    labels = list(GOOD.values())
    settings = TrainSettings(backend="local", processes=1)
    runs = [
        Run(settings.model_copy(update={"curriculum": curriculum, "seed": seed}), 1.0, [], labels)
        for curriculum in (arm, "uniform")
        for seed in (0, 1)
    ]
    curriculum, uniform, zero = outcomes(runs, ["noisy"])
    assert (curriculum.holds, uniform.holds, zero.holds) == (True, False, True)
    assert (curriculum.arm, uniform.arm) == (arm, "uniform")
    assert uniform.verdict == (
        'uniform, noisy tasks: "share of draws" must fail, and DOES NOT (0 of 2 seeds)'
    )


def test_what_is_undefined_is_null_in_json(tmp_path):
    labels = [replace(label, late_success=math.nan) for label in GOOD.values()]
    run = Run(TrainSettings(), 1.0, [], labels)
    write_json(tmp_path / "impossible.json", [run], [])
    content = json.loads((tmp_path / "impossible.json").read_text())
    assert content["runs"][0]["labels"][0]["late_success"] is None


def test_the_command_fails_where_nothing_was_learned_yet(tmp_path):
    # Two episodes a task: too few to know which are impossible.
    arguments = [*COMMAND, "--noisy", "--episodes", "300", "--out", str(tmp_path / "new")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert [line.split(":")[0] for line in lines[:2]] == ["noise-aware, seed 0", "uniform, seed 0"]
    assert "noise-aware, impossible tasks: every check must pass, and DOES NOT" in result.output
    assert "LP always 0, noisy tasks" in result.output
    assert imread(tmp_path / "new" / "impossible.png").std() > 0.05
    content = json.loads((tmp_path / "new" / "impossible.json").read_text())
    assert content["holds"] is False
    assert {run["settings"]["noisy_ratio"] for run in content["runs"]} == {0.1}
    assert {run["settings"]["tasks"] for run in content["runs"]} == {"long-chains"}
    assert {run["settings"]["pool_size"] for run in content["runs"]} == {80}
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 1
    assert "new is not empty; take another --out" in again.output.replace("\n", " ")
    assert [run["settings"]["curriculum"] for run in content["runs"]] == [
        "noise-aware",
        "uniform",
    ]
    assert len(content["outcomes"]) == 6
    assert {len(label) for run in content["runs"] for label in run["labels"]} == {8}


@pytest.mark.parametrize(
    ("options", "curriculum", "families"),
    [
        ([], "learning-progress", ["impossible"]),
        (["--noisy"], "noise-aware", ["impossible", "noisy"]),
    ],
)
def test_the_curriculum_is_not_fooled_and_the_controls_fail(
    options, curriculum, families, tmp_path
):
    arguments = [*COMMAND, *options, "--episodes", "2000", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "DOES NOT" not in result.output
    content = json.loads((tmp_path / "impossible.json").read_text())
    assert content["holds"] is True
    failed = {
        (outcome["arm"], outcome["family"]): {
            check["name"] for check in outcome["checks"]["0"] if not check["passed"]
        }
        for outcome in content["outcomes"]
    }
    assert failed.keys() == {
        (arm, family) for arm in (curriculum, "uniform", "LP always 0") for family in families
    }
    for family in families:
        assert failed[curriculum, family] == set()
        assert "share" in failed["uniform", family]
        assert failed["LP always 0", family] >= {"lp_of_learners", "lp_of_normal"}
    # What never pays has no learning progress, and fools uniform draws by its share alone.
    assert failed["uniform", "impossible"] == {"share"}


def test_the_standard_learning_progress_is_fooled_by_coins(tmp_path):
    standard = ["--noisy", "--curriculum", "learning-progress", "--episodes", "2000"]
    result = CliRunner().invoke(app, [*COMMAND, *standard, "--out", str(tmp_path)])
    assert result.exit_code == 1
    content = json.loads((tmp_path / "impossible.json").read_text())
    (noisy,) = (
        outcome
        for outcome in content["outcomes"]
        if (outcome["arm"], outcome["family"]) == ("learning-progress", "noisy")
    )
    failed = {check["name"] for check in noisy["checks"]["0"] if not check["passed"]}
    assert {"lp_of_learners", "share"} <= failed


def test_a_local_run_is_one_process():
    result = CliRunner().invoke(app, [*COMMAND, "--processes", "2"])
    assert result.exit_code == 2
    assert "--backend local is one process" in re.sub(r"[\s│]+", " ", result.output)


def test_workers_share_the_session_of_a_run(tmp_path):
    shared = ["recipe", "impossible", "--processes", "2", "--seeds", "2", "--episodes", "300"]
    result = CliRunner().invoke(app, [*shared, "--tasks", "published", "--out", str(tmp_path)])
    assert result.exit_code in (0, 1), result.output
    runs = json.loads((tmp_path / "impossible.json").read_text())["runs"]
    assert [
        (run["settings"]["curriculum"], run["settings"]["seed"], run["settings"]["backend"])
        for run in runs
    ] == [(arm, seed, "shared") for seed in (0, 1) for arm in ("learning-progress", "uniform")]
    for run in runs:
        # Two processes may end an episode in one step.
        assert sum(label["completions"] for label in run["labels"]) in (300, 301)


def test_the_defaults_are_those_that_the_documentation_reports():
    defaults = {
        name: parameter.default for name, parameter in signature(impossible).parameters.items()
    }
    chosen = {name: defaults[name] for name in ("tasks", "episodes", "seeds", "backend")}
    assert chosen == {"tasks": "long-chains", "episodes": 2500, "seeds": 3, "backend": "shared"}
