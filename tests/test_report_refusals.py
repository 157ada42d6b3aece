"""What `curricle report` refuses, in one line that says why."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from curricle.cli import app
from curricle.loggers import CsvLogger, JsonlLogger
from curricle.report import write_report
from curricle.training.curve import CurvePoint, write_curve
from curricle.training.run_folder import create_folder
from curricle.training.settings import TrainSettings
from report_runs import log_run


def refused(*arguments):
    result = CliRunner().invoke(app, ["report", *map(str, arguments)])
    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    traced = CliRunner().invoke(app, ["report", *map(str, arguments), "--debug"])
    assert isinstance(traced.exception, OSError | ValueError)
    return result.output.removeprefix("error: ").rstrip("\n")


def test_a_folder_without_a_run(tmp_path):
    assert refused(tmp_path / "no") == f"{tmp_path / 'no'} does not exist"
    assert refused(tmp_path) == f"{tmp_path} is empty"
    (tmp_path / "log.jsonl").touch()
    assert refused(tmp_path).startswith(f"nothing was logged to {tmp_path / 'log.jsonl'} yet")
    (tmp_path / "log.jsonl").unlink()
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    assert refused(tmp_path).startswith(f"{tmp_path} is no run: there is neither")
    assert refused(tmp_path / "notes.csv").startswith(
        f"{tmp_path / 'notes.csv'} is no log of a run"
    )


def test_several_runs_are_named_and_each_can_be_had(tmp_path):
    for name in ("one", "two"):
        log_run(tmp_path / name, [name])
    message = refused(tmp_path)
    assert "holds several runs" in message
    assert f"{tmp_path / 'one'}, {tmp_path / 'two'}" in message
    folder = tmp_path / "one"
    (folder / "again.jsonl").write_bytes((folder / "log.jsonl").read_bytes())
    message = refused(folder)
    assert f"{folder / 'again.jsonl'}, {folder / 'log.jsonl'}" in message
    write_report(folder / "again.jsonl")


def test_a_run_that_has_just_begun(tmp_path):
    create_folder(tmp_path, TrainSettings())
    assert "no point of its curve yet" in refused(tmp_path)
    (tmp_path / "log.csv").write_text("step,time,metric,value\n")
    assert refused(tmp_path) == f"{tmp_path / 'log.csv'} has no entry yet"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("log.jsonl", "{broken"),
        ("log.jsonl", "[1]"),
        ("log.jsonl", '{"step": -1}'),
        ("log.jsonl", '{"step": 1.5}'),
        ("log.jsonl", '{"step": 7, "curriculum/lp": NaN}'),
        ("log.jsonl", '{"step": 7, "curriculum/lp": "high"}'),
        ("log.jsonl", '{"step": 7, "curriculum/lp": 1' + "0" * 400 + "}"),
        ("log.csv", "1,2,3"),
        ("log.csv", "x,2,curriculum/lp,3"),
        ("log.csv", "9,2,curriculum/lp,inf"),
    ],
)
def test_a_broken_line_is_named(name, line, tmp_path):
    log_run(tmp_path, ["walk"], logger=CsvLogger if name == "log.csv" else JsonlLogger)
    path = tmp_path / name
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], line, *lines[2:]]) + "\n")
    assert f"{path}, line 3, is no line of a log" in refused(tmp_path)


def test_a_broken_row_of_a_curve_is_named(tmp_path):
    path = tmp_path / "curve.csv"
    write_curve(path, [CurvePoint(5, 50, 1.0, label, 5, 5, 50, 2.0, 0.1, 1.0) for label in "abc"])
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], "1,2,3", *lines[3:]]) + "\n")
    assert f"{path}, line 4, is no point" in refused(tmp_path)


def test_a_report_is_replaced_and_nothing_else(tmp_path):
    log_run(tmp_path, ["walk"])
    out = tmp_path / "page.html"
    assert write_report(tmp_path, out).size == write_report(tmp_path, out).size
    out.write_text("<p>mine</p>")
    assert "is there and is no report" in refused(tmp_path, "--out", out)
    assert out.read_text() == "<p>mine</p>"
    assert "is a folder" in refused(tmp_path, "--out", tmp_path)
    assert "there is no folder" in refused(tmp_path, "--out", tmp_path / "no" / "a.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "log.jsonl",
        "page.html",
        "session.ckpt",
    ]


def test_a_missing_extra_is_named(tmp_path):
    code = (
        "import sys; sys.modules['jinja2'] = None;"
        f"sys.argv[1:] = ['report', {str(tmp_path)!r}]; from curricle.cli import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 1
    assert result.stderr == (
        "error: curricle report needs jinja2; install it with: pip install 'curricle[report]'\n"
    )
