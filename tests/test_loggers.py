"""Loggers: what they write is what happened, in files that their own readers read back."""

import csv
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from curricle import Curriculum, LearningProgressConfig, LocalMemoryBackend, TaskTracker
from curricle.loggers import (
    CsvLogger,
    CurriculumLogger,
    JsonlLogger,
    TensorBoardLogger,
    WandbLogger,
)
from curricle.report.log_files import read_log

LOCAL = {"use_shared_memory": False, "score_range": (0.0, 1.0)}


class Kept(CurriculumLogger):
    """Keeps what it is given: a logger of a user's own."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.lines = []

    def _write(self, step, metrics):
        self.lines.append((step, dict(metrics)))


def curriculum_of(labels):
    return Curriculum({label: {} for label in labels}, LearningProgressConfig(**LOCAL), seed=1)


def play(curriculum, scores):
    """Draws and reports; the draws and the scores of each label."""
    played = {}
    for _ in range(60):
        task = curriculum.draw()
        draws = played.setdefault(task.get_label(), [])
        draws.append(scores[task.get_label()])
        curriculum.report(task.ticket, draws[-1])
    return played


def check_labels(metrics, played):
    """Shares and scores of every label that was played."""
    draws = sum(map(len, played.values()))
    for label, scores in played.items():
        assert metrics[f"curriculum_share/{label}"] == pytest.approx(len(scores) / draws)
        assert metrics[f"curriculum_score/{label}"] == pytest.approx(sum(scores) / len(scores))
    shares = [value for name, value in metrics.items() if name.startswith("curriculum_share/")]
    assert sum(shares) == pytest.approx(1.0)


def test_metrics_are_of_what_happened_since_the_last_call():
    with curriculum_of("abc") as curriculum, Kept(curriculum) as logger:
        nothing = logger.log(0)
        assert nothing["curriculum/episodes"] == 0.0
        assert not any("share" in name or "score" in name for name in nothing)
        for step, scores in enumerate([{"a": 0.0, "b": 0.5, "c": 1.0}, dict.fromkeys("abc", 0.2)]):
            played = play(curriculum, scores)
            metrics = logger.log(step)
            check_labels(metrics, played)
            assert metrics["curriculum/episodes"] == 60.0 * (step + 1)
            of_all = [score for scores in played.values() for score in scores]
            assert metrics["curriculum/score"] == pytest.approx(sum(of_all) / 60)
        assert metrics["curriculum/tasks"] == 3.0
        assert metrics["curriculum_lp/a"] == pytest.approx(
            curriculum.label_totals()["a"]["lp_mean"]
        )
        assert all(math.isfinite(value) for value in metrics.values())
        assert [step for step, _ in logger.lines] == [0, 0, 1]
        assert logger.lines[-1][1] == metrics


def test_labels_beyond_their_number_are_other_together():
    labels = [f"label-{number}" for number in range(9)]
    scores = {label: number / 10 for number, label in enumerate(labels)}
    with curriculum_of(labels) as curriculum:
        logger = Kept(curriculum, max_labels=2)
        play(curriculum, scores)
        first = logger.log(1)
        own = {name.partition("/")[2] for name in first if name.startswith("curriculum_lp/")}
        assert len(own) == 3
        assert "other" in own
        played = play(curriculum, scores)
        metrics = logger.log(2)
        rest = [score for label, all_ in played.items() if label not in own for score in all_]
        assert metrics["curriculum_share/other"] == pytest.approx(len(rest) / 60)
        assert metrics["curriculum_score/other"] == pytest.approx(sum(rest) / len(rest))
        totals = curriculum.label_totals().items()
        lps = [total["lp_mean"] for label, total in totals if label not in own]
        assert metrics["curriculum_lp/other"] == pytest.approx(sum(lps) / 7)
        # Those drawn most until the first call keep their places.
        assert {name.partition("/")[2] for name in metrics if "curriculum_lp/" in name} == own


def test_labels_that_the_session_folds_are_other_and_nothing_is_counted_twice():
    tracker = TaskTracker(backend=LocalMemoryBackend(8, max_labels=1, max_inactive_labels=0))
    logger = Kept(tracker)
    for number in range(6):
        tracker.track_task_creation(number)
        tracker.set_task_label(number, f"label-{number}")
        for _ in range(10):
            tracker.update_task_performance(number, number / 10)
        if number % 2:
            metrics = logger.log(number)
            # Ten scores of this label, and as many of the one before it.
            assert metrics["curriculum/score"] == pytest.approx((number - 0.5) / 10)
            scores = {
                name.partition("/")[2]: value
                for name, value in metrics.items()
                if name.startswith("curriculum_score/")
            }
            assert scores.pop(f"label-{number}") == pytest.approx(number / 10)
            assert list(scores.values()) == pytest.approx([(number - 1) / 10])
        tracker.remove_task(number)
    assert "other" in scores
    assert "label-1" not in tracker.label_totals()


def test_a_checkpoint_of_less_starts_anew(tmp_path):
    scores = {"a": 0.0, "b": 1.0}
    with curriculum_of("ab") as curriculum, Kept(curriculum) as logger:
        play(curriculum, dict.fromkeys("ab", 0.5))
        curriculum.save(str(tmp_path / "early"))
        play(curriculum, scores)
        logger.log(1)
        curriculum.load(str(tmp_path / "early"))
        metrics = logger.log(2)
        assert metrics["curriculum/score"] == pytest.approx(0.5)
        assert metrics["curriculum_share/a"] + metrics["curriculum_share/b"] == pytest.approx(1.0)


def test_jsonl_and_csv_are_read_back_and_gone_on_with(tmp_path):
    lines, rows = tmp_path / "log.jsonl", tmp_path / "log.csv"
    with curriculum_of(["a", 'b, "c" ü']) as curriculum:
        written = {}
        for step in (10, 20):
            # The second time is another run's.
            with JsonlLogger(curriculum, lines) as one, CsvLogger(curriculum, rows) as two:
                play(curriculum, {"a": 0.25, 'b, "c" ü': 0.75})
                written[step] = one.log(step)
                assert two.log(step) == written[step]
                # Nothing waits in a buffer.
                assert lines.read_text().endswith("}\n")
    for line, (step, metrics) in zip(lines.read_text().splitlines(), written.items(), strict=True):
        entry = json.loads(line)
        assert entry.pop("time") > 1e9
        assert entry == {"step": step, **metrics}
    with rows.open(newline="") as file:
        table = list(csv.DictReader(file))
    assert set(table[0]) == {"step", "time", "metric", "value"}
    read = {step: {} for step in written}
    for row in table:
        read[int(row["step"])][row["metric"]] = float(row["value"])
    assert read == written


@pytest.mark.parametrize("logger", [JsonlLogger, CsvLogger])
def test_a_line_that_a_crash_cut_off_goes_and_the_log_goes_on(logger, tmp_path):
    path = tmp_path / "log"
    with curriculum_of(["a"]) as curriculum:
        for step in (10, 20):
            with logger(curriculum, path) as log:
                play(curriculum, {"a": 0.25})
                log.log(step)
            if step == 10:
                whole = path.read_bytes()
                path.write_bytes(whole + whole.splitlines(keepends=True)[-1][:-9])
        assert path.read_bytes().startswith(whole)
        kind = "csv" if logger is CsvLogger else "jsonl"
        assert [entry.step for entry in read_log(path, kind)] == [10, 20]
        # Nothing but a fragment: the log begins anew.
        path.write_bytes(whole[:4])
        logger(curriculum, path).close()
        assert path.read_bytes() == b""


def test_a_file_that_is_no_log_keeps_its_last_line(tmp_path):
    path = tmp_path / "notes"
    path.write_text("one\ntwo")
    with curriculum_of(["a"]) as curriculum:
        JsonlLogger(curriculum, path).close()
    assert path.read_text() == "one\ntwo"


def test_tensorboard_reads_its_event_files(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with curriculum_of("ab") as curriculum:
        with TensorBoardLogger(curriculum, tmp_path / "events") as logger:
            play(curriculum, {"a": 0.25, "b": 0.75})
            written = {step: logger.log(step) for step in (0, 7_000_000_000)}
        events = EventAccumulator(str(tmp_path / "events"))
        events.Reload()
        assert set(events.Tags()["scalars"]) == set(written[0])
        for name in written[0]:
            read = {event.step: event.value for event in events.Scalars(name)}
            wrote = {step: metrics[name] for step, metrics in written.items() if name in metrics}
            assert read == pytest.approx(wrote)


class Writer:
    """As much of a SummaryWriter as is used of it."""

    def __init__(self):
        self.scalars = []

    def add_scalar(self, tag, scalar_value, global_step):
        self.scalars.append((tag, scalar_value, global_step))

    def close(self):
        raise AssertionError("the trainer's own writer stays open")


def test_a_trainers_own_summary_writer_is_used():
    writer = Writer()
    with curriculum_of("ab") as curriculum, TensorBoardLogger(curriculum, writer) as logger:
        metrics = logger.log(3)
    assert writer.scalars == [(name, value, 3) for name, value in metrics.items()]


WANDB_TRAINER = """
import json
import wandb
from curricle import Curriculum, LearningProgressConfig
from curricle.loggers import WandbLogger

