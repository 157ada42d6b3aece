"""What the processes of `test_checkpoints` do."""

import numpy as np

from curricle import Session

TASKS = np.arange(20, dtype=np.int64)
ONES = np.ones(len(TASKS))


def save_on_and_on(session: Session, path: str, ready) -> None:
    """Between two saves every task gets one more score, so each file has one count for all."""
    while True:
        session.update_many(TASKS, ONES)
        session.save(path)
        ready.set()


def load_on_and_on(session: Session, paths: list[str], ready) -> None:
    while True:
        for path in paths:
            session.load(path)
            ready.set()


def write_and_evict(session: Session, number: int, stop, results) -> None:
    """Each score is 1.0 and takes one step, so that three sums of one commit are one number."""
    stream, counted, evicted = session.stream(number), 0, 0
    newest = 1000 * number
    session.create(newest, label=f"from {number}")
    while not stop.is_set():
        for task_id in TASKS.tolist():
            session.update(task_id, 1.0, 1)
            counted += 1 + (session.report(session.draw(stream), 1.0, 1) is not None)
        evicted += session.replace(newest, newest + 1, label=f"from {number}")
        newest += 1
    results.put((counted, evicted))
