"""The page of the benches' results, from figures that are given and from a short run."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benches import core_costs, machine, results
from benches.budgets import verdicts
from benches.call_costs import CallFigures
from benches.core_costs import CoreCost
from benches.measured import Measured
from benches.page import page
from benches.peers import calls, catalogue
from benches.peers.calls import CallCost
from benches.peers.managed_dict import ManagedDictPeer
from benches.peers.shared_arrays import SharedArraysPeer
from benches.peers.throughput import NO_CURRICULUM, Throughput
from benches.timing import Figures
from benches.trainers.pairs import TrainerCost, TrainerCosts
from benches.training_loop import METRICS, OFF, ON, LoopSpeed
from benches.two_processes import TwoProcesses

ROOT = Path(__file__).parents[1]
MICROSECOND = 1e-6
PNG = b"\x89PNG"


def workers_of(peer, tasks, one, four):
    return [Throughput(peer, tasks, 1, Figures([one])), Throughput(peer, tasks, 4, Figures(four))]


def given():
    """Figures with a ratio of 25 in a draw, and some within and some beyond their budgets."""
    return Measured(
        machine=["a machine"],
        when={"calls": "yesterday", "peers": "long ago"},
        commits={"calls": "commit abc1234 with changes"},
        failed={"core": "FileNotFoundError: no cargo"},
        missing={"torchrl": "ImportError: not there"},
        calls=[
            CallFigures("session, one task", "update", 1_000, 1.4e-7, 1.6e-7, 1e-8),
            CallFigures("session, one task", "field", 1_000, 0.7e-7, 0.8e-7, 1e-8),
            CallFigures("session, 1,024 tasks at once", "update_many", 1_000, 9e-8, 9e-8, 0.0),
            CallFigures("a step within an episode", "gymnasium.Wrapper", None, 1e-7, 1e-7, 0.0),
            CallFigures("a step within an episode", "CurriculumEnv", None, 1.8e-7, 2e-7, 0.0),
        ],
        peers=[
            CallCost(peer, operation, tasks, Figures([cost * MICROSECOND, 2 * cost * MICROSECOND]))
            for tasks in (100, 1_000)
            for operation in ("draw", "update", "score all tasks")
            for peer, cost in (("Curricle", 2.0), ("syllabus-rl", 50.0))
        ],
        workers=[
            *workers_of(NO_CURRICULUM, 0, 1e6, [2e6]),
            *workers_of("Curricle", 100, 2e5, [3e5, 2.6e5, 3.1e5]),
            *workers_of("syllabus-rl", 100, 2e3, [2e3, 2e3, 2e3]),
        ],
        processes=TwoProcesses(*(Figures([rate]) for rate in (1e6, 2e6, 1.4e6, 2e6, 1.9e6))),
        training=[
            LoopSpeed(
                2,
                10,
                {arm: Figures(rates) for arm, rates in steps.items()},
                {arm: Figures(rates) for arm, rates in steps.items()},
            )
            for steps in [{OFF: [100.0, 100.0], ON: [97.0, 98.0], METRICS: [90.0, 92.0]}]
        ],
        trainers=TrainerCosts(
            [
                TrainerCost(
                    "RLlib 2.60",
                    4,
                    12,
                    50,
                    *(Figures([rate] * 2) for rate in (985.0, 1_000.0, 498.0, 500.0)),
                )
            ],
            {"TorchRL": "ImportError: not there"},
        ),
    )


def test_each_budget_says_whether_it_holds():
    holds = {each.operation: (each.median, each.holds) for each in verdicts(given())}
    assert holds["session, one task: `field`, 1,000 tasks"] == ("80 ns", "yes")
    assert holds["session, one task: `update`, 1,000 tasks"] == ("160 ns", "in the best round")
    missed = "session, 1,024 tasks at once: `update_many`, 1,000 tasks"
    assert holds[missed] == ("90 ns", "**no**")
    assert holds["`CurriculumEnv.step` less a bare wrapper's"] == ("100 ns", "yes")
    assert holds["episodes a second, 4 workers, 100 tasks"] == ("300,000", "yes")
    assert holds["the same over syllabus-rl's, 4 workers, 100 tasks"] == ("150x", "yes")
    assert holds["episodes a second, 4 workers, 10,000 tasks"] == ("", "not measured")
    assert holds["training loop, steps of 10 µs, 2 workers: on / off"] == ("0.975", "**no**")
    assert holds["RLlib 2.60, 4 workers: on / off"] == ("0.985", "**no**")
    assert holds["RLlib 2.60, 4 workers: on / off, by processor time"] == ("0.996", "yes")
    two = "updates of two processes on different tasks, over two that share nothing"
    assert holds[f"{two}: a task each"] == ("0.950", "yes")
    assert holds[f"{two}: half of them each"] == ("0.700", "**no**")


def test_the_page_says_what_was_measured_and_what_was_not():
    text = page(given())
    for said in (
        "- a machine",
        "- calls: yesterday; commit abc1234 with changes",
        "- peers: long ago; commit not kept",
        "- torchrl: ImportError: not there",
        "| draw, 1,000 | 3 µs (2 µs to 4 µs) | 75 µs (25x) |",
        "| syllabus-rl, 100 tasks | 2,000 (2,000 to 2,000) | 2,000 (2,000 to 2,000) | 150x |",
        "| 2 workers, 10 µs | 2 | 100 | 0.975 (0.970 to 0.980) |",
        "| RLlib 2.60 | 4 | 12 | 2 | 1,000 | 0.985 (0.985 to 0.985) | 0.996 (0.996 to 0.996) |",
        "Not measured, as they cannot be imported: TorchRL (ImportError: not there).",
        "Not measured. FileNotFoundError: no cargo",
    ):
        assert said in text


def ratios_of(rounds):
    """A training loop whose rounds have these ratios of on to off."""
    steps = {OFF: [100.0] * len(rounds), ON: [100 * ratio for ratio in rounds]}
    figures = {arm: Figures(rates) for arm, rates in steps.items()}
    return Measured(["a machine"], training=[LoopSpeed(2, 10, figures, figures)])


@pytest.mark.parametrize(
    ("middle", "spread", "holds"),
    [
        (1.0, 0.02, "yes"),
        (0.98, 0.02, "**no**"),
        (0.98, 0.3, "undecided"),
        (1.0, 0.3, "undecided"),
    ],
)
def test_a_ratio_is_judged_by_its_interval(middle, spread, holds):
    rounds = middle + spread * np.linspace(-1, 1, 101)
    found = {each.operation: each for each in verdicts(ratios_of(rounds.tolist()))}
    verdict = found["training loop, steps of 10 µs, 2 workers: on / off"]
    assert (verdict.median, verdict.holds) == (f"{middle:.3f}", holds)
    assert verdict.beside == "{:.3f} to {:.3f}".format(*Figures(rounds.tolist()).interval)


@pytest.mark.parametrize(("rounds", "ratios"), [(21, 200), (301, 40)])
def test_the_interval_of_a_median_has_it_in_95_of_100(rounds, ratios):
    samples = np.random.default_rng(0).lognormal(0.0, 0.2, (ratios, rounds))
    intervals = np.array([Figures(sample.tolist()).interval for sample in samples])
    within = (intervals[:, 0] <= 1.0) & (intervals[:, 1] >= 1.0)
    assert within.mean() >= 0.9
    # The ranks between which a binomial of as many halves is in 95 of 100 cases.
    ranks = 0.5 + np.array([-0.98, 0.98]) / rounds**0.5
    widths = np.ptp(np.quantile(samples, ranks, axis=1), axis=0)
    assert np.ptp(intervals, axis=1).mean() == pytest.approx(widths.mean(), rel=0.1)
    assert Figures(samples[0].tolist()).interval == tuple(intervals[0])


def test_a_ratio_is_the_median_of_the_rounds_ratios_wherever_it_is_said():
    # Of the medians it would be 4, of the least 100.
    ours, theirs = [1e5, 3e5, 2e5], [5e4, 1e5, 1e3]
    measured = Measured(
        ["a machine"],
        workers=[
            Throughput("Curricle", 100, 4, Figures(ours)),
            Throughput("syllabus-rl", 100, 4, Figures(theirs)),
        ],
        peers=[
            CallCost("Curricle", "draw", 100, Figures(theirs)),
            CallCost("syllabus-rl", "draw", 100, Figures(ours)),
        ],
    )
    said = page(measured)
    assert "the same over syllabus-rl's, 4 workers, 100 tasks | >= 100x | 3x | 2x to 200x" in said
    assert "| syllabus-rl, 100 tasks | 50,000 (1,000 to 100,000) | 3x |" in said
    assert "(3x) |" in said.partition("operation, tasks |")[2].partition("\n\n")[0]


def test_the_page_says_where_curricle_is_slower():
    measured = given()
    assert "No call of Curricle took longer" in page(measured)
    faster = CallCost("NumPy in shared memory, lock", "score all tasks", 100, Figures([1e-6] * 2))
    measured.peers.append(faster)
    said = page(measured)
    assert "- score all tasks, beside NumPy in shared memory, lock: 0.38x at 100 tasks. " in said
    assert "sleeps 0.01 s" in said
    assert "No call of Curricle took longer" not in said


def test_the_page_is_written_anew_from_kept_figures(tmp_path):
    kept = tmp_path / "results.json"
    measured = given()
    measured.core = [CoreCost("draw", "draw", 1_000, 1e-7, 0.9e-7, 1.1e-7, "2026-01-01 00:00")]
    measured.failed = {}
    measured.save(kept)
    assert Measured.load(kept) == measured
    out = tmp_path / "out"
    ran = CliRunner().invoke(results.app, ["--from", str(kept), "--out", str(out)])
    assert ran.exit_code == 0, ran.output
    text = (out / "RESULTS.md").read_text()
    assert "| draw: draw | 100 ns (90 ns to 110 ns) |" in text
    for picture in ("costs", "throughput", "training_loop"):
        assert (out / "pictures" / f"{picture}.png").read_bytes().startswith(PNG)
        assert f"(pictures/{picture}.png)" in text


def run_results(*arguments):
    """The command as a user gives it."""
    command = [sys.executable, "-m", "benches.results", *map(str, arguments)]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "No such file or directory"),
        ('{"machine": ["a mach', "Invalid JSON"),
        ('{"name": "something else"}', "machine: Field required"),
        ('{"machine": ["a machine"], "scores": []}', "scores: "),
    ],
    ids=["missing", "broken", "foreign", "more"],
)
def test_a_file_without_results_is_named_in_one_line(tmp_path, content, fault):
    source = tmp_path / "kept.json"
    if content is not None:
        source.write_text(content)
    with run_results("--from", source, "--out", tmp_path / "out") as ran:
        said = ran.communicate()[1]
    assert ran.returncode == 2
    assert said.startswith(f"no results in {source} ({fault}")
    assert said.endswith("without --from they are measured anew\n")
    assert said.count("\n") == 1


@pytest.mark.parametrize("out", ["/proc", "a file/results"])
def test_a_folder_that_cannot_be_written_is_refused_before_measuring(tmp_path, out):
    (tmp_path / "a file").write_text("")
    with run_results("--quick", "--out", tmp_path / out) as ran:
        said = ran.communicate()[1]
    assert ran.returncode == 2
    assert said.startswith(f"cannot write to {tmp_path / out} (")
    assert said.endswith("--out names another folder\n")
    assert said.count("\n") == 1


def test_figures_with_holes_are_no_page(tmp_path):
    source = tmp_path / "results.json"
    found = given()
    found.training[0].steps["off"] = Figures([0.0, 0.0, 0.0])
    found.save(source)
    with run_results("--from", source, "--out", tmp_path / "out") as ran:
        said = ran.communicate()[1]
    assert ran.returncode == 2
    assert said.startswith("no page can be made of these figures (")
    assert said.count("\n") == 1


def test_a_quick_run_says_so_and_is_not_put_beside_the_benches():
    found = given()
    warning = "no figure here means anything"
    assert warning not in page(found)
    found.quick = True
    assert warning in page(found)
    told = CliRunner().invoke(results.app, ["--help"], env={"COLUMNS": "200"}).stdout
    assert "with --quick, runs/quick-results" in told


@pytest.mark.parametrize("source", ["__cause__", "__context__"])
def test_a_lock_that_fails_in_a_ctrl_c_does_not_swallow_it(source):
    error = TypeError("'bool' object is not subscriptable")
    setattr(error, source, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt), catalogue.noted(ManagedDictPeer, 1, {}):
        raise error


def test_a_run_that_is_stopped_keeps_what_it_has_and_the_results_of_before(tmp_path):
    kept = tmp_path / "results.json"
    given().save(kept)
    with run_results("--quick", "--out", tmp_path) as ran:
        for line in ran.stderr:
            if "measuring peers" in line:
                ran.send_signal(signal.SIGINT)
                break
        rest = ran.stderr.read()
    unfinished = tmp_path / "unfinished.json"
    last = f"stopped; of what was measured: --from {unfinished} writes a page of it"
    assert (ran.returncode, rest.splitlines()[-1]) == (130, last)
    assert "Traceback" not in rest
    assert Measured.load(kept) == given()
    found = Measured.load(unfinished)
    assert found.processes is not None
    assert not found.peers
    assert found.commits.keys() == found.when.keys() == {"calls", "processes"}


@pytest.fixture
def repository(tmp_path):
    """A git repository with a commit of one file, and what gives git's answers in it."""

    def git(*arguments):
        author = ["-c", "user.name=a", "-c", "user.email=a@b"]
        command = ["git", *author, *arguments]
        ran = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
        return ran.stdout.strip()

    git("init", "-q")
    (tmp_path / "benches").mkdir()
    for name in ("code.py", "benches/RESULTS.md", "benches/results.json"):
        (tmp_path / name).write_text("as committed")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    return tmp_path, git("rev-parse", "--short", "HEAD")


