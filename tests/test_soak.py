"""The soak in short, and that its books notice what is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from curricle.backends import LocalMemoryBackend
from curricle.tracker import TaskTracker
from soak import GROWTH_KIB, Books, Sample, growth
from soak_workers import PERMANENT, Report, Worker, first_label

SOAK = Path(__file__).with_name("soak.py")


def test_a_short_soak() -> None:
    done = subprocess.run(
        [sys.executable, str(SOAK), "--minutes", "0.08", "--seed", "3"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "completions" in done.stdout
    assert "WRONG" not in done.stdout


@pytest.fixture
def tracker() -> TaskTracker:
    made = TaskTracker(backend=LocalMemoryBackend(PERMANENT + 10))
    for task_id in range(PERMANENT):
        made.track_task_creation(task_id, label=first_label(task_id))
    return made


def balanced(tracker: TaskTracker, folder: Path) -> tuple[Books, Report]:
    """One worker's life, entered into the books."""
    books = Books()
    report = Worker(tracker, 1, 0, [], str(folder)).run(100)
    books.enter(report, set(tracker.get_all_tracked_tasks()))
    assert list(books.differences(tracker)) == []
    return books, report


def test_the_books_miss_no_update(tracker: TaskTracker, tmp_path: Path) -> None:
    books, _ = balanced(tracker, tmp_path)
    tracker.update(3, 0.25, 1)
    wrong = [line.split(":")[0] for line in books.differences(tracker)]
    assert wrong == ["task 3", "in all", "label fixed-3"]


def test_the_books_miss_no_draw_and_no_label(tracker: TaskTracker, tmp_path: Path) -> None:
    books, _ = balanced(tracker, tmp_path)
    tracker.set_task_label(0, "moving-0")
    wrong = {line.split(":")[0] for line in books.differences(tracker)}
    assert {"label fixed-0", "label moving", "label moving-0"} <= wrong
    tracker.set_task_label(0, first_label(0))
    assert list(books.differences(tracker)) == []
    drawn = tracker.draw().task_id
    assert f"task {drawn}" in {line.split(":")[0] for line in books.differences(tracker)}


def test_the_books_miss_no_eviction(tracker: TaskTracker, tmp_path: Path) -> None:
    books, report = balanced(tracker, tmp_path)
    tracker.remove_task(report.own[0], evict=True)
    wrong = {line.split(":")[0] for line in books.differences(tracker)}
    assert {"evicted", "tasks", f"task {report.own[0]}"} == wrong


def test_growth_is_noticed() -> None:
    steady = Sample(0.0, 0, 0, 30_000, 20, 1 << 20, 2048, 0, 0)
    assert list(growth([steady] * 4)) == []
    for change in (
        {"private_kib": 30_001 + GROWTH_KIB},
        {"descriptors": 21},
        {"file_bytes": 1 << 21},
        {"file_blocks": 2049},
        {"recoveries": 1},
    ):
        assert len(list(growth([steady] * 3 + [steady._replace(**change)]))) == 1
