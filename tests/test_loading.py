"""A checkpoint that is loaded while another process works: all of it or nothing."""

import multiprocessing
from collections import Counter

import pytest

from curricle import EmptyTableError, Rules, Session

TASKS = 200


def work(session: Session, ready, stop, result) -> None:
    seen: Counter[str] = Counter()
    stream = session.stream(1)
    ready.set()
    while not stop.is_set():
        seen["rounds"] += 1
        seen["unknown"] += 3 not in session
        seen["length"] += len(session) != TASKS
        seen["totals"] += session.totals()["tasks"] != TASKS
        seen["labels"] += sum(row["tasks"] for row in session.label_totals().values()) != TASKS
        seen["snapshot"] += len(session.snapshot()) != TASKS
        seen["probabilities"] += abs(session.probabilities()[1].sum() - 1.0) > 1e-9
        try:
            session.report(session.draw(stream), 0.5)
        except EmptyTableError:
            seen["empty"] += 1
        session.update(3, 0.5)
    result.put(seen)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_nobody_sees_half_a_load(method: str, tmp_path) -> None:
    context = multiprocessing.get_context(method)
    ready, stop, result = context.Event(), context.Event(), context.Queue()
    session = Session(TASKS, Rules(), name=f"test-loading-{method}")
    try:
        for task_id in range(TASKS):
            session.create(task_id, label=f"label {task_id % 7}")
        path = str(tmp_path / "checkpoint")
        session.save(path)
        worker = context.Process(target=work, args=(session, ready, stop, result))
        worker.start()
        assert ready.wait(60)
        for _ in range(1500):
            session.load(path)
        stop.set()
        seen = result.get(timeout=60)
        worker.join(60)
        assert seen.pop("rounds") > 0
        assert not +seen, seen
        assert session.verify()["tasks"] == TASKS
    finally:
        session.close()