def test_a_commit_says_whether_the_code_is_changed(repository):
    folder, commit = repository
    assert machine.commit(folder) == f"commit {commit}"
    (folder / "benches" / "results.json").write_text("of this run")
    (folder / "benches" / "RESULTS.md").write_text("of this run")
    assert machine.commit(folder) == f"commit {commit}"
    (folder / "code.py").write_text("changed")
    assert machine.commit(folder) == f"commit {commit} with changes"


def test_a_copy_has_no_commit_even_within_a_repository(repository):
    folder, _ = repository
    assert machine.commit(folder / "benches") == "no repository"


@pytest.fixture
def of_before(tmp_path):
    """A folder with results of another machine, on which a trainer had failed."""
    before = given()
    before.failed = {"core": "no cargo", "trainers: SB3": "of a worker", "trainers": "of all"}
    before.save(tmp_path / "results.json")
    return tmp_path, before


def run_only(folder, *options):
    return CliRunner().invoke(results.app, ["--out", str(folder), *options])


def test_a_part_is_measured_anew_and_the_others_stay(of_before, monkeypatch):
    folder, before = of_before

    def measure_trainers(failed):
        failed["RLlib"] = "now"
        return TrainerCosts([], {"TorchRL": "no longer there"})

    monkeypatch.setitem(results.FULL, "trainers", measure_trainers)
    ran = run_only(folder, "--only", "trainers")
    assert ran.exit_code == 1, ran.output
    assert "measuring trainers, 1 of 1" in ran.stderr
    found = Measured.load(folder / "results.json")
    assert found.trainers == TrainerCosts([], {"TorchRL": "no longer there"})
    assert found.failed == {"core": "no cargo", "trainers: RLlib": "now"}
    assert found.when.pop("trainers").endswith("; ".join(["after", *machine.describe()]))
    assert found.commits.pop("trainers") == machine.commit()
    for part in ("machine", "missing", "when", "commits", "calls", "peers", "workers", "training"):
        assert getattr(found, part) == getattr(before, part), part
    text = (folder / "RESULTS.md").read_text()
    assert "Not measured, as they cannot be imported: TorchRL (no longer there)." in text
    assert "| draw, 1,000 | 3 µs (2 µs to 4 µs) | 75 µs (25x) |" in text
    # Of parts that stay, so do the pictures.
    assert not list((folder / "pictures").iterdir())


