"""Who ends a session: the last process to leave, in whatever order and way the others went."""

import multiprocessing
import os
import pickle
import secrets
import signal
import stat
import subprocess
import sys

import pytest

from curricle import Curriculum, LearningProgressConfig, list_sessions, remove_session
from curricle._core import Session
from curricle.errors import SessionError
from session_workers import LIMIT, Worker, close_session, files_of, open_session, update

NOBODY = 65_534


@pytest.fixture
def name():
    return f"test-{secrets.token_hex(8)}"


@pytest.fixture
def workers():
    workers = [Worker() for _ in range(3)]
    yield workers
    for worker in workers:
        if worker.process.is_alive():
            worker.kill()


def listed(name):
    """Facts of the session, None where there is none; nothing of it may be there unlisted."""
    found = [facts for facts in list_sessions() if facts["name"] == name]
    assert files_of(name) == [f"curricle.{name}"] * len(found)
    return found[0] if found else None


@pytest.mark.parametrize("way", ["closes", "ends", "is killed"])
def test_the_others_go_on_when_the_creator_goes_first(way, name, workers):
    creator, other, late = workers
    assert creator.ask(open_session, 8, name=name, seed=5) == (True, 5)
    assert other.ask(open_session, 8, name=name) == (False, 5)
    assert creator.ask(update, 1, 10) == 10
    if way == "closes":
        creator.ask(close_session)
    elif way == "ends":
        assert creator.end() == 0
    else:
        creator.kill()
    assert listed(name)["live"] is True
    assert other.ask(update, 1, 5) == 15
    assert late.ask(open_session, 8, name=name) == (False, 5)
    assert late.ask(update, 2) == 16
    other.ask(close_session)
    assert listed(name)["live"] is True
    assert late.ask(update, 1) == 17
    late.ask(close_session)
    assert listed(name) is None


def test_the_last_one_out_unlinks_even_where_the_others_were_killed(name, workers):
    for worker in workers:
        worker.ask(open_session, 8, name=name)
    for worker in workers[:2]:
        worker.kill()
    assert workers[2].ask(update, 1) == 1
    workers[2].ask(close_session)
    assert listed(name) is None


def end_like(way, session):
    """The rest of a forked child's life."""
    if way == "closes":
        session.close()
    elif way == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(0)


@pytest.mark.parametrize("way", ["closes", "drops its handle", "is killed", "ends at once"])
@pytest.mark.parametrize("uses", [True, False])
def test_forked_children_do_not_unlink(way, uses, name):
    session = Session(8, name=name)
    path = f"/dev/shm/curricle.{name}"
    file = os.stat(path)
    for _ in range(20):
        child = os.fork()
        if child == 0:
            if uses:
                session.update(1, 1.0)
            if way == "drops its handle":
                del session
                os._exit(0)
            end_like(way, session)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code == (-signal.SIGKILL if way == "is killed" else 0)
        now = os.stat(path)
        assert (now.st_dev, now.st_ino) == (file.st_dev, file.st_ino)
    # Others still come to the very same session.
    with_us = Session(name=name, mode="attach")
    assert with_us.totals()["completions"] == (20 if uses else 0)
    with_us.verify()
    with_us.close()
    session.close()
    assert listed(name) is None


def test_a_session_that_persists_is_resumed_after_kills(name, workers):
    assert workers[0].ask(open_session, 8, name=name, persist=True, seed=3) == (True, 3)
    # Whether it persists is its maker's word.
    assert workers[1].ask(open_session, 8, name=name, persist=False) == (False, 3)
    for worker in workers[:2]:
        worker.ask(update, 1, 10)
        worker.kill()
    facts = listed(name)
    assert (facts["live"], facts["persist"]) == (False, True)
    assert workers[2].ask(open_session, 8, name=name) == (False, 3)
    assert workers[2].ask(update, 1) == 21
    workers[2].ask(close_session)
    assert listed(name)["live"] is False
    assert remove_session(name)
    assert listed(name) is None


