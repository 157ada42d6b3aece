"""A session in a file outlives its processes, and the boot of the machine if all left in order."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from curricle import Curriculum
from curricle._core import Rules, Session
from curricle.errors import SessionError
from session_workers import Worker, close_session, open_session, update

TASKS, CAPACITY, COLUMNS = 300, 400, ("staleness",)
# Where the first bytes of a session's file say whether it was written to the disk, and in which
# boot and which pid namespace it was used last.
SYNCED, BOOT, NAMESPACE = 28, 32, 40


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "run.session")


@pytest.fixture
def workers():
    workers = [Worker() for _ in range(4)]
    yield workers
    for worker in workers:
        if worker.process.is_alive():
            worker.kill()


def overwrite(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def another_boot(path, synced):
    overwrite(path, SYNCED, struct.pack("=I", synced))
    overwrite(path, BOOT, struct.pack("=QQ", 0x0123456789ABCDEF, 77))


def use(session):
    """A session with a bit of everything: labels, evictions, draws, late reports, columns."""
    rng = np.random.default_rng(4)
    for task in range(TASKS):
        session.create(task, label=f"label-{task % 7}")
        session.set_column(task, "staleness", task / 8)
    for ticket in session.draw_many(500):
        session.report(ticket, float(rng.random()), env_steps=3)
    late = session.draw()
    session.replace(late.task_id, 10_000, label="late")
    assert session.report(late, 1.0) is None
    for task in range(0, TASKS, 9):
        session.remove(task)


def facts(session):
    """All that a session tells of itself."""
    ids, shares = session.probabilities()
    return (
        session.snapshot().tobytes(),
        session.totals(),
        session.label_totals(),
        session.labels(),
        dict(zip(ids.tolist(), shares.tolist(), strict=True)),
        session.verify(),
    )


def make(path):
    session = Session(CAPACITY, path=path, columns=COLUMNS, seed=9)
    use(session)
    before = facts(session)
    session.close()
    return before


def go_on(session, before):
    """The session is as it was, and works: the next streams and tasks are new ones."""
    assert facts(session) == before
    assert (session.created, session.seed) == (False, 9)
    completions = before[1]["completions"]
    assert session.create(20_000, label="new")
    for task in session.task_ids().tolist():
        session.update(task, 0.5)
    found = session.verify()
    assert found["tasks"] == before[5]["tasks"] + 1
    assert found["completions"] == completions + found["tasks"]


def test_a_session_whose_labels_came_and_went_is_resumed(path):
    session = Session(4, Rules(), path=path, max_labels=2, max_inactive_labels=0)
    for task in range(600):
        session.create(task, label=f"label-{task}")
        session.draw()
        session.remove(task, evict=True)
    known = (session.totals(), session.label_totals())
    session.close()
    again = Session(4, Rules(), path=path, max_labels=2, max_inactive_labels=0)
    assert repr((again.totals(), again.label_totals())) == repr(known)
    assert again.totals()["scheduled"] == 600
    again.verify()
    again.close()


def test_a_clean_restart_of_all_processes(path, workers):
    options = {"path": path, "columns": COLUMNS, "seed": 9}
    first, second, third, fourth = workers
    assert first.ask(open_session, CAPACITY, **options) == (True, 9)
    assert second.ask(open_session, CAPACITY, **options) == (False, 9)
    first.ask(update, 1, 10)
    second.ask(update, 2, 10)
    first.ask(close_session)
    assert second.ask(update, 1, 10) == 30
    assert second.end() == 0
    assert first.end() == 0
    assert os.listdir(os.path.dirname(path)) == ["run.session"]
    assert third.ask(open_session, path=path, mode="attach") == (False, 9)
    assert fourth.ask(open_session, CAPACITY, **options) == (False, 9)
    assert third.ask(update, 1) == 31
    assert fourth.ask(update, 3) == 32
    session = Session(path=path, mode="attach")
    counts = {task: session.read(task).completion_count for task in (1, 2, 3)}
    assert counts == {1: 21, 2: 10, 3: 1}
    session.verify()
    session.close()


def test_everything_is_the_same_after_a_restart(path):
    before = make(path)
    session = Session(CAPACITY, path=path, columns=COLUMNS)
    go_on(session, before)
    session.close()


def test_draws_do_not_repeat_after_a_restart(path):
    def draws():
        session = Session(CAPACITY, path=path)
        session.create_many(np.arange(CAPACITY))
        drawn = [ticket.task_id for ticket in session.draw_many(50)]
        session.close()
        return drawn

    assert draws() != draws()


def test_a_restart_after_all_were_killed(path, workers):
    for worker in workers:
        worker.ask(open_session, CAPACITY, path=path)
        worker.ask(update, 1, 10)
    for worker in workers:
        worker.kill()
    session = Session(CAPACITY, path=path)
    assert not session.created
    assert session.verify()["completions"] == 40
    session.close()


def test_a_curriculum_goes_on(path):
    with Curriculum(5, path=path, seed=1) as curriculum:
        curriculum.report(curriculum.draw().ticket, 0.5)
    with Curriculum(5, path=path) as curriculum:
        assert curriculum.seed == 1
        assert curriculum.tracker.totals()["completions"] == 1
        curriculum.draw()
        curriculum.verify()


def test_another_boot_after_a_clean_end(path):
    before = make(path)
    another_boot(path, synced=1)
    assert Session(path=path, mode="read-only").totals() == before[1]
    session = Session(CAPACITY, path=path, columns=COLUMNS)
    # The boot is this one now, so that others may come.
    other = Session(path=path, mode="attach")
    assert facts(other) == before
    other.close()
    go_on(session, before)
    session.close()


def test_another_boot_after_a_crash_of_the_machine_is_refused(path):
    make(path)
    another_boot(path, synced=0)
    before = Path(path).read_bytes()
    for mode in ("create-or-attach", "attach"):
        with pytest.raises(SessionError, match=r"run\.session: .* remove the file .* checkpoint"):
            Session(CAPACITY, path=path, columns=COLUMNS, mode=mode)
    assert Path(path).read_bytes() == before
    os.remove(path)
    session = Session(CAPACITY, path=path, columns=COLUMNS)
    assert session.created
    session.close()


def test_another_boot_is_refused_while_a_process_is_attached(path, workers):
    workers[0].ask(open_session, CAPACITY, path=path)
    another_boot(path, synced=1)
    with pytest.raises(SessionError, match="boot id of the session is 0123456789abcdef, of this"):
        Session(CAPACITY, path=path)
    assert workers[0].ask(update, 1) == 1
    workers[0].ask(close_session)