def test_one_part_of_a_folder_without_results_is_a_page_of_it(tmp_path):
    ran = run_only(tmp_path, "--quick", "--only", "processes")
    assert ran.exit_code == 0, ran.output
    found = Measured.load(tmp_path / "results.json")
    assert (found.when.keys(), found.quick) == ({"processes"}, True)
    assert "two on one session, a task each" in (tmp_path / "RESULTS.md").read_text()


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--only", "trainer"], "--only trainer: the parts are calls, processes"),
        (["--quick", "--only", "core"], "--only core: the parts are calls, processes"),
        (["--from", "results.json", "--only", "calls"], "--from measures nothing"),
        (["--quick", "--only", "processes"], "is of a full run, which does not go with figures"),
    ],
)
def test_a_part_that_cannot_be_measured_anew_is_refused(of_before, options, fault):
    folder, before = of_before
    ran = run_only(folder, *options)
    assert ran.exit_code == 2
    assert fault in " ".join(ran.output.replace("│", " ").split())
    assert Measured.load(folder / "results.json") == before


def test_results_of_before_the_trainers_are_read(tmp_path):
    kept = tmp_path / "results.json"
    measured = given()
    measured.save(kept)
    facts = json.loads(kept.read_text())
    del facts["trainers"]
    kept.write_text(json.dumps(facts))
    measured.trainers = None
    assert Measured.load(kept) == measured
    assert "## Trainers\n\nNot measured.\n" in page(measured)


