"""What Python does to a session besides calling it: forks, pools and threads."""

import concurrent.futures
import multiprocessing
import os
import signal
import threading
import warnings
from contextlib import suppress

import gymnasium as gym
import numpy as np
import pytest

from curricle import (
    Curriculum,
    LearningProgressConfig,
    Session,
    SessionError,
)
from refusals import new_name, own_files
from small_envs import TASKS
from trap_workers import (
    Busy,
    Maker,
    attach_and_touch,
    join_and_report,
    keep,
    report_and_exit,
    report_some,
    report_with_kept,
    touch,
)

LIMIT = 60.0
METHODS = ["fork", "spawn", "forkserver"]
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def name():
    """The name of a session of which nothing is left after the test."""
    own = new_name()
    yield own
    assert own_files(own) == ([], [])


@pytest.fixture
def curriculum(name):
    made = Curriculum(5, session=name)
    yield made
    made.close()


def completions(curriculum, expected):
    """Holds the totals, and the parts of the session against each other."""
    totals = curriculum.tracker.totals()
    assert (totals["completions"], totals["scheduled"]) == (expected, expected)
    assert totals["env_steps"] == 3 * expected
    curriculum.verify()


class TestPools:
    """Pools of the standard library hand a curriculum on, by any start method."""

    @pytest.mark.parametrize("method", METHODS)
    def test_multiprocessing_pool_that_renews_its_workers(self, method, curriculum):
        context = multiprocessing.get_context(method)
        with context.Pool(2, maxtasksperchild=2) as pool:
            done = pool.starmap(report_some, [(curriculum, 20)] * 8, chunksize=1)
            pool.close()
            pool.join()
        assert done == [20] * 8
        completions(curriculum, 160)

    @pytest.mark.parametrize("method", METHODS)
    def test_terminated_pool(self, method, name):
        curriculum = Curriculum(5, session=name)
        context = multiprocessing.get_context(method)
        with context.Pool(2, initializer=keep, initargs=(curriculum,)) as pool:
            assert pool.map(report_with_kept, [10] * 4) == [10] * 4
        # Leaving the block terminates the workers, in the middle of whatever they do.
        pool.join()
        completions(curriculum, 40)
        curriculum.close()

    @pytest.mark.parametrize("method", METHODS)
    def test_process_pool_executor(self, method, curriculum):
        context = multiprocessing.get_context(method)
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
            waiting = [pool.submit(report_some, curriculum, 20) for _ in range(4)]
            waiting += [pool.submit(join_and_report, curriculum.session, 20) for _ in range(4)]
            assert [future.result(LIMIT) for future in waiting] == [20] * 8
        completions(curriculum, 160)

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize(("how", "code"), [("sys.exit", 3), ("os._exit", 4), ("raise", 1)])
    def test_a_worker_that_ends_in_its_own_way(self, method, how, code, name):
        curriculum = Curriculum(5, session=name)
        context = multiprocessing.get_context(method)
        worker = context.Process(target=report_and_exit, args=(curriculum, code, how))
        worker.start()
        worker.join(LIMIT)
        assert worker.exitcode == code
        completions(curriculum, 1)
        curriculum.close()


class TestForks:
    """A fork while threads of the parent are in the middle of calls."""

    @staticmethod
    def fork_and(target, *arguments):
        with warnings.catch_warnings():
            # Of newer Pythons, about any fork of a process with threads.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            signal.alarm(int(LIMIT))
            code = 1
            try:
                target(*arguments)
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0

    @pytest.mark.parametrize("shared", [True, False])
    def test_a_child_uses_the_session_at_once(self, shared, name):
        session = Session(4096, name=name if shared else None)
        session.create_many(np.arange(64))
        with Busy(session):
            for _ in range(20):
                self.fork_and(touch, session)
        touch(session)
        session.verify()
        session.close()

    def test_a_child_that_leaves_and_joins(self, name):
        session = Session(4096, name=name)
        session.create_many(np.arange(64))

        def leave_and_join():
            session.close()
            attach_and_touch(name)

        with Busy(session):
            for _ in range(5):
                self.fork_and(leave_and_join)
        touch(session)
        session.verify()
        session.close()

    def test_a_fork_of_a_fork(self, name):
        session = Session(4096, name=name)
        session.create_many(np.arange(64))

        def fork_again():
            touch(session)
            self.fork_and(touch, session)
            touch(session)

        with Busy(session):
            self.fork_and(fork_again)
        session.verify()
        session.close()

    def test_a_fork_in_a_thread_that_ends_before_its_child(self, name):
        session = Session(4096, name=name)
        session.create_many(np.arange(64))
        before = session.totals()["completions"]
        forks = [threading.Thread(target=self.fork_and, args=(touch, session)) for _ in range(4)]
        for fork in forks:
            fork.start()
        for fork in forks:
            fork.join(LIMIT)
            assert not fork.is_alive()
        assert session.totals()["completions"] == before + 4 * 66
        session.verify()
        session.close()