def test_a_rerun_under_the_name_of_a_crashed_run_starts_anew_and_says_so(name, workers):
    workers[0].ask(open_session, 8, name=name, seed=1)
    workers[0].ask(update, 1, 100)
    workers[0].kill()
    # Of another size, too: nothing of the dead one binds the new one.
    with pytest.warns(RuntimeWarning, match=f'"{name}" was left behind .* made anew'):
        session = Session(16, name=name, seed=2)
    assert (session.created, session.seed, len(session)) == (True, 2, 0)
    assert workers[1].ask(open_session, 16, name=name) == (False, 2)
    workers[1].ask(close_session)
    session.close()
    assert listed(name) is None


def test_a_rerun_of_a_curriculum_starts_anew(name):
    script = """
import os, signal, sys
from curricle import Curriculum

curriculum = Curriculum(5, session=sys.argv[1], seed=1)
curriculum.report(curriculum.draw().ticket, 0.5)
os.kill(os.getpid(), signal.SIGKILL)
"""
    crashed = subprocess.run([sys.executable, "-c", script, name], timeout=LIMIT, check=False)
    assert crashed.returncode == -signal.SIGKILL
    with pytest.warns(RuntimeWarning, match="made anew"):
        curriculum = Curriculum(5, session=name, seed=2)
    assert curriculum.seed == 2
    assert curriculum.tracker.totals()["completions"] == 0
    curriculum.close()
    assert listed(name) is None


def test_a_rerun_joins_what_a_process_of_the_crashed_run_still_has(name, workers):
    workers[0].ask(open_session, 8, name=name, seed=1)
    workers[1].ask(open_session, 8, name=name)
    workers[0].ask(update, 1, 10)
    workers[0].kill()
    assert workers[2].ask(open_session, 8, name=name, seed=2) == (False, 1)
    assert workers[2].ask(update, 1) == 11
    for worker in workers[1:]:
        worker.ask(close_session)
    assert listed(name) is None


def test_dead_sessions_are_listed_and_removed_and_live_ones_refused(name, workers):
    workers[0].ask(open_session, 8, name=name)
    facts = listed(name)
    assert facts["live"] is True
    assert facts["persist"] is False
    assert facts["owner"] == os.geteuid()
    assert facts["bytes"] == os.stat(facts["path"]).st_size
    with pytest.raises(SessionError, match=f"{name}.* is in use by live processes"):
        remove_session(name)
    assert workers[0].ask(update, 1) == 1
    workers[0].kill()
    assert listed(name)["live"] is False
    assert remove_session(name)
    assert listed(name) is None
    assert not remove_session(name)


def test_files_are_for_their_owner_alone(name, tmp_path):
    for mask in (0o000, 0o777):
        previous = os.umask(mask)
        path = str(tmp_path / f"session-{mask}")
        try:
            sessions = [Session(8, name=name), Session(8, path=path)]
        finally:
            os.umask(previous)
        for file in (f"/dev/shm/curricle.{name}", path):
            assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
        for session in sessions:
            session.close()


def as_nobody(name, results):
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    said = []
    for attempt in (
        lambda: Session(8, name=name),
        lambda: Session(name=name, mode="read-only"),
        lambda: remove_session(name, force=True),
    ):
        try:
            attempt()
        except SessionError as error:
            said.append(str(error))
    results.put((listed(name), said))


def make_as_nobody(name, made, go_on):
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    session = Session(8, name=name)
    made.set()
    go_on.wait()
    session.close()


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


@as_root
def test_another_users_session_is_refused(name):
    session = Session(8, name=name)
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    process = context.Process(target=as_nobody, args=(name, results))
    process.start()
    facts, said = results.get()
    process.join(LIMIT)
    assert (facts["live"], facts["persist"], facts["owner"]) == (None, None, 0)
    assert len(said) == 3
    for text in said:
        assert f"curricle.{name}: the session belongs to user 0" in text
        assert f"this process runs as user {NOBODY}" in text
    assert listed(name)["live"] is True
    session.close()


