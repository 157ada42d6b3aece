"""A checkpoint that is loaded while another process works: all of it or nothing."""

import multiprocessing
from collections import Counter

import pytest

from curricle import Curriculum, EmptyTableError, Rules, Session

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


def look(session: Session, ready, stop, result) -> None:
    sizes: Counter[int] = Counter()
    ready.set()
    while not stop.is_set():
        sizes[len(session.task_ids())] += 1
    result.put(sizes)


def test_nobody_sees_a_pool_that_is_being_filled_up(tmp_path) -> None:
    context = multiprocessing.get_context("fork")
    ready, stop, result = context.Event(), context.Event(), context.Queue()
    small, path = 10, str(tmp_path / "checkpoint")
    with Curriculum([{"level": i} for i in range(small)]) as saved:
        saved.report(3, 0.5)
        saved.save(path)
    with Curriculum([{"level": i} for i in range(TASKS)]) as curriculum:
        session = curriculum.tracker.backend.session
        looker = context.Process(target=look, args=(session, ready, stop, result))
        looker.start()
        assert ready.wait(60)
        for _ in range(100):
            curriculum.load(path)
        stop.set()
        assert set(result.get(timeout=60)) == {TASKS}
        looker.join(60)
        assert curriculum.tracker.get_task_stats(3)["completion_count"] == 1
        assert curriculum.metrics()["env_curriculum/num_completed"] == 1.0
        curriculum.verify()
