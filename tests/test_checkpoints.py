"""Checkpoints: whatever happens to their writer or to their bytes, a load is whole or refused."""

import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from checkpoint_workers import TASKS, load_on_and_on, save_on_and_on, write_and_evict
from curricle import CheckpointError, LocalMemoryBackend, Rules, Session, TaskTracker
from refusals import unchanged

FORK = multiprocessing.get_context("fork")
RULES = Rules(score_range=(0.0, 1.0))


def session_of(counts, **options):
    """A session with the tasks of the workers, each with as many scores as ``counts``."""
    session = Session(40, RULES, **options)
    session.create_many(TASKS, [f"label {task_id % 3}" for task_id in TASKS])
    for _ in range(counts):
        session.update_many(TASKS, np.ones(len(TASKS)))
    return session


def killed(target, *args):
    """Runs a worker until it is at its work, and kills it at any moment after that."""
    ready = FORK.Event()
    worker = FORK.Process(target=target, args=(*args, ready))
    worker.start()
    assert ready.wait(30)
    time.sleep(random.uniform(0.0, 0.004))
    worker.kill()
    worker.join(30)
    assert worker.exitcode == -signal.SIGKILL


@pytest.fixture
def state(tmp_path):
    """A tracker and the path of its checkpoint."""
    tracker = TaskTracker(backend=LocalMemoryBackend(5, rules=RULES))
    tracker.track_many(np.arange(2), ["a", None])
    tracker.update_batch([0, 1, 1], [0.25, 0.5, 1.0])
    tracker.save(str(tmp_path / "state"))
    return tracker, tmp_path / "state"


def test_a_killed_saver_leaves_one_of_its_states(tmp_path):
    path, seen = str(tmp_path / "state"), set()
    with_tasks, checker = session_of(0), session_of(0)
    for _ in range(200):
        killed(save_on_and_on, with_tasks, path)
        checker.load(path)
        checker.verify()
        counts = set(checker.snapshot()["completion_count"].tolist())
        assert len(counts) == 1, counts
        assert checker.totals()["completions"] == len(TASKS) * max(counts)
        seen |= counts
        # The next saver removes what the last one left.
        assert len(os.listdir(tmp_path)) <= 2
    assert len(seen) > 1
    checker.save(path)
    assert os.listdir(tmp_path) == ["state"]


SAVE = """
import sys
from curricle import Session
session = Session(5)
session.create(2)
session.save(sys.argv[1])
"""


