"""Several processes and one session."""

import collections
import multiprocessing
import pickle
import queue
import secrets

import numpy as np
import pytest
from scipy import stats

from curricle.backends import SharedMemoryBackend
from curricle.config import LearningProgressConfig, NoiseAwareConfig
from curricle.curriculum import Curriculum
from curricle.errors import CapacityError, SessionError
from curricle.tracker import TaskTracker
from process_workers import (
    UPDATES,
    Odd,
    answer,
    create_range,
    draw_ids,
    draw_tasks,
    generator,
    label_and_read,
    open_and_draw,
    report_each,
    report_late,
    resume,
    train,
    train_odd,
    update_many_times,
)

METHODS = ["fork", "spawn", "forkserver"]
PROCESSES = 4


@pytest.fixture
def name():
    return f"test-{secrets.token_hex(8)}"


def run(method, target, arguments):
    """Runs one process for each of the arguments; their results, in that order."""
    context = multiprocessing.get_context(method)
    results = context.Queue()
    processes = [
        context.Process(target=answer, args=(results, i, target, own))
        for i, own in enumerate(arguments)
    ]
    for process in processes:
        process.start()
    answers = {}
    while len(answers) < len(processes):
        try:
            i, value = results.get(timeout=1.0)
        except queue.Empty:
            assert all(process.exitcode in (None, 0) for process in processes)
            continue
        answers[i] = value
    for process in processes:
        process.join()
    for value in answers.values():
        if isinstance(value, Exception):
            raise value
    return [answers[i] for i in range(len(processes))]


@pytest.mark.parametrize("method", METHODS)
def test_totals_are_exact(method, name):
    tracker = TaskTracker(backend=SharedMemoryBackend(128, name))
    for task_id in range(100):
        tracker.track_task_creation(task_id, label=f"label-{task_id % 3}")
    done = run(method, update_many_times, [(tracker, seed) for seed in range(PROCESSES)])
    stats_ = tracker.get_global_stats()
    assert stats_["total_completions"] == PROCESSES * UPDATES
    # Sums of quarters are exact in floating point.
    assert tracker.totals()["score_sum"] == sum(total for total, _ in done)
    per_task = sum(counts for _, counts in done)
    assert tracker.stats_batch(np.arange(100))["completion_count"].tolist() == per_task.tolist()
    counts = tracker.get_label_completion_counts()
    assert counts == {f"label-{i}": int(per_task[i::3].sum()) for i in range(3)}
    tracker.verify()
    tracker.cleanup_shared_memory()


@pytest.mark.parametrize("method", METHODS)
def test_a_process_that_attaches_later_draws_the_tasks_of_others(method, name):
    curriculum = Curriculum(generator(), session=name, pool_size=10)
    expected = {
        (task_id, generator().get_task(task_id)["size"], "sized")
        for task_id in curriculum.tracker.get_all_tracked_tasks()
    }
    assert run(method, draw_tasks, [(curriculum, 2000)]) == [expected]
    assert curriculum.metrics()["env_curriculum/num_scheduled"] == 2000.0
    curriculum.close()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_that_open_at_once_share_one_pool(method, name):
    holder = SharedMemoryBackend(1000, name, rules=NoiseAwareConfig().rules())
    holder.allocate(1000)
    pools = run(method, open_and_draw, [(name,)] * PROCESSES)
    assert len(pools[0]) == 10
    assert pools == [pools[0]] * PROCESSES
    assert holder.totals()["created"] == 10
    holder.close()


def test_another_set_of_tasks_is_refused(name):
    curriculum = Curriculum(10, session=name)
    with pytest.raises(SessionError, match=r"10 tasks, 0 labels.*5 tasks, 0 labels"):
        Curriculum(5, session=name)
    curriculum.close()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_two_creators_never_share_a_slot(method, name):
    tracker = TaskTracker(backend=SharedMemoryBackend(4000, name))
    # Ranges that overlap: of each id, one process is told that it is new.
    ranges = [(0, 2000), (1000, 3000), (2000, 4000)]
    done = run(method, create_range, [(tracker, *own) for own in ranges])
    assert sum(map(sum, done)) == 4000
    slots = [tracker.get_task_index(i) for i in range(4000)]
    assert sorted(slots) == list(range(4000))
    assert sorted(tracker.get_all_tracked_tasks()) == list(range(4000))
    tracker.verify()
    with pytest.raises(CapacityError, match="4000"):
        tracker.track_task_creation(4000)
    tracker.cleanup_shared_memory()


