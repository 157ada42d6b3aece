"""Commands that look into sessions and steer them: ls, rm, show, set, export, completion."""

import csv
import itertools
import json
import math
import os
import resource
import secrets
import subprocess
import sys
import threading
import time
from contextlib import closing

import numpy as np
import pytest
from typer.testing import CliRunner

from curricle import (
    LearningProgressConfig,
    Session,
    list_sessions,
    remove_session,
    session_facts,
)
from curricle.cli import app
from curricle.cli_values import count, size
from curricle.errors import SessionError
from session_workers import KEPT, LIMIT, Worker, close_session, open_session, update

LABELS = ["walk", 'say "hi", twice', "zwei\nZeilen, läuft", "speed=fast", "[bold]x[/]", None]
SCORES = [0.0, 1.0, 0.5, 0.25, 1.0]
RULES = LearningProgressConfig().rules()


def fill(labels):
    """Creates a task for each label in the kept session and reports scores of the first."""
    session = KEPT["session"]
    session.create_many(np.arange(len(labels)) * 10, labels)
    for score in SCORES:
        session.update(0, score, 7)


def evict_all_the_time(name, capacity):
    """Moves a new task into the place of an old one, until somebody kills the process."""
    session = Session(capacity, name=name)
    session.create_many(np.arange(capacity), [label_of(task_id) for task_id in range(capacity)])
    KEPT["session"] = session
    threading.Thread(target=_evict, args=(session, capacity), daemon=True).start()


def _evict(session, capacity):
    for task_id in itertools.count(capacity):
        session.replace(task_id - capacity, task_id, label=label_of(task_id))


def label_of(task_id):
    return f"label {task_id % 7}"


@pytest.fixture
def prefix():
    prefix = f"test-{secrets.token_hex(8)}"
    yield prefix
    for listed in list_sessions():
        if listed["name"].startswith(prefix):
            remove_session(listed["name"], force=True)


@pytest.fixture
def trainer(prefix):
    """A process that is in the session ``prefix``."""
    worker = Worker()
    worker.ask(open_session, 8, rules=RULES, name=prefix, columns=["retry"], content="jumps")
    worker.ask(fill, LABELS)
    yield worker
    worker.ask(close_session)
    worker.end()


@pytest.fixture
def only(prefix, monkeypatch):
    """Sessions of other programs on this machine are none of these tests' business."""

    def mine():
        return [listed for listed in list_sessions() if listed["name"].startswith(prefix)]

    monkeypatch.setattr(session_facts, "list_sessions", mine)


def run(*arguments, code=0, **env):
    result = CliRunner().invoke(app, list(map(str, arguments)), env=env, prog_name="curricle")
    assert result.exit_code == code, result.output
    assert code or not result.stderr
    return result


def run_json(*arguments):
    return json.loads(run(*arguments, "--json").stdout)


def refusal(*arguments, code=1):
    """The line that a refused command prints."""
    error = run(*arguments, code=code).stderr
    assert "Traceback" not in error
    assert code == 2 or error.count("\n") == 1
    return " ".join(error.replace("│", " ").split())


def leave_dead(name):
    worker = Worker()
    worker.ask(open_session, 8, name=name)
    worker.kill()


def leave_idle(name):
    worker = Worker()
    worker.ask(open_session, 8, name=name, persist=True)
    worker.end()


