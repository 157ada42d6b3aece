"""A process that is stopped with a lock holds up only those who need that lock."""

import fcntl
import multiprocessing
import os
import secrets
import signal
import subprocess
import sys

import numpy as np
import pytest

from curricle import LockTimeoutError, Session
from curricle.backends import SharedMemoryBackend
from curricle.metrics import session_metrics
from curricle.tracker import TaskTracker

TASKS = 32
STRIPES = 16
"""A task's stripe is its slot modulo this; tasks are made in the order of their ids."""
BATCH = 64
LIMIT = 60.0
CONTEXT = multiprocessing.get_context("fork")


def write(name, finished, go_on):
    """Updates task 0, which locks its stripe most of the time."""
    session = Session(name=name, mode="attach")
    tasks, scores = np.zeros(BATCH, int), np.ones(BATCH)
    while go_on.value:
        session.update_many(tasks, scores)
        finished.value += BATCH


def create(name, finished, go_on):
    """Creates a task and evicts it."""
    session = Session(name=name, mode="attach")
    while go_on.value:
        session.create(TASKS, label="new")
        session.remove(TASKS, evict=True)
        finished.value += 1


class Other:
    """Another process on the session, which can be stopped where it holds a lock."""

    def __init__(self, work, name):
        self.finished, self._go_on = CONTEXT.RawValue("q", 0), CONTEXT.RawValue("b", True)
        self.process = CONTEXT.Process(target=work, args=(name, self.finished, self._go_on))
        self.process.start()
        self.pid = self.process.pid

    def stop(self):
        os.kill(self.pid, signal.SIGSTOP)
        assert os.WIFSTOPPED(os.waitpid(self.pid, os.WUNTRACED)[1])

    def go_on(self):
        os.kill(self.pid, signal.SIGCONT)

    def stop_where(self, holds):
        """Stops it at one instant after another, until ``holds()``."""
        self.stop()
        while not holds():
            self.go_on()
            self.stop()

    def end(self):
        self._go_on.value = False
        self.go_on()
        self.process.join(LIMIT)
        assert self.process.exitcode == 0

    def kill(self):
        self.process.kill()
        self.process.join(LIMIT)


@pytest.fixture
def tracker():
    name = f"stops-{secrets.token_hex(8)}"
    tracker = TaskTracker(backend=SharedMemoryBackend(2 * TASKS, name))
    for task_id in range(TASKS):
        tracker.track_task_creation(task_id, label="kept")
    yield tracker
    tracker.cleanup_shared_memory()


@pytest.fixture
def impatient(tracker):
    """A handle that soon gives up to wait."""
    session = Session(name=tracker.backend.session.name, mode="attach", lock_timeout=0.02)
    yield session
    session.close()


@pytest.fixture
def start(impatient):
    started = []

    def start(work):
        started.append(Other(work, impatient.name))
        return started[-1]

    yield start
    for other in started:
        other.kill()


class Updates:
    """Updates of a handle, counted, and whether they can be made."""

    def __init__(self, session):
        self.session = session
        self.made = 0

    def can_be_made(self, task_id):
        try:
            self.session.update(task_id, 1.0)
        except LockTimeoutError:
            return False
        self.made += 1
        return True


def is_structure_held(session):
    try:
        # Takes the lock, and finds that the task is there.
        assert not session.create(0)
    except LockTimeoutError:
        return True
    return False


def read_and_draw(tracker, session):
    """Everything that takes no lock, as nobody waited for one."""
    waits = session.totals()["lock_waits"]
    assert session.read(0).task_id == 0
    assert set(range(TASKS)) <= set(session.snapshot()["task_id"].tolist())
    assert 0 in session
    assert session.index(0) == 0
    assert {session.draw().task_id for _ in range(100)} <= set(range(TASKS + 1))
    assert len(session.draw_many(10, replace=False)) == 10
    assert len(session.probabilities()[0]) >= TASKS
    assert "kept" in session.label_totals()
    assert session_metrics(tracker)["env_curriculum/num_tasks"] >= TASKS
    assert tracker.draw().task_id <= TASKS
    assert session.totals()["lock_waits"] == waits


def test_a_stopped_writer_holds_up_its_stripe_alone(tracker, impatient, start):
    writer, updates = start(write), Updates(impatient)
    writer.stop_where(lambda: not updates.can_be_made(0))
    read_and_draw(tracker, impatient)
    waits = impatient.totals()["lock_waits"]
    others = [task for task in range(TASKS) if task % STRIPES]
    assert all(map(updates.can_be_made, others))
    assert impatient.totals()["lock_waits"] == waits
    with pytest.raises(LockTimeoutError, match=rf"stripe.*process {writer.pid}$"):
        impatient.update(STRIPES, 1.0)
    batch = np.array([1, 2, STRIPES])
    with pytest.raises(LockTimeoutError, match=rf"process {writer.pid}$"):
        impatient.update_many(batch, np.ones(3))
    stopped_at = impatient.read(0).completion_count

    writer.go_on()
    while impatient.read(0).completion_count == stopped_at:
        os.sched_yield()
    writer.end()
    # Of the batch, what came before the stripe that was held is done.
    done_of_batch = impatient.totals()["completions"] - writer.finished.value - updates.made
    assert done_of_batch in (0, 1, 2)
    assert impatient.read(STRIPES).completion_count == 0
    assert impatient.totals()["recoveries"] == 0
    impatient.verify()


