"""A process that is killed while it makes a session leaves nothing half-made."""

import os
import random
import secrets
import signal
import time

import pytest

from curricle import list_sessions, remove_session
from curricle._core import Session
from curricle.errors import SessionError
from session_workers import files_of

KILLS = 250
CAPACITY = 2000
SEED = 77


def kill_a_creator(seconds, **options):
    """Has a child make a session and kills it so long after it began; whether it was done."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writes, b"begins")
        session = Session(CAPACITY, seed=SEED, mode="create", **options)
        os.write(writes, b"ready")
        signal.pause()
        session.close()
    os.close(writes)
    assert os.read(reads, 6) == b"begins"
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
    os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    ready = os.read(reads, 5) == b"ready"
    os.close(reads)
    return ready


def check_that_it_works(session):
    assert (session.capacity, session.seed, len(session)) == (CAPACITY, SEED, 0)
    assert session.labels()[-1] == "other"
    session.update(1, 0.5)
    assert session.verify()["completions"] == 1


def kill_many(kills, look, **options):
    """Kills at instants around that of publication; how many creators were killed before it.

    Args:
        kills: how many creators.
        look: checks what a killed creator left; whether that was a session.
        options: where the session is made.
    """
    rng = random.Random(5)
    window, before = 0.002, 0
    for _ in range(kills):
        ready = kill_a_creator(rng.uniform(0.0, window), **options)
        there = look()
        assert there or not ready
        before += not there
        # The instants follow the machine's speed.
        window *= 0.9 if there else 1.1
    return before


@pytest.fixture
def name():
    return f"test-{secrets.token_hex(8)}"


@pytest.mark.parametrize("persist", [True, False])
def test_a_name_holds_a_whole_session_or_none(persist, name):
    def look():
        listed = [facts for facts in list_sessions() if facts["name"] == name]
        # The list sweeps what a killed process left beside sessions.
        assert files_of(name) == [f"curricle.{name}"] * len(listed)
        if not listed:
            with pytest.raises(SessionError, match="there is no such session"):
                Session(name=name, mode="attach")
            return False
        (facts,) = listed
        assert (facts["live"], facts["persist"]) == (False, persist)
        if persist:
            session = Session(name=name, mode="attach")
        else:
            with pytest.raises(SessionError, match="the session is dead"):
                Session(name=name, mode="attach")
            with pytest.warns(RuntimeWarning, match="left behind .* made anew"):
                session = Session(CAPACITY, name=name, seed=SEED)
        check_that_it_works(session)
        session.close()
        assert remove_session(name) == persist
        return True

    before = kill_many(KILLS, look, name=name, persist=persist)
    assert 0 < before < KILLS
    assert files_of(name) == []


def test_a_path_holds_a_whole_session_or_none(tmp_path):
    path = tmp_path / "session"

    def look():
        there = path.exists()
        session = Session(CAPACITY, path=str(path), seed=SEED)
        assert session.created != there
        check_that_it_works(session)
        session.close()
        assert os.listdir(tmp_path) == ["session"]
        path.unlink()
        return there

    before = kill_many(50, look, path=str(path))
    assert 0 < before < 50


def test_files_left_beside_sessions_are_swept(name):
    with open(f"/dev/shm/curricle.{name}.lock", "w") as lock:
        lock.write("4000000")
    with open(f"/dev/shm/curricle.{name}.lock.lock", "w") as draft:
        draft.write("half a session")
    assert name not in {facts["name"] for facts in list_sessions()}
    assert files_of(name) == []