def trace(path, *options):
    """The system calls of a process that saves to ``path``, and its exit status."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not there to watch the calls")
    log = f"{path.parent}.trace"
    calls = "trace=openat,write,fsync,rename,unlink"
    own = ["strace", "-o", log, "-y", "-e", calls, *options]
    # A module's compiled code would be written and renamed as well.
    saver = [sys.executable, "-B", "-c", SAVE, str(path)]
    done = subprocess.run([*own, *saver], capture_output=True, text=True, timeout=60)
    with open(log) as file:
        lines = file.read()
    if not lines.strip():
        pytest.skip(f"strace may not watch: {done.stderr.strip()[-200:]}")
    return [line for line in lines.splitlines() if str(path.parent) in line], done.returncode


def test_a_file_is_on_the_disk_before_it_takes_the_name(tmp_path):
    path = tmp_path / "folder" / "state"
    path.parent.mkdir()
    calls, status = trace(path)
    assert status == 0
    draft = re.escape(f"{path.parent}/.state.") + r"[-0-9]+\.tmp"
    order = [
        rf'openat\(.*"{draft}".*O_CREAT.*O_EXCL|openat\(.*"{draft}".*O_EXCL.*O_CREAT',
        rf"write\(\d+<{draft}>",
        rf"fsync\(\d+<{draft}>",
        rf'rename\("{draft}", "{re.escape(str(path))}"\)',
        rf"fsync\(\d+<{re.escape(str(path.parent))}>",
    ]
    found = [next((i for i, c in enumerate(calls) if re.match(o, c)), None) for o in order]
    assert None not in found, (found, calls)
    assert found == sorted(found), calls


@pytest.mark.parametrize("call", ["write", "fsync:1", "fsync:2", "rename"])
def test_a_saver_killed_at_each_step(tmp_path, call):
    path = tmp_path / "folder" / "state"
    path.parent.mkdir()
    before, after = Session(5), Session(5)
    before.create(1)
    before.save(str(path))
    name, _, when = call.partition(":")
    _, status = trace(path, "-e", f"inject={name}:signal=KILL:when={when or 1}")
    assert status != 0
    after.load(str(path))
    assert after.task_ids().tolist() in ([1], [2])
    after.save(str(path))
    assert os.listdir(path.parent) == ["state"]


def test_every_change_of_one_byte_is_found(state):
    tracker, path = state
    whole = path.read_bytes()
    with unchanged(tracker, path.name):
        for at in range(len(whole)):
            for flip in (0x01, 0xFF):
                broken = bytearray(whole)
                broken[at] ^= flip
                path.write_bytes(broken)
                with pytest.raises(CheckpointError):
                    tracker.load(str(path))


def test_another_version_is_named(state):
    tracker, path = state
    content = bytearray(path.read_bytes())
    own = content[8]
    content[8:16] = (977).to_bytes(8, "little")
    path.write_bytes(content)
    with (
        unchanged(tracker, path.name),
        pytest.raises(CheckpointError, match=rf"version 977, this build reads version {own}\b"),
    ):
        tracker.load(str(path))


class TestSize:
    """What a file claims is not believed before it is held against the session."""

    @pytest.fixture
    def little_memory(self):
        limits = resource.getrlimit(resource.RLIMIT_AS)
        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + 2**26, limits[1]))
        yield
        resource.setrlimit(resource.RLIMIT_AS, limits)

    def test_a_file_of_a_terabyte_is_not_read(self, state, little_memory):
        tracker, path = state
        with open(path, "r+b") as file:
            file.truncate(2**40)
        with unchanged(tracker, path.name), pytest.raises(CheckpointError, match="at most"):
            tracker.load(str(path))

    @pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
    def test_devices_are_no_files(self, state, device, little_memory):
        with pytest.raises(CheckpointError, match="no plain file"):
            state[0].load(device)

    def test_a_pipe_is_not_waited_for(self, state, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(CheckpointError, match="no plain file"):
            state[0].load(str(tmp_path / "pipe"))

    @pytest.mark.parametrize("word", range(2, 60))
    def test_words_that_are_too_large(self, state, word, little_memory):
        tracker, path = state
        content = bytearray(path.read_bytes())
        content[8 * word : 8 * word + 8] = (2**60).to_bytes(8, "little")
        path.write_bytes(content)
        with unchanged(tracker, path.name), pytest.raises(CheckpointError):
            tracker.load(str(path))


def test_numbers_that_other_rules_cannot_weigh_change_nothing(tmp_path):
    saver = Session(5, Rules(law="uniform"))
    saver.create(1)
    saver.set_lp(1, 5e5)
    saver.update(1, 0.5)
    saver.set_lp(1, 5e5)
    path = str(tmp_path / "state")
    saver.save(path)
    tracker = TaskTracker(backend=LocalMemoryBackend(5, rules=Rules(min_samples=1)))
    tracker.track_many(np.arange(2), ["a", None])
    with unchanged(tracker, "state"), pytest.raises(CheckpointError, match="weight 500000"):
        tracker.load(path)


def test_threads_that_save_to_one_path(tmp_path):
    sessions = [session_of(counts) for counts in (1, 2, 3)]
    path, checker = str(tmp_path / "state"), session_of(0)

    def save(session):
        for _ in range(50):
            session.save(path)

    threads = [threading.Thread(target=save, args=(session,)) for session in sessions]
    sessions[0].save(path)
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        checker.load(path)
        assert set(checker.snapshot()["completion_count"].tolist()) in ({1}, {2}, {3})
    for thread in threads:
        thread.join()
    assert os.listdir(tmp_path) == ["state"]


def test_a_killed_loader_leaves_all_or_nothing(tmp_path):
    paths = [str(tmp_path / f"{counts}") for counts in (1, 2)]
    for counts, path in enumerate(paths, start=1):
        session_of(counts).save(path)
    with_tasks = session_of(0, name="test-killed-loader")
    states = set()
    try:
        for _ in range(100):
            killed(load_on_and_on, with_tasks, paths)
            with_tasks.verify()
            assert len(with_tasks) == len(TASKS)
            counts = set(with_tasks.snapshot()["completion_count"].tolist())
            assert len(counts) == 1
            states |= counts
        assert states >= {1, 2}
        assert with_tasks.totals()["recoveries"] > 0
    finally:
        with_tasks.close()


def test_a_killed_loader_whose_file_is_gone_leaves_an_empty_table(tmp_path):
    path = str(tmp_path / "state")
    session_of(1).save(path)
    with_tasks = session_of(0, name="test-killed-loader-without-file")
    try:
        for _ in range(20):
            killed(load_on_and_on, with_tasks, [path])
            os.rename(path, f"{path} elsewhere")
            with_tasks.verify()
            assert len(with_tasks) in (0, len(TASKS))
            os.rename(f"{path} elsewhere", path)
    finally:
        with_tasks.close()


def test_saves_beside_writers_lose_and_double_nothing(tmp_path):
    path, files = str(tmp_path / "state"), 120
    session = session_of(0, name="test-saves-beside-writers")
    stop, results = FORK.Event(), FORK.Queue()
    workers = [
        FORK.Process(target=write_and_evict, args=(session, n, stop, results)) for n in range(1, 5)
    ]
    try:
        for worker in workers:
            worker.start()
        last = dict.fromkeys(("completions", "scheduled", "created", "evicted"), 0.0)
        for _ in range(files):
            session.save(path)
            saved = Session(40, RULES)
            saved.load(path)
            verified, totals = saved.verify(), saved.totals()
            labels = saved.label_totals().values()
            # Of one commit, so equal in every stripe and in every sum of stripes.
            for row in (totals, *labels):
                assert row["completions"] == row["env_steps"] == row["score_sum"]
                assert row["created"] - row["evicted"] == row["tasks"]
            assert totals["live_completions"] == saved.snapshot()["completion_count"].sum()
            assert totals["completions"] == sum(row["completions"] for row in labels)
            assert verified["tasks"] == totals["tasks"] == len(saved)
            for name, before in last.items():
                assert totals[name] >= before, name
            last = {name: totals[name] for name in last}
        stop.set()
        counted = [results.get(timeout=60) for _ in workers]
        for worker in workers:
            worker.join(60)
        session.save(path)
        saved.load(path)
        assert saved.totals()["completions"] == sum(row[0] for row in counted)
        assert saved.totals()["evicted"] == sum(row[1] for row in counted) > 0
    finally:
        session.close()