def test_a_stopped_creator_holds_up_creators_alone(tracker, impatient, start):
    creator, updates = start(create), Updates(impatient)

    stops_beside_updates = 0
    while not stops_beside_updates:
        creator.stop_where(lambda: is_structure_held(impatient))
        read_and_draw(tracker, impatient)
        refused = [task for task in range(TASKS) if not updates.can_be_made(task)]
        # Where a record is being filled, its stripe is held as well.
        assert len({task % STRIPES for task in refused}) <= 1
        stops_beside_updates += not refused
        for blocked in (
            lambda: impatient.create(TASKS + 1),
            lambda: impatient.remove(1),
            lambda: impatient.replace(1, TASKS + 1),
            lambda: impatient.set_label(1, "other one"),
        ):
            with pytest.raises(LockTimeoutError, match=rf"structure lock.*process {creator.pid}$"):
                blocked()
        created_before = impatient.totals()["created"]
        creator.go_on()
    while impatient.totals()["created"] == created_before:
        os.sched_yield()
    creator.end()
    totals = impatient.totals()
    assert totals["completions"] == updates.made
    assert totals["evicted"] == creator.finished.value
    assert totals["created"] == creator.finished.value + TASKS
    assert totals["recoveries"] == 0
    impatient.verify()


def test_a_stopped_writer_that_is_killed_is_recovered(impatient, start):
    writer, updates = start(write), Updates(impatient)
    writer.stop_where(lambda: not updates.can_be_made(0))
    writer.kill()
    assert updates.can_be_made(0)
    totals, finished = impatient.totals(), writer.finished.value
    assert totals["recoveries"] == 1
    assert finished <= totals["completions"] - updates.made <= finished + BATCH
    assert impatient.read(0).completion_count == totals["completions"]
    impatient.verify()


def test_a_stopped_creator_that_is_killed_is_recovered(impatient, start):
    creator = start(create)
    creator.stop_where(lambda: is_structure_held(impatient))
    creator.kill()
    assert impatient.create(TASKS + 1)
    totals, finished = impatient.totals(), creator.finished.value
    # One more for the stripe of a record that was being filled.
    assert totals["recoveries"] in (1, 2)
    assert totals["evicted"] - finished in (0, 1)
    assert totals["created"] - TASKS - 1 - finished in (0, 1)
    assert totals["tasks"] == len(impatient.snapshot()) == totals["created"] - totals["evicted"]
    impatient.verify()


def wait_for_lock(name, call, ready, raised):
    session = Session(name=name, mode="attach", lock_timeout=10 * LIMIT)
    ready.set()
    try:
        call(session)
    except KeyboardInterrupt:
        raised.value = True


@pytest.mark.parametrize(
    "call",
    [
        lambda session: session.update(0, 1.0),
        lambda session: session.update_many(np.array([0]), np.ones(1)),
        lambda session: session.set_label(0, "waits for the record"),
        lambda session: session.verify(),
    ],
    ids=["update", "update_many", "set_label", "verify"],
)
def test_ctrl_c_ends_the_wait_for_a_stopped_holder(call, impatient, start):
    writer, updates = start(write), Updates(impatient)
    writer.stop_where(lambda: not updates.can_be_made(0))
    waits = impatient.totals()["lock_waits"]
    ready, raised = CONTEXT.Event(), CONTEXT.RawValue("b", False)
    waiter = CONTEXT.Process(target=wait_for_lock, args=(impatient.name, call, ready, raised))
    waiter.start()
    try:
        assert ready.wait(LIMIT)
        while impatient.totals()["lock_waits"] == waits:
            os.sched_yield()
        os.kill(waiter.pid, signal.SIGINT)
        waiter.join(LIMIT)
        assert waiter.exitcode == 0
        assert raised.value
    finally:
        waiter.kill()
    writer.end()
    assert impatient.totals()["completions"] == writer.finished.value + updates.made
    impatient.verify()


@pytest.mark.parametrize("change", ["remove", "evict", "replace"])
def test_a_change_that_waited_in_vain_does_not_happen_later(tracker, impatient, start, change):
    writer, updates = start(write), Updates(impatient)
    writer.stop_where(lambda: not updates.can_be_made(0))
    before = set(impatient.task_ids().tolist())
    act = {
        "remove": lambda: impatient.remove(0),
        "evict": lambda: impatient.remove(0, evict=True),
        "replace": lambda: impatient.replace(0, 1000),
    }[change]
    with pytest.raises(LockTimeoutError, match=str(writer.pid)):
        act()
    # Others change the set of tasks meanwhile, in other stripes.
    impatient.set_label(1, "other")
    assert impatient.replace(2, 2000)
    writer.go_on()
    tracker.set_task_label(3, "later")
    writer.end()
    tracker.verify()
    assert set(impatient.task_ids().tolist()) == before - {2} | {2000}
    assert impatient.totals()["evicted"] == 1


def hold_lock_file(path, held, done):
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        held.set()
        done.wait(LIMIT)


def test_ctrl_c_ends_the_wait_for_a_lock_file(tmp_path):
    held, done = CONTEXT.Event(), CONTEXT.Event()
    path = str(tmp_path / "session")
    holder = CONTEXT.Process(target=hold_lock_file, args=(path + ".lock", held, done))
    holder.start()
    assert held.wait(LIMIT)
    script = f"""
import os, signal, threading
from curricle import Rules, Session
counted, about_to_wait = 0, threading.Event()
def count():
    about_to_wait.wait()
    # Goes on while the main thread waits, which therefore has not kept the GIL.
    global counted
    while counted < 100_000:
        counted += 1
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=count).start()
try:
    about_to_wait.set()
    Session(10, Rules(), path={path!r})
except KeyboardInterrupt:
    print("interrupted")
"""
    # Less than the 10 seconds after which the wait ends by itself.
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=9
    )
    assert found.stdout == "interrupted\n", found.stderr
    done.set()
    holder.join(LIMIT)