class TestThreads:
    """Threads of one process, of which the interpreter runs one at a time or all at once."""

    THREADS = 16
    UPDATES = 400

    @pytest.mark.parametrize("shared", [True, False])
    def test_many_threads_on_one_session(self, shared, name):
        session = Session(256, name=name if shared else None)
        ids = np.arange(64)

        def work(number):
            for at in range(self.UPDATES):
                session.update(at % 64, number / self.THREADS, 2)
                session.report(session.draw(), 0.5, 2)
                if at % 50 == 0:
                    session.update_many(ids, np.full(64, 0.25), np.full(64, 2))
                    session.create(1_000 + number)
                    session.remove(1_000 + number)
                    session.snapshot()
                    session.totals()

        with concurrent.futures.ThreadPoolExecutor(self.THREADS) as pool:
            for done in [pool.submit(work, number) for number in range(self.THREADS)]:
                done.result(LIMIT)
        totals = session.totals()
        expected = self.THREADS * (2 * self.UPDATES + 64 * self.UPDATES // 50)
        assert totals["completions"] + totals["late_reports"] == expected
        assert totals["env_steps"] == 2 * totals["completions"]
        assert totals["scheduled"] == self.THREADS * self.UPDATES
        session.verify()
        session.close()

    def test_a_ticket_that_all_threads_report(self, curriculum):
        start = threading.Barrier(8)

        def work(ticket):
            start.wait(LIMIT)
            try:
                curriculum.report(ticket, 0.5, 3)
            except ValueError:
                return 0
            return 1

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for _ in range(50):
                ticket = curriculum.draw().ticket
                assert sum(pool.map(work, [ticket] * 8)) == 1
        completions(curriculum, 50)

    def test_a_session_that_closes_under_its_threads(self, name):
        session = Session(256, name=name)
        session.create_many(np.arange(64))
        begun = threading.Barrier(5)

        def work():
            begun.wait(LIMIT)
            done = 0
            while not session.closed:
                with suppress(SessionError):
                    session.update(1, 0.5)
                    session.draw_many(50)
                    session.snapshot()
                    done += 1
            with pytest.raises(SessionError, match="closed"):
                session.update(1, 0.5)
            return done

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(work) for _ in range(4)]
            begun.wait(LIMIT)
            session.close()
            for future in waiting:
                future.result(LIMIT)


class TestEnvironments:
    @pytest.mark.parametrize("method", METHODS)
    def test_an_exception_in_a_worker(self, method, name):
        curriculum = Curriculum(TASKS, session=name)
        makers = [Maker(curriculum), Maker(curriculum, at=7)]
        envs = gym.vector.AsyncVectorEnv(makers, context=method)
        envs.reset(seed=1)

        def play():
            for _ in range(40):
                envs.step(np.ones(2, np.int64))

        with pytest.raises(ZeroDivisionError, match="own error"):
            play()
        envs.close(terminate=True)
        totals = curriculum.tracker.totals()
        assert 0 < totals["completions"] < totals["scheduled"]
        curriculum.verify()
        curriculum.close()

    def test_an_exception_leaves_the_environment_usable(self):
        config = LearningProgressConfig(use_shared_memory=False)
        env = Maker(Curriculum(TASKS, config), at=2)()
        env.reset(seed=1)
        env.step(0)
        with pytest.raises(ZeroDivisionError):
            env.step(0)
        env.reset()
        over = False
        while not over:
            *_, terminated, truncated, info = env.step(1)
            over = terminated or truncated
        assert info["curriculum/score"] == pytest.approx(1.0)
        totals = env.curriculum.tracker.totals()
        assert (totals["scheduled"], totals["completions"]) == (2, 1)
