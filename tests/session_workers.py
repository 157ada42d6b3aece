"""Processes that open, use and leave sessions when they are told to; each keeps what it opens."""

import multiprocessing
import os
import signal
import time

from curricle._core import Session

LIMIT = 30.0
KEPT = {}


class Worker:
    """A process that runs the functions that it is sent, one after another."""

    def __init__(self, barrier=None, method="fork"):
        context = multiprocessing.get_context(method)
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, barrier), daemon=True)
        self.process.start()
        theirs.close()

    def tell(self, function, *arguments, **options):
        """Has the process run ``function``; `answer` is what comes of it."""
        self.pipe.send((function, arguments, options))

    def answer(self):
        """What the function returned; raises what it raised."""
        if not self.pipe.poll(LIMIT):
            raise TimeoutError(f"no answer in {LIMIT} s")
        value = self.pipe.recv()
        if isinstance(value, Exception):
            raise value
        return value

    def ask(self, function, *arguments, **options):
        """Runs ``function`` there and returns what it returns."""
        self.tell(function, *arguments, **options)
        return self.answer()

    def kill(self):
        """Ends the process by SIGKILL, whatever it is doing."""
        os.kill(self.process.pid, signal.SIGKILL)
        self._reap()
        assert self.process.exitcode == -signal.SIGKILL

    def end(self):
        """Lets the process end by itself; its exit code."""
        self.pipe.send(None)
        self._reap()
        return self.process.exitcode

    def _reap(self):
        self.process.join(LIMIT)
        self.pipe.close()


class Team:
    """Several workers that share a barrier, for races; a context manager."""

    def __init__(self, size):
        self.barrier = multiprocessing.get_context("fork").Barrier(size, timeout=LIMIT)
        self.workers = [Worker(self.barrier) for _ in range(size)]

    def ask(self, function, *arguments):
        """Runs ``function(number of the worker, *arguments)`` in all at once; their answers."""
        for number, worker in enumerate(self.workers):
            worker.tell(function, number, *arguments)
        return [worker.answer() for worker in self.workers]

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            assert [worker.end() for worker in self.workers] == [0] * len(self.workers)
        else:
            for worker in self.workers:
                worker.kill()


def _serve(pipe, barrier):
    KEPT["barrier"] = barrier
    while (call := pipe.recv()) is not None:
        function, arguments, options = call
        try:
            pipe.send(function(*arguments, **options))
        except Exception as error:
            pipe.send(error)


def files_of(name):
    """Files of the session; one that another program looks at has a lock file for a moment."""
    end = time.monotonic() + LIMIT
    while True:
        files = [file for file in os.listdir("/dev/shm") if name in file]
        if not any(file.endswith(".lock") for file in files) or time.monotonic() > end:
            return files


def wait_for_all():
    """Waits until all workers of the team are here."""
    KEPT["barrier"].wait()


def open_session(capacity=None, **options):
    """Opens a session and keeps it; whether this made it, and its seed."""
    KEPT["session"] = session = Session(capacity, **options)
    return session.created, session.seed


def update(task_id, times=1):
    """Updates a task of the kept session; the completions of the whole session after it."""
    for _ in range(times):
        KEPT["session"].update(task_id, 1.0)
    return KEPT["session"].totals()["completions"]


def close_session():
    """Leaves the kept session."""
    KEPT.pop("session").close()


def draw_in_kept(n):
    """Draws from the kept session; the ids of the tasks."""
    return [ticket.task_id for ticket in KEPT["session"].draw_many(n)]


def limit_in_kept(label, least, most):
    """Limits the share of a label in the kept session."""
    KEPT["session"].limit_share(label, least, most)