@as_root
def test_not_even_root_joins_another_users_session(name):
    context = multiprocessing.get_context("fork")
    made, go_on = context.Event(), context.Event()
    process = context.Process(target=make_as_nobody, args=(name, made, go_on))
    process.start()
    assert made.wait(LIMIT)
    refusal = f"belongs to user {NOBODY}, this process runs as user 0"
    with pytest.raises(SessionError, match=refusal):
        Session(8, name=name)
    with pytest.raises(SessionError, match=refusal):
        remove_session(name, force=True)
    go_on.set()
    process.join(LIMIT)
    assert process.exitcode == 0
    assert listed(name) is None


ISOLATED = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c"]


def in_a_container(script, *arguments):
    """A running Python process in a pid namespace of its own, over the same /dev/shm."""
    try:
        probe = subprocess.run([*ISOLATED, "pass"], capture_output=True, timeout=LIMIT, check=False)
    except FileNotFoundError:
        pytest.skip("there is no unshare command")
    if probe.returncode != 0:
        pytest.skip(f"no pid namespaces here: {probe.stderr.decode().strip()}")
    return subprocess.Popen(
        [*ISOLATED, script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ":".join(filter(None, sys.path))},
    )


HOLD = """
import os, sys
from curricle._core import Session

session = Session(8, name=sys.argv[1])
session.update(1, 1.0)
print(os.stat("/proc/self/ns/pid").st_ino, flush=True)
sys.stdin.read()
print(session.totals()["completions"])
session.close()
"""

JOIN = """
import sys
from curricle import list_sessions, remove_session
from curricle._core import Session
from curricle.errors import SessionError

print({facts["name"]: facts["live"] for facts in list_sessions()}[sys.argv[1]])
for attempt in (lambda: Session(8, name=sys.argv[1]), lambda: remove_session(sys.argv[1])):
    try:
        attempt()
    except SessionError as error:
        print(error)
"""


def test_two_containers_are_kept_apart(name):
    here = os.stat("/proc/self/ns/pid").st_ino
    holder = in_a_container(HOLD, name)
    with holder:
        there = int(holder.stdout.readline())
        assert there != here
        apart = rf"{name}: the pid namespace of the session is {there}, of this process {here}; use"
        for mode in ("create-or-attach", "attach"):
            with pytest.raises(SessionError, match=apart):
                Session(8, name=name, mode=mode)
        # A look takes no lock, so that it may come from anywhere.
        assert Session(name=name, mode="read-only").live is True
        # The locks on files know no containers: it is live, and not ours to remove or replace.
        assert listed(name)["live"] is True
        with pytest.raises(SessionError, match="in use by live processes"):
            remove_session(name)
        said, _ = holder.communicate(timeout=LIMIT)
        assert said == "1.0\n"
    assert listed(name) is None

    session = Session(8, name=name)
    with in_a_container(JOIN, name) as other:
        said, _ = other.communicate(timeout=LIMIT)
    live, joining, removing = said.splitlines()
    assert live == "True"
    assert f"the pid namespace of the session is {here}, of this process " in joining
    assert "in use by live processes" in removing
    session.close()
    assert listed(name) is None


def mapped():
    """Bytes that this process has mapped, resident or not."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("shared", [True, False])
def test_a_closed_curriculum_gives_its_memory_back_while_the_object_lives(shared, name):
    config = LearningProgressConfig(use_shared_memory=shared, session_id=name if shared else None)
    before = mapped()
    curriculum = Curriculum(range(100_000), config)
    curriculum.report(curriculum.draw().ticket, 1.0)
    size = curriculum.tracker.backend.session.nbytes
    assert mapped() - before > size > 100_000 * 256
    curriculum.close()
    assert mapped() - before < size / 4
    for late in (
        curriculum.draw,
        curriculum.metrics,
        curriculum.label_totals,
        lambda: curriculum.tracker.update(1, 0.5),
        lambda: len(curriculum.tracker.backend),
        lambda: curriculum.tracker.backend.stream_state,
        lambda: pickle.dumps(curriculum),
    ):
        with pytest.raises(SessionError, match="this handle was closed; open the session again"):
            late()
    curriculum.close()
    assert curriculum.seed == curriculum.tracker.backend.session.seed