@pytest.mark.parametrize("method", METHODS)
def test_labels_cross_processes(method, name, tmp_path):
    tracker = TaskTracker(backend=SharedMemoryBackend(16, name))
    tracker.track_task_creation(1, label="from the parent")
    assert run(method, label_and_read, [(tracker,)]) == ["from the parent"]
    assert tracker.get_task_label(2) == "from the child"
    expected = {"from the parent": 1, "from the child": 0}
    assert tracker.get_label_completion_counts() == expected
    assert pickle.loads(pickle.dumps(tracker)).get_label_completion_counts() == expected
    tracker.save(str(tmp_path / "table"))
    tracker.backend.clear()
    tracker.load(str(tmp_path / "table"))
    assert tracker.get_task_label(2) == "from the child"
    assert tracker.get_label_completion_counts() == expected
    tracker.cleanup_shared_memory()


@pytest.mark.parametrize("method", METHODS)
def test_late_tickets(method, name):
    tracker = TaskTracker(backend=SharedMemoryBackend(1, name))
    tracker.track_task_creation(1)
    evicted, reused, back = tracker.sample(3)
    tracker.replace_task(1, 2)
    assert run(method, report_late, [(tracker, [evicted])]) == [[None]]
    assert tracker.report_one(reused, 1.0) is None
    tracker.replace_task(2, 1)
    assert run(method, report_late, [(tracker, [back])]) == [[None]]
    assert tracker.get_task_stats(1)["completion_count"] == 0
    assert tracker.totals()["late_reports"] == 3
    assert run(method, report_late, [(tracker, [tracker.draw()])]) == [[0.0]]
    assert tracker.totals()["completions"] == 1
    tracker.verify()
    tracker.cleanup_shared_memory()


@pytest.mark.parametrize("method", METHODS)
def test_a_ticket_counts_once_whichever_processes_report_it(method, name):
    tracker = TaskTracker(backend=SharedMemoryBackend(10, name))
    tracker.track_many(range(10))
    tickets = tracker.sample(2000)
    assert sum(run(method, report_each, [(tracker, tickets)] * 3)) == 2000
    assert report_each(tracker, tickets) == 0
    assert tracker.totals()["completions"] == 2000
    tracker.verify()
    tracker.cleanup_shared_memory()


@pytest.mark.parametrize("method", METHODS)
def test_processes_draw_streams_of_their_own(method, name):
    curriculum = Curriculum(1000, session=name)
    drawn = run(method, draw_ids, [(curriculum, 50)] * 3)
    drawn.append(draw_ids(curriculum, 50))
    assert len(set(map(tuple, drawn))) == 4
    curriculum.close()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_local_copies_draw_streams_of_their_own(method):
    config = LearningProgressConfig(use_shared_memory=False)
    curriculum = Curriculum(1000, config)
    drawn = run(method, draw_ids, [(curriculum, 50)] * 3)
    drawn.append(draw_ids(curriculum, 50))
    assert len(set(map(tuple, drawn))) == 4
    assert curriculum.metrics()["env_curriculum/num_scheduled"] == 50.0


@pytest.mark.parametrize("method", METHODS)
def test_nothing_keeps_a_task_from_coming_again(method, name):
    curriculum = Curriculum(3, session=name, seed=11)
    drawn = run(method, draw_ids, [(curriculum, 1000)] * 2)
    for ids in drawn:
        counts = collections.Counter(ids)
        assert min(counts[i] for i in range(3)) > 200
        assert stats.chisquare([counts[i] for i in range(3)]).pvalue > 1e-4
    curriculum.close()


@pytest.mark.parametrize("method", METHODS)
def test_a_pool_that_all_renew_keeps_its_size_and_its_totals(method, name):
    curriculum = Curriculum(generator(), session=name, pool_size=20)
    sizes = run(method, train, [(curriculum, 3000)] * PROCESSES)
    # One task may be on its way out at the moment of a look, never more: changes take turns.
    assert set(sizes) <= {19.0, 20.0}
    totals = curriculum.tracker.totals()
    assert totals["tasks"] == 20
    assert totals["evicted"] > 20
    assert totals["created"] == 20 + totals["evicted"]
    assert totals["scheduled"] == 3000 * PROCESSES
    assert totals["completions"] + totals["late_reports"] == 3000 * PROCESSES
    assert totals["env_steps"] == 3 * totals["completions"]
    curriculum.verify()
    curriculum.close()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_resumed_session_is_the_same_to_the_bit(method, name, tmp_path):
    path = str(tmp_path / "run")
    curriculum = Curriculum(generator(), session=name, pool_size=20, seed=3)
    run(method, train, [(curriculum, 500)] * 2)
    train(curriculum, 500)
    curriculum.save(path)
    table = curriculum.tracker.snapshot().tobytes()
    drawn = draw_ids(curriculum, 200)
    curriculum.close()
    assert run(method, resume, [(path, f"{name}-again", 200)]) == [(table, drawn)]


@pytest.mark.parametrize("method", METHODS)
def test_an_own_algorithm_in_several_processes(method, name):
    curriculum = Curriculum(10, Odd(), session=name)
    curriculum.report(curriculum.draw().ticket, 0.5)
    assert run(method, train_odd, [(curriculum, 500)] * 3) == [{1, 3, 5, 7, 9}] * 3
    curriculum.close()