config = LearningProgressConfig(use_shared_memory=False)
with Curriculum({"a": {}, "b": {}}, config, seed=1) as curriculum:
    try:
        WandbLogger(curriculum)
    except RuntimeError as error:
        assert "wandb.init" in str(error)
    run = wandb.init(project="curricle-test")
    for _ in range(60):
        curriculum.report(curriculum.draw().ticket, 0.25)
    with WandbLogger(curriculum) as logger:
        metrics = logger.log(11)
    # It stays open, and the trainer's own metrics go to the same step.
    run.log({"loss": 0.5}, step=11)
    run.finish()
print(json.dumps(metrics | {"loss": 0.5}))
"""


def test_wandb_has_what_was_logged(tmp_path):
    pytest.importorskip("wandb")
    ran = subprocess.run(
        [sys.executable, "-c", WANDB_TRAINER],
        cwd=tmp_path,
        env=os.environ | {"WANDB_MODE": "offline", "WANDB_SILENT": "true"},
        capture_output=True,
        text=True,
        check=True,
    )
    (offline,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    written = offline.read_bytes()
    for name, value in json.loads(ran.stdout).items():
        assert name.encode() in written
        assert json.dumps(value).removesuffix(".0").encode() in written


@pytest.mark.parametrize("module", ["tensorboard", "wandb"])
def test_what_is_missing_is_named(module, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, module, None)
    for name in [name for name in sys.modules if name.startswith(module + ".")]:
        monkeypatch.delitem(sys.modules, name)
    message = rf"pip install 'curricle\[{module}\]'"
    with curriculum_of("ab") as curriculum, pytest.raises(ModuleNotFoundError, match=message):
        WandbLogger(curriculum) if module == "wandb" else TensorBoardLogger(curriculum, tmp_path)


def test_bad_input_is_refused():
    with curriculum_of("ab") as curriculum:
        with pytest.raises(ValueError, match="max_labels=0: must be at least 1"):
            Kept(curriculum, max_labels=0)
        for number in (2.5, "3"):
            with pytest.raises(TypeError):
                Kept(curriculum, max_labels=number)
        with pytest.raises(ValueError, match="step=-1: must be at least 0"):
            Kept(curriculum).log(-1)
        with pytest.raises(TypeError):
            Kept(curriculum).log(math.nan)


def test_a_step_may_be_an_integer_of_numpy(tmp_path):
    with curriculum_of("ab") as curriculum, JsonlLogger(curriculum, tmp_path / "log") as logger:
        logger.log(np.int64(5))
    assert json.loads((tmp_path / "log").read_text())["step"] == 5


def test_importing_the_loggers_imports_no_dashboard():
    code = (
        "import sys, curricle.loggers; print({'wandb', 'tensorboard', 'torch'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"


def test_the_page_names_every_metric():
    page = (Path(__file__).parent.parent / "docs" / "logging.md").read_text()
    named = set(re.findall(r"^\| `(curriculum[^`]*)` \|", page, re.M))
    with curriculum_of(["LABEL"]) as curriculum:
        play(curriculum, {"LABEL": 0.5})
        assert set(Kept(curriculum).log(1)) == named