class TestLs:
    def test_tells_what_each_session_is(self, prefix, trainer, only):
        leave_dead(f"{prefix}-b-dead")
        leave_idle(f"{prefix}-c-idle")
        path = f"/dev/shm/curricle.{prefix}-d-bad"
        with open(path, "wb") as file:
            file.write(b"x" * 5000)
        try:
            live, dead, idle, bad = run_json("ls")
            text = run("ls", COLUMNS="80").stdout
        finally:
            for name in ("b-dead", "c-idle", "d-bad"):
                run("rm", f"{prefix}-{name}")
        pid = trainer.process.pid
        expected = {"state": "live", "persist": False, "tasks": 6, "capacity": 8, "completions": 5}
        assert live | expected == live
        assert (live["processes"], live["creator"]) == ([pid], pid)
        assert live["program"]
        assert abs(live["created"] - time.time()) < LIMIT
        assert live["bytes"] == Session(name=prefix, mode="read-only").nbytes
        assert (dead["state"], dead["program"], dead["processes"]) == ("dead", None, [])
        assert (idle["state"], idle["persist"], idle["rate"]) == ("idle", True, None)
        assert (bad["state"], bad["tasks"]) == ("unreadable", None)
        assert 'starts with "xxxxxxxx"' in bad["reason"]
        assert f"{prefix}-d-bad: not a session" in text
        assert all(len(line) <= 80 for line in text.splitlines()[:5])
        assert all(facts["name"] in text for facts in (live, dead, idle))

    @pytest.mark.skipif(os.getuid() != 0, reason="only root can give a session away")
    def test_another_users_session_is_listed(self, prefix, trainer, only):
        os.chown(f"/dev/shm/curricle.{prefix}", 12345, -1)
        (facts,) = run_json("ls")
        text = run("ls").stdout
        os.chown(f"/dev/shm/curricle.{prefix}", 0, -1)
        assert (facts["state"], facts["owner"], facts["tasks"]) == ("foreign", "12345", None)
        assert "of 12345" in text

    def test_rate_counts_the_episodes_between_two_looks(self, prefix, trainer, only, monkeypatch):
        trainer.ask(update, 10, times=1000)
        asked, times = [], []

        def play(seconds):
            asked.append(seconds)
            times.append(time.monotonic())
            trainer.ask(update, 10, times=50)
            times.append(time.monotonic())

        monkeypatch.setattr(session_facts.time, "sleep", play)
        before = time.monotonic()
        (facts,) = session_facts.survey(0.5)
        longest = time.monotonic() - before
        assert asked == [0.5]
        assert facts.completions == 1055
        assert 50 / longest <= facts.rate <= 50 / (times[1] - times[0])

    def test_a_session_that_ends_meanwhile_is_left_out(self, prefix, only, monkeypatch):
        worker = Worker()
        worker.ask(open_session, 8, name=prefix)
        monkeypatch.setattr(session_facts.time, "sleep", lambda _: worker.ask(close_session))
        assert "no sessions" in run("ls").stdout
        gone = [{"name": prefix, "path": "/dev/shm/curricle.none", "live": True, "owner": 0}]
        gone[0] |= dict.fromkeys(("persist", "processes", "creator", "created", "bytes"))
        monkeypatch.setattr(session_facts, "list_sessions", lambda: gone)
        assert run_json("ls") == []
        worker.end()

    def test_a_program_is_named_by_its_script_while_it_lives(self, tmp_path):
        script = tmp_path / "train it.py"
        script.write_text("input()")
        arguments = [sys.executable, "-X", "utf8", script]
        process = subprocess.Popen(arguments, stdin=subprocess.PIPE)
        assert session_facts.program_of(process.pid, time.time()) == "train it.py"
        assert session_facts.program_of(process.pid, time.time() - 3600) is None
        process.communicate(b"\n", timeout=LIMIT)
        assert session_facts.program_of(process.pid, time.time()) is None


