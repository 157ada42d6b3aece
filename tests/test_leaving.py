"""Sessions are gone when their last process has ended, in whatever order and way they end."""

import multiprocessing
import os
import secrets
import subprocess
import sys
import textwrap

import gymnasium
import pytest

from curricle import Curriculum, list_sessions, remove_session
from leaving_workers import Maker, work_and_keep
from small_envs import TASKS

LIMIT = 60.0


def is_there(name):
    listed = name in {session["name"] for session in list_sessions()}
    return listed or any(name in file for file in os.listdir("/dev/shm"))


@pytest.fixture
def name():
    return f"test-{secrets.token_hex(8)}"


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
@pytest.mark.parametrize("handed_over", [True, False])
def test_a_worker_that_is_the_last_to_leave(method, handed_over, name):
    curriculum = Curriculum(5, session=name)
    context = multiprocessing.get_context(method)
    go_on, started = context.Event(), context.Event()
    what = curriculum if handed_over else name
    worker = context.Process(target=work_and_keep, args=(what, started, go_on))
    worker.start()
    assert started.wait(LIMIT)
    curriculum.close()
    assert is_there(name)
    go_on.set()
    worker.join(LIMIT)
    assert worker.exitcode == 0
    assert not is_there(name)


def test_a_fork_that_never_uses_the_session(name):
    curriculum = Curriculum(5, session=name)
    context = multiprocessing.get_context("fork")
    worker = context.Process(target=os.getpid)
    worker.start()
    worker.join(LIMIT)
    assert worker.exitcode == 0
    curriculum.report(curriculum.draw().ticket, 0.5)
    assert is_there(name)
    curriculum.close()
    assert not is_there(name)


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_vector_environments_that_end_after_the_curriculum(context, name):
    curriculum = Curriculum(TASKS, session=name)
    envs = gymnasium.vector.AsyncVectorEnv([Maker(curriculum)] * 2, context=context)
    envs.reset()
    envs.step(envs.action_space.sample())
    curriculum.close()
    envs.close()
    assert not is_there(name)


def run(script, name):
    """Runs a script in a process of its own; what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), name],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def test_a_daemon_thread_that_holds_the_curriculum(name):
    script = """
        import sys, threading
        from curricle import Curriculum, list_sessions

        def hold(name, started):
            curriculum = Curriculum(5, session=name)
            curriculum.draw()
            started.set()
            threading.Event().wait()

        started = threading.Event()
        threading.Thread(target=hold, args=(sys.argv[1], started), daemon=True).start()
        started.wait()
        print(sys.argv[1] in {session["name"] for session in list_sessions()})
    """
    assert run(script, name) == "True\n"
    assert not is_there(name)


def test_daemon_children_that_are_ended_with_their_parent(name):
    script = """
        import multiprocessing, sys
        from curricle import Curriculum

        def work(curriculum, started):
            curriculum.draw()
            started.set()
            multiprocessing.Event().wait()

        context = multiprocessing.get_context("fork")
        curriculum, started = Curriculum(5, session=sys.argv[1]), context.Event()
        context.Process(target=work, args=(curriculum, started), daemon=True).start()
        started.wait()
    """
    run(script, name)
    assert not is_there(name)


def test_a_bare_fork_that_ends_last(name):
    script = """
        import os, sys, threading
        from curricle import Curriculum

        curriculum = Curriculum(5, session=sys.argv[1])
        child_reads, parent_writes = os.pipe()
        parent_reads, child_writes = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(parent_writes)
            curriculum.draw()
            hold = threading.Thread(target=lambda kept: threading.Event().wait(),
                                    args=(curriculum,), daemon=True)
            hold.start()
            os.write(child_writes, b"!")
            os.read(child_reads, 1)
            sys.exit()
        os.read(parent_reads, 1)
        curriculum.close()
        os.close(parent_writes)
        print(os.waitpid(child, 0)[1])
    """
    assert run(script, name) == "0\n"
    assert not is_there(name)


def test_a_session_that_persists_stays(name):
    script = """
        import sys
        from curricle import Curriculum

        Curriculum(5, session=sys.argv[1], persist=True).draw()
    """
    run(script, name)
    assert is_there(name)
    with Curriculum(5, session=name) as curriculum:
        assert curriculum.tracker.totals()["scheduled"] == 1
    remove_session(name)
    assert not is_there(name)
