"""Arguments of trackers, curricula, environments and jobs that are wrong, on sessions in use."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from pydantic import ValidationError
from typer.testing import CliRunner

from curricle import (
    BucketedTaskGenerator,
    Curriculum,
    CurriculumEnv,
    CurriculumVectorEnv,
    LearningProgressConfig,
    SessionError,
    SingleTaskGenerator,
    Span,
    TaskGeneratorSet,
    TaskTracker,
    UniformConfig,
    UnknownTaskError,
)
from curricle.cli import app
from curricle.envs import Rebuild
from refusals import INF, NAN, STEPS, cases, facts, new_name, own_files, refuse, unchanged
from small_envs import TASKS, Corridor, TaskCorridor, VectorCorridor
from test_backends import DictBackend


class Run:
    """A curriculum of one kind with some episodes behind it and two tickets in hand."""

    def __init__(self, kind):
        self.name = new_name()
        config = LearningProgressConfig(use_shared_memory=False, score_range=(0.0, 1.0))
        if kind == "shared":
            config = LearningProgressConfig(session_id=self.name, score_range=(0.0, 1.0))
        backend = DictBackend(len(TASKS), config.rules()) if kind == "dict" else None
        self.curriculum = Curriculum(TASKS, config, backend=backend)
        self.curriculum.report(range(4), [0.0, 0.25, 0.5, 1.0])
        self.tickets = [task.ticket for task in self.curriculum.draw_many(2)]

    def refuses(self, case):
        with unchanged(self.curriculum.tracker, self.name):
            refuse(case, self)
        assert not np.isnan(self.curriculum.report(self.tickets, [0.5, 0.5])).any()


@pytest.fixture(params=["local", "shared", "dict"])
def run(request):
    made = Run(request.param)
    yield made
    made.curriculum.close()
    assert own_files(made.name) == ([], [])


@cases(
    ("nan", lambda r: r.curriculum.report(r.tickets[0], NAN), ValueError, "nan.*1e9"),
    ("outside", lambda r: r.curriculum.report(r.tickets, [0.5, 1.5]), ValueError, r"1\.5.*declare"),
    ("steps", lambda r: r.curriculum.report(1, 0.5, -1), ValueError, f"env_steps is -1.*{STEPS}"),
    (
        "lengths",
        lambda r: r.curriculum.report([0, 1], [0.5]),
        ValueError,
        "2 ids and 1 scores",
    ),
    (
        "two",
        lambda r: r.curriculum.report([0, r.tickets[0]], [0.5, 0.5]),
        TypeError,
        "tickets only",
    ),
    ("task", lambda r: r.curriculum.task(9), UnknownTaskError, "unknown task 9; there are 0 to 3"),
    ("id", lambda r: r.curriculum.task(2**63), ValueError, f"task_id is {2**63}"),
    ("explain", lambda r: r.curriculum.explain(9), UnknownTaskError, "unknown task 9"),
    ("draws", lambda r: r.curriculum.draw_many(-1), ValueError, "n .*-1"),
    ("distinct", lambda r: r.curriculum.draw_many(5, replace=False), ValueError, "5 .*4"),
    ("seed", lambda r: r.curriculum.stream(-1), ValueError, "seed.*-1"),
    (
        "lp",
        lambda r: r.curriculum.tracker.update_task_performance(0, 0.5, lp_score=1e7),
        ValueError,
        r"lp_score is 10000000\.0.*1e6",
    ),
    (
        "lp of a weight",
        lambda r: r.curriculum.tracker.update_task_performance(0, 0.5, lp_score=NAN),
        ValueError,
        "lp_score is nan",
    ),
    (
        "threshold",
        lambda r: r.curriculum.tracker.update_task_performance(0, 0.5, success_threshold=INF),
        ValueError,
        "success_threshold is inf",
    ),
    (
        "score beside a threshold",
        lambda r: r.curriculum.tracker.update_task_performance(0, 7.0, success_threshold=0.1),
        ValueError,
        r"score 7\.0.*score_range",
    ),
    (
        "emas",
        lambda r: r.curriculum.tracker.update_bidirectional_emas(0, 0.5, 0.5, 0.5, 1.0),
        ValueError,
        r"random_baseline.*1\.0.*\[0, 1\)",
    ),
    (
        "weights",
        lambda r: r.curriculum.tracker.set_weights([0, 1], [1.0, NAN]),
        ValueError,
        "weight nan.*4096",
    ),
    ("load", lambda r: r.curriculum.load("/proc/none"), ValueError, "/proc/none: ."),
)
def test_curricula_and_trackers(run, case):
    run.refuses(case)


def local(**fields):
    return LearningProgressConfig(use_shared_memory=False, **fields)


SIZES = SingleTaskGenerator.Config(env=7)


@cases(
    ("alpha", lambda n: TaskTracker(ema_alpha=0.0), ValueError, r"ema_alpha = 0\.0.*\(0, 1\]"),
    ("alpha 2", lambda n: TaskTracker(ema_alpha=2.0), ValueError, r"ema_alpha = 2\.0.*\(0, 1\]"),
    ("capacity", lambda n: TaskTracker(0), ValueError, "capacity 0 .*1 to 67108864"),
    ("large", lambda n: TaskTracker(2**40), ValueError, f"capacity {2**40} "),
    ("threshold", lambda n: TaskTracker(default_success_threshold=NAN), ValueError, "nan"),
    ("no tasks", lambda n: Curriculum(0, session=n), ValueError, "no tasks.*at least one"),
    ("text", lambda n: Curriculum("abc", session=n), TypeError, "'abc'"),
    ("config", lambda n: Curriculum(3, {"floor": 1}, session=n), TypeError, "dict.*give a"),
    ("pool", lambda n: Curriculum(3, session=n, pool_size=4), ValueError, "3 but pool_size is 4"),
    (
        "too small",
        lambda n: Curriculum(9, local(max_memory_tasks=4)),
        ValueError,
        "9 .*max_memory_tasks=4",
    ),
    ("ids", lambda n: Curriculum(SIZES.create(), session=n, max_task_id=9), ValueError, "1000.*9"),
    ("name", lambda n: Curriculum(3, session=f"{n}/x"), ValueError, "1 to 200 bytes"),
    ("label", lambda n: Curriculum({"x" * 121: 1}, session=n), ValueError, "121 bytes"),
    ("number", lambda n: Curriculum({7: 1}, session=n), TypeError, "key must be a string"),
    (
        "two names",
        lambda n: Curriculum(3, LearningProgressConfig(session_id=n), session=f"{n}-2"),
        ValueError,
        "session_id",
    ),
    ("span", lambda n: Span(2, 1), ValueError, "low 2 is above high 1"),
    ("nan span", lambda n: Span(0.0, NAN), ValueError, "finite.*nan"),
    (
        "empty bucket",
        lambda n: BucketedTaskGenerator.Config(base={"a": 1}, buckets={"a": []}),
        ValidationError,
        "'a' has no values",
    ),
    (
        "path",
        lambda n: BucketedTaskGenerator.Config(base={"a": 1}, buckets={"b.c": [1]}).create(),
        ValueError,
        "'b.c'.*no key 'b'.*'a'",
    ),
    (
        "weights",
        lambda n: TaskGeneratorSet.Config(generators=[SIZES], weights=[1.0, 2.0]),
        ValidationError,
        "2 weights for 1",
    ),
    (
        "negative weight",
        lambda n: TaskGeneratorSet.Config(generators=[SIZES], weights=[-1.0]),
        ValidationError,
        r"weights.*-1\.0",
    ),
    ("step", lambda n: UniformConfig(ema_timescale=0.0), ValidationError, "ema_timescale.*0"),
    ("count", lambda n: UniformConfig(num_active_tasks=0), ValidationError, "equal to 1"),
)
def test_what_makes_no_curriculum(case):
    name = new_name()
    refuse(case, name)
    assert own_files(name) == ([], [])


def test_a_capacity_that_no_session_has():
    name = new_name()
    config = LearningProgressConfig(session_id=name, max_memory_tasks=2**30)
    with pytest.raises(ValueError, match=rf"capacity {2**30} .*67108864"):
        Curriculum(3, config)
    assert own_files(name) == ([], [])


@cases(
    ("apply", lambda c: CurriculumEnv(Corridor(), c), ValueError, "auto.*none of the methods"),
    (
        "method",
        lambda c: CurriculumEnv(Corridor(), c, apply="set_size"),
        ValueError,
        "set_size",
    ),
    ("form", lambda c: CurriculumEnv(Corridor(), c, apply=7), TypeError, "apply=7"),
    ("score", lambda c: CurriculumEnv(TaskCorridor(), c, score=7), TypeError, "score=7"),
    (
        "metrics",
        lambda c: CurriculumEnv(TaskCorridor(), c, metrics_every=0),
        ValueError,
        "metrics_every=0.*at least 1",
    ),
    (
        "labels",
        lambda c: CurriculumEnv(TaskCorridor(), c, max_metric_labels=0),
        ValueError,
        "max_metric_labels=0.*at least 1",
    ),
    (
        "vector apply",
        lambda c: CurriculumVectorEnv(VectorCorridor(2, AutoresetMode.NEXT_STEP), c, apply="go"),
        ValueError,
        "apply='go'",
    ),
    (
        "vector score",
        lambda c: CurriculumVectorEnv(VectorCorridor(2, AutoresetMode.NEXT_STEP), c, score=7),
        TypeError,
        "score=7",
    ),
    (
        "rebuilt spaces",
        lambda c: CurriculumEnv(
            Corridor(), c, apply=Rebuild(lambda cfg: gym.make("CartPole-v1"))
        ).reset(),
        ValueError,
        "space",
    ),
)
def test_environments(case):
    curriculum = Curriculum(TASKS, local())
    before = facts(curriculum.tracker, "none")
    refuse(case, curriculum)
    after = facts(curriculum.tracker, "none")
    if case.name != "rebuilt spaces":
        assert after == before


@pytest.mark.parametrize(
    ("score", "error", "said"),
    [
        ("none_such", KeyError, "none_such.*is_success"),
        (lambda episode: NAN, ValueError, "nan"),
        (lambda episode: 7.0, ValueError, r"7\.0.*score_range"),
        (lambda episode: 1 / 0, ZeroDivisionError, "division"),
    ],
)
def test_a_score_that_none_is_counts_nothing(score, error, said):
    curriculum = Curriculum(TASKS, local(score_range=(0.0, 1.0)))
    env = CurriculumEnv(TaskCorridor(), curriculum, score=score)

    def play():
        env.reset(seed=1)
        while True:
            env.step(1)

    with pytest.raises(error, match=rf"(?i){said}"):
        play()
    totals = curriculum.tracker.totals()
    assert (totals["scheduled"], totals["completions"]) == (1, 0)
    curriculum.verify()


def test_a_reset_for_a_task_that_is_none():
    curriculum = Curriculum(TASKS, local())
    env = CurriculumEnv(TaskCorridor(), curriculum)
    before = facts(curriculum.tracker, "none")
    with pytest.raises(UnknownTaskError, match=r"unknown task 9; there are 0 to 3"):
        env.reset(options={"task": 9})
    assert facts(curriculum.tracker, "none") == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Usage"),
        (["none"], "No such command"),
        (
            ["assembly-lines", "--processes", "0"],
            "'--processes': Input should be greater than or equal to 1",
        ),
        (
            ["assembly-lines", "--processes", "many"],
            "'--processes': Input should be a valid integer",
        ),
        (
            ["assembly-lines", "--impossible-ratio", "nan"],
            "'--impossible-ratio': Input should be less than or equal to 1",
        ),
        (
            ["assembly-lines", "--impossible-ratio", "1.5"],
            "Input should be less than or equal to 1",
        ),
        (["assembly-lines", "--seed", "-1"], "Input should be greater than or equal to 0"),
        (["assembly-lines", "--curriculum", "best"], "learning-progress"),
        (["assembly-lines", "--resume", "/proc/none"], "does not exist"),
        (["assembly-lines", "--episodess", "3"], "No such option"),
    ],
)
def test_a_command_that_cannot_run(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["train", *arguments])
    assert result.exit_code == 2
    assert said.lower() in " ".join(result.output.lower().replace("│", " ").split())
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_session_of_another_kind_stays_as_it_is():
    run = Run("shared")
    with unchanged(run.curriculum.tracker, run.name):
        for wrong in (
            lambda: Curriculum(5, session=run.name),
            lambda: Curriculum(TASKS, UniformConfig(), session=run.name),
            lambda: Curriculum(TASKS, local_range(run.name), seed=7),
        ):
            with pytest.raises(SessionError):
                wrong()
    run.curriculum.close()


def local_range(name):
    return LearningProgressConfig(session_id=name, score_range=(0.0, 1.0))