class TestRm:
    def test_removes_what_it_can_and_says_what_not(self, prefix, trainer):
        leave_dead(f"{prefix}-dead")
        result = run("rm", prefix, f"{prefix}-dead", f"{prefix}-ded", code=1)
        assert result.stdout == f"removed {prefix}-dead\n"
        in_use, unknown = result.stderr.splitlines()
        assert "in use" in in_use
        assert f"no session '{prefix}-ded'" in unknown
        assert prefix in [listed["name"] for listed in list_sessions()]
        run("rm", prefix, "--force")
        assert prefix not in [listed["name"] for listed in list_sessions()]

    def test_dead_ones_are_not_those_that_persist_or_live(self, prefix, trainer, only):
        leave_dead(f"{prefix}-dead")
        leave_idle(f"{prefix}-idle")
        assert run("rm", "--dead").stdout == f"removed {prefix}-dead\n"
        assert run("rm", "--dead").stdout == "no dead sessions\n"
        left = [facts["name"] for facts in run_json("ls")]
        run("rm", f"{prefix}-idle")
        assert left == [prefix, f"{prefix}-idle"]

    def test_what_cannot_be_read_is_left_to_be_removed_by_its_name(self, prefix, only):
        name = f"{prefix}-cut"
        leave_dead(name)
        os.truncate(f"/dev/shm/curricle.{name}", 8192)
        assert run("rm", "--dead").stdout == "no dead sessions\n"
        assert run("rm", name).stdout == f"removed {name}\n"

    def test_asks_for_names_or_dead(self):
        assert "give names of sessions, or --dead" in refusal("rm", code=2)
        assert "give names of sessions, or --dead" in refusal("rm", "x", "--dead", code=2)


class TestSet:
    def test_steers_the_session_and_says_what_changed(self, prefix, trainer):
        look = Session(name=prefix, mode="read-only")
        said = run(
            *("set", prefix, "--freeze", "--uniform", "--min-share", "speed=fast=0.25"),
            *("--max-share", "walk=0.5", "--ban", "[bold]x[/]"),
        ).stdout
        assert (look.frozen, look.uniform) == (True, True)
        limits = {"speed=fast": (0.25, 1.0), "walk": (0.0, 0.5), "[bold]x[/]": (0.0, 0.0)}
        assert look.share_limits() == limits
        assert sorted(said.splitlines()) == [
            "ban [bold]x[/]",
            "draws are uniform",
            "frozen",
            "share of speed=fast at least 0.25",
            "share of walk at most 0.5",
        ]
        run("set", prefix, "--min-share", "walk=0.1", "--thaw", "--unlimit", "[bold]x[/]")
        assert look.share_limits() == {"speed=fast": (0.25, 1.0), "walk": (0.1, 0.5)}
        assert (look.frozen, look.uniform) == (False, True)
        again = run("set", prefix, "--min-share", "walk=0.1", "--uniform").stdout
        assert "nothing to change" in again
        assert trainer.process.is_alive()
        assert look.live

    def test_without_options_shows_how_it_is_steered_and_changes_nothing(self, prefix, trainer):
        run("set", prefix, "--freeze", "--ban", "[bold]x[/]")
        acts = Session(name=prefix, mode="read-only").acts()
        text = run("set", prefix, COLUMNS="80").stdout
        assert "frozen" in text
        assert text.count("ban [bold]x[/]") == 2
        assert text.count(str(os.getpid())) == len(acts) == 2
        assert Session(name=prefix, mode="read-only").acts() == acts

    @pytest.mark.parametrize(
        ("options", "message", "code"),
        [
            (["--ban", "wlak"], "no label 'wlak'; did you mean 'walk'?", 1),
            (["--min-share", "walk=0.7", "--min-share", "speed=fast=0.4"], "add up to 1.1", 1),
            (["--min-share", "walk=0.5", "--max-share", "walk=0.2"], "is above its most", 1),
            (["--ban", "walk", "--unlimit", "walk"], "choose one", 1),
            (["--unlimit", "walk", "--max-share", "walk=0.2"], "leave one of the options out", 1),
            (["--min-share", "walk"], "write LABEL=0.05", 2),
            (["--min-share", "walk=nan"], "write LABEL=0.05", 2),
            (["--max-share", "walk=1.5"], "write LABEL=0.05", 2),
            (["--max-share", "walk=0.5", "--max-share", "walk=0.4"], "there twice", 2),
        ],
    )
    def test_refuses_all_of_it_before_the_first_change(
        self, prefix, trainer, options, message, code
    ):
        assert message in refusal("set", prefix, "--freeze", *options, code=code)
        look = Session(name=prefix, mode="read-only")
        assert (look.frozen, look.share_limits(), look.acts()) == (False, {}, [])

    def test_a_ban_leaves_a_task_to_draw(self, prefix):
        with closing(Session(8, name=prefix)) as session:
            for task_id, label in enumerate("aab"):
                session.create(task_id, label=label)
            run("set", prefix, "--ban", "a")
            assert "leave one of them" in refusal("set", prefix, "--ban", "b")
            session.create(3)
            run("set", prefix, "--ban", "b")
            assert session.draw().task_id == 3

    def test_a_limit_can_move_from_one_label_to_another_at_once(self, prefix, trainer):
        run("set", prefix, "--min-share", "walk=0.9")
        run("set", prefix, "--min-share", "speed=fast=0.9", "--min-share", "walk=0.1")
        limits = Session(name=prefix, mode="read-only").share_limits()
        assert limits == {"walk": (0.1, 1.0), "speed=fast": (0.9, 1.0)}
        run("set", prefix, "--min-share", "walk=0.9", "--min-share", "speed=fast=0.1")
        limits = Session(name=prefix, mode="read-only").share_limits()
        assert limits == {"walk": (0.9, 1.0), "speed=fast": (0.1, 1.0)}
        assert "take the ban off" in refusal_after_ban(prefix)

    def test_a_dead_session_cannot_be_steered_but_shown(self, prefix):
        leave_dead(prefix)
        assert "the session is dead" in refusal("set", prefix, "--freeze")
        assert "dead: its processes ended" in run("show", prefix).stdout
        assert run_json("show", prefix)["totals"]["score_min"] is None
        run("rm", prefix)