def test_what_criterion_left_is_not_said_to_be_measured_now(tmp_path):
    left = [
        CoreCost("draw", "draw", tasks, 1e-7, 0.9e-7, 1.1e-7, f"2026-01-01 00:0{minute}")
        for tasks, minute in ((1_000, 5), (100, 3))
    ]

    def costs(failed):
        return given().peers

    parts = {"peers": costs, "core": lambda failed: pytest.fail("measured again")}
    measured = results.measure(parts, tmp_path / "results.json", left)
    assert measured.core == left
    when = "2026-01-01 00:03 to 2026-01-01 00:05 UTC, left by `cargo bench`; load not known"
    assert f"- core: {when}; commit not known\n" in page(measured)
    assert f"- peers: {measured.when['peers']}; {machine.commit()}" in page(measured)


def test_a_short_run_makes_a_page(tmp_path, capsys):
    # Calls take pytest-benchmark, which only the benches need; workers are tested with the peers.
    parts = {name: results.QUICK[name] for name in ("processes", "peers", "training")}
    measured = results.measure(parts, tmp_path / "results.json")
    assert measured.failed == {}
    results.write_page(tmp_path, measured)
    assert "| draw, 100 |" in (tmp_path / "RESULTS.md").read_text()
    assert "measuring training" in capsys.readouterr().err


