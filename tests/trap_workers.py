"""What the processes of `test_python_traps` do; importable, as spawned ones have to import it."""

import os
import sys
import threading

import numpy as np

from curricle import Curriculum, CurriculumEnv, Session
from small_envs import TaskCorridor

KEPT = []


def report_some(curriculum, episodes):
    """Draws and reports; how many episodes counted, and their steps."""
    for episode in range(episodes):
        curriculum.report(curriculum.draw().ticket, episode % 5 / 4, 3)
    return episodes


def join_and_report(name, episodes):
    """As `report_some`, on a curriculum that joins the session by its name and is kept."""
    curriculum = Curriculum(5, session=name)
    KEPT.append(curriculum)
    return report_some(curriculum, episodes)


def keep(curriculum):
    """Makes a curriculum that of all tasks of a pool's worker."""
    KEPT.append(curriculum)


def report_with_kept(episodes):
    """As `report_some`, with the curriculum that the worker was made with."""
    return report_some(KEPT[-1], episodes)


def report_and_exit(curriculum, code, how):
    """Reports once and ends the process in one of the ways that there are."""
    report_some(curriculum, 1)
    KEPT.append(curriculum)
    if how == "raise":
        raise RuntimeError("the worker's own error")
    (sys.exit if how == "sys.exit" else os._exit)(code)


def update_until(session, stop, started):
    """Batches of updates that hold the stripes' locks most of the time."""
    ids = np.arange(64)
    while not stop.is_set():
        session.update_many(ids, np.full(64, 0.5))
        started.set()


def create_until(session, stop, started):
    """Creates and removes a task, which holds the structure's lock most of the time."""
    while not stop.is_set():
        session.create(1_000, label="new")
        session.remove(1_000)
        started.set()


def draw_until(session, stop, started):
    """Batches of draws with the stream of the handle."""
    while not stop.is_set():
        session.draw_many(500)
        started.set()


BUSY = [update_until, create_until, draw_until]


class Busy:
    """Threads that are in the middle of a call on a session most of the time."""

    def __init__(self, session):
        self.stop = threading.Event()
        begun = [threading.Event() for _ in BUSY]
        self.threads = [
            threading.Thread(target=work, args=(session, self.stop, started))
            for work, started in zip(BUSY, begun, strict=True)
        ]
        for thread in self.threads:
            thread.start()
        for started in begun:
            assert started.wait(60.0)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop.set()
        for thread in self.threads:
            thread.join(60.0)
            assert not thread.is_alive()


def touch(session):
    """Every kind of call on a session, each with a lock of its own."""
    session.update(1, 0.5)
    session.create(2_000)
    session.remove(2_000)
    session.report(session.draw(), 0.25)
    session.update_many(np.arange(64), np.full(64, 1.0))
    session.stream()
    session.snapshot()


def attach_and_touch(name):
    """`touch` in a process of its own."""
    session = Session(name=name, mode="attach")
    touch(session)
    session.close()


class Raising(TaskCorridor):
    """Raises in the step of the given number."""

    def __init__(self, at):
        super().__init__()
        self.at = at
        self.made = 0

    def step(self, action):
        self.made += 1
        if self.made == self.at:
            raise ZeroDivisionError("the environment's own error")
        return super().step(action)


class Maker:
    """Makes an environment that draws from a curriculum and raises at a step (never at 0)."""

    def __init__(self, curriculum, at=0):
        self.curriculum = curriculum
        self.at = at

    def __call__(self):
        return CurriculumEnv(Raising(self.at), self.curriculum)