def refusal_after_ban(name):
    run("set", name, "--ban", "[bold]x[/]")
    return refusal("set", name, "--min-share", "[bold]x[/]=0.0001")


class TestShow:
    def test_overview_is_that_of_the_session(self, prefix, trainer):
        run("set", prefix, "--ban", "speed=fast")
        look = Session(name=prefix, mode="read-only")
        found = run_json("show", prefix)
        assert found["session"]["processes"] == [trainer.process.pid]
        assert found["session"]["content"] == "jumps"
        assert found["totals"] == {
            name: value for name, value in look.totals().items() if value == value
        }
        assert found["rules"]["law"] == look.rules.as_dict()["law"]
        assert found["steering"]["share_limits"] == {"speed=fast": {"least": 0.0, "most": 0.0}}
        assert found["acts"] == look.acts()
        ids, shares = look.probabilities()
        for at, label in enumerate(LABELS[:-1]):
            row = found["labels"][label]
            assert row["probability"] == pytest.approx(shares[ids == 10 * at].sum())
            assert row["completions"] == (5 if at == 0 else 0)
        text = run("show", prefix, COLUMNS="80").stdout
        assert r"zwei\nZeilen, läuft" in text
        assert all(len(line) <= 80 for line in text.splitlines())
        assert "[bold]x[/]" in text
        assert "ban speed=fast" in text
        assert "and 3 more" in run("show", prefix, "--rows", 2).stdout

    def test_one_task_and_why_it_has_its_probability(self, prefix, trainer):
        run("set", prefix, "--max-share", "walk=0.05")
        look = Session(name=prefix, mode="read-only")
        found = run_json("show", prefix, "--task", 0)
        record, why = found["record"], found["why"]
        assert record["total_score"] == sum(SCORES)
        assert record["env_steps"] == 35
        assert record["columns"] == {"retry": 0.0}
        by_law = (1 - why["floor"]) * why["share"] + why["uniform_part"]
        assert why["probability"] == pytest.approx(why["guard_factor"] * by_law)
        ids, shares = look.probabilities()
        assert why["probability"] == pytest.approx(shares[ids == 0].item())
        assert why["guard"] == "maximum share of its label"
        text = run("show", prefix, "--task", 0, COLUMNS="80").stdout
        assert "maximum share of its label" in text
        assert "share of walk at most 0.05" in text
        assert "no task 7" in refusal("show", prefix, "--task", 7)
        assert "must be within" in refusal("show", prefix, "--task", 2**70)

    def test_one_label_with_its_tasks_by_progress(self, prefix, trainer):
        trainer.ask(fill_label)
        look = Session(name=prefix, mode="read-only")
        found = run_json("show", prefix, "--label", "walk", "--rows", 1)
        (task,) = found["tasks"]
        best = max((0, 70), key=lambda task_id: look.read(task_id).lp_score)
        assert task["task_id"] == best
        assert task["completion_count"] == look.read(best).completion_count
        assert found["totals"] == look.label_totals()["walk"]
        text = run("show", prefix, "--label", "walk", "--rows", 1, COLUMNS="80").stdout
        assert "and 1 more" in text
        assert "did you mean 'walk'" in refusal("show", prefix, "--label", "walks")
        assert "not both" in refusal("show", prefix, "--label", "walk", "--task", 0, code=2)

    def test_numbers_stay_short(self):
        given = (0, 999, 1000, 99_949, 999_499, 999_500, 3e9)
        shown = ["0", "999", "1.0k", "99.9k", "999k", "1.0M", "3.0G"]
        assert [count(n) for n in given] == shown
        assert [size(n) for n in (5, 2048, 6_746_112)] == ["5B", "2.0K", "6.4M"]