def test_a_part_that_fails_is_named_and_the_others_go_on(tmp_path):
    def fails(failed):
        raise TimeoutError("a worker gave no rate")

    def costs(failed):
        return given().peers

    kept = tmp_path / "results.json"
    measured = results.measure({"workers": fails, "peers": costs}, kept)
    assert Measured.load(kept) == measured
    assert measured.peers == given().peers
    assert "Not measured. TimeoutError: a worker gave no rate" in page(measured)


def test_a_peer_that_fails_is_named_and_the_others_stay(monkeypatch):
    def fails(self):
        raise FloatingPointError("underflow")

    monkeypatch.setattr(SharedArraysPeer, "draw", fails)
    failed = {}
    costs = calls.measure((10,), 1, 0.001, failed)
    assert failed == {f"{SharedArraysPeer.name}, 10 tasks": "FloatingPointError: underflow"}
    assert {row.peer for row in costs} >= {"Curricle", "dict in a Manager, lock"}
    assert SharedArraysPeer.name not in {row.peer for row in costs}
    measured = Measured(["a machine"], failed=failed, peers=costs)
    assert "10 tasks: FloatingPointError: underflow" in page(measured)


def test_a_library_that_cannot_be_imported_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "syllabus.core", None)
    monkeypatch.delitem(sys.modules, "benches.peers.syllabus_peer", raising=False)
    catalogue._find.cache_clear()
    try:
        assert "syllabus-rl" in catalogue.missing()
        assert "Curricle" in {kind.name for kind in catalogue.installed()}
    finally:
        catalogue._find.cache_clear()


@pytest.fixture
def criterion(tmp_path):
    """A folder as criterion leaves it, with a bench of the day before."""

    def leave(name, tasks, elements, age=0):
        folder = tmp_path / name / str(tasks) / "new"
        folder.mkdir(parents=True)
        facts = {
            "group_id": "update",
            "function_id": name,
            "value_str": None if tasks is None else str(tasks),
            "throughput": elements and {"Elements": elements},
        }
        (folder / "benchmark.json").write_text(json.dumps(facts))
        interval = {"lower_bound": 900.0, "upper_bound": 1_200.0}
        median = {"point_estimate": 1_000.0, "confidence_interval": interval}
        (folder / "estimates.json").write_text(json.dumps({"median": median}))
        os.utime(folder / "estimates.json", (1e9 - age, 1e9 - age))

    leave("batch", 1_000_000, 10)
    leave("batch", 1_000, 10)
    leave("lock", None, None)
    leave("gone since", 1_000, None, age=86_400)
    return tmp_path


def test_figures_of_the_core_are_those_of_the_last_run(criterion):
    costs = core_costs.read(criterion)
    assert [(cost.call, cost.tasks) for cost in costs] == [
        ("batch", 1_000),
        ("batch", 1_000_000),
        ("lock", None),
    ]
    assert [cost.median for cost in costs] == pytest.approx([1e-7, 1e-7, 1e-6])
    assert costs[2].low == pytest.approx(9e-7)
    assert costs[2].high == pytest.approx(1.2e-6)