def fill_label():
    """Another task of the first label, which is being learned."""
    session = KEPT["session"]
    session.create(70, label="walk")
    for score in np.linspace(0.0, 1.0, 20):
        session.update(70, float(score))


def allow_small_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))


class TestExport:
    def read(self, path):
        """Columns of a file by name, as lists."""
        if path.suffix == ".csv":
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            return {
                name: [row[name] if name == "label" else float(row[name]) for row in rows]
                for name in rows[0]
            }
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {name: arrays[name].tolist() for name in arrays.files}
        parquet = pytest.importorskip("pyarrow.parquet")
        return parquet.read_table(path).to_pydict()

    @pytest.mark.parametrize("suffix", [".csv", ".npz", ".parquet"])
    def test_every_task_and_field_comes_back_exactly(self, prefix, trainer, tmp_path, suffix):
        if suffix == ".parquet":
            pytest.importorskip("pyarrow")
        path = tmp_path / f"out{suffix}"
        look = Session(name=prefix, mode="read-only")
        said = run_json("export", prefix, path)
        table = self.read(path)
        assert said == {
            "file": str(path),
            "tasks": 6,
            "columns": len(table),
            "bytes": path.stat().st_size,
        }
        expected = look.snapshot()
        assert list(table)[:2] == ["task_id", "label"]
        assert set(table) == {*expected.dtype.names, "probability"}
        none = None if suffix == ".parquet" else ""
        assert table["label"] == [none if label is None else label for label in LABELS]
        for name in set(table) - {"label", "probability"}:
            assert table[name] == expected[name].tolist(), name
        assert table["probability"] == look.probabilities()[1].tolist()

    def test_tasks_that_come_and_go_meanwhile_are_whole(self, prefix, tmp_path):
        capacity = 2_000
        worker = Worker()
        worker.ask(evict_all_the_time, prefix, capacity)
        newest = []
        for number in range(10):
            path = tmp_path / f"{number}.npz"
            run("export", prefix, path)
            table = self.read(path)
            ids = table["task_id"]
            assert ids == sorted(set(ids))
            # A slot whose tenant changes at the moment that it is read has none.
            assert capacity // 2 < len(ids) <= capacity
            assert table["label"] == [label_of(task_id) for task_id in ids]
            # Read after the records: NaN for those that were gone by then.
            known = [share for share in table["probability"] if not math.isnan(share)]
            assert not known or min(known) > 0.0
            assert sum(known) <= 1.0 + 1e-9
            newest.append(max(ids))
        assert newest[-1] > newest[0]
        worker.kill()

    def test_a_file_that_is_there_stays_without_force(self, prefix, trainer, tmp_path):
        path = tmp_path / "out.csv"
        path.write_text("mine")
        assert "--force replaces it" in refusal("export", prefix, path)
        assert path.read_text() == "mine"
        run("export", prefix, path, "--force")
        assert path.read_text().startswith("task_id,")
        assert os.listdir(tmp_path) == ["out.csv"]

    def test_what_cannot_be_written_leaves_nothing(self, prefix, trainer, tmp_path, monkeypatch):
        assert "take one of .csv, .parquet, .npz" in refusal("export", prefix, tmp_path / "a.xls")
        assert "there is no folder" in refusal("export", prefix, tmp_path / "no" / "a.csv")
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        hint = refusal("export", prefix, tmp_path / "a.parquet")
        assert "pip install 'curricle[parquet]'" in hint
        small = [sys.executable, "-m", "curricle.cli", "export", prefix, tmp_path / "a.csv"]
        ran = subprocess.run(
            small, capture_output=True, text=True, timeout=LIMIT, preexec_fn=allow_small_files
        )
        assert (ran.returncode, ran.stderr) == (1, f"error: {tmp_path / 'a.csv'}: file too large\n")
        assert os.listdir(tmp_path) == []


class TestShell:
    """What all commands have in common."""

    def complete(self, line):
        env = {
            "_CURRICLE_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
        }
        return [line for line in run(**env).stdout.splitlines() if line]

    @pytest.mark.parametrize("command", ["show", "set", "export", "rm"])
    def test_names_of_sessions_are_completed(self, prefix, trainer, command):
        assert self.complete(f"curricle {command} {prefix[:-3]}") == [prefix]

    def test_labels_are_completed_and_a_missing_session_is_no_error(self, prefix, trainer):
        assert self.complete(f"curricle show {prefix} --label wa") == ["walk"]
        assert self.complete(f"curricle set {prefix} --min-share sp") == ["speed=fast="]
        assert self.complete("curricle show no-such-session --label wa") == []

    def test_a_full_disk_is_one_line(self, prefix, trainer):
        with open("/dev/full", "w") as full:
            command = [sys.executable, "-m", "curricle.cli", "show", prefix]
            ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=LIMIT)
        assert (ran.returncode, ran.stderr) == (1, b"error: no space left on device\n")

    @pytest.mark.parametrize("command", [["ls"], ["ls", "--json"], ["show", "NAME"]])
    def test_a_reader_that_leaves_is_no_error(self, prefix, trainer, command):
        command = [prefix if word == "NAME" else word for word in command]
        process = subprocess.Popen(
            [sys.executable, "-m", "curricle.cli", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        process.stdout.close()
        error = process.stderr.read()
        process.stderr.close()
        process.wait(LIMIT)
        assert error == b""

    def test_debug_shows_where_an_error_is_from(self):
        result = CliRunner().invoke(app, ["show", "no such session", "--debug"])
        assert isinstance(result.exception, SessionError)

    def test_an_interrupt_is_130(self, trainer, only, monkeypatch):
        def interrupt(_):
            raise KeyboardInterrupt

        monkeypatch.setattr(session_facts.time, "sleep", interrupt)
        run("ls", code=130)

    @pytest.mark.parametrize("command", [[], ["ls"], ["rm"], ["show"], ["set"], ["export"]])
    def test_help_fits_80_columns(self, command):
        text = run(*command, "--help", COLUMNS="80").stdout
        assert all(len(line) <= 80 for line in text.splitlines())
        assert command or "130 interrupted" in text
        assert not command or "Example" in text
