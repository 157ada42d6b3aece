"""What processes of the tests of the drop-in tracker do; imports little, as each imports it."""

import os
import signal

from curricle.compat.memory_backend import SharedMemoryBackend
from curricle.compat.task_tracker import CentralizedTaskTracker


def update_and_read(tracker):
    """Adds a score to task 1 and makes task 2; returns what the parent's tasks look like here."""
    seen = tracker.get_task_stats(1), tracker.get_task_label(1)
    tracker.update_task_performance(1, 1.0)
    tracker.track_task_creation(2)
    tracker.set_task_label(2, "from the child")
    return seen


def attach_and_update(session_id, task_id, updates):
    tracker = CentralizedTaskTracker(100, session_id)
    for at in range(updates):
        tracker.update_task_performance(task_id, at % 2)
    return tracker.get_task_index(task_id)


def update_emas(tracker, scorer, task_id, updates):
    for _ in range(updates):
        tracker.update_task_performance_with_bidirectional_emas(task_id, 1.0, scorer)


def add_to_slot(backend, index, field, times):
    slot = backend.get_task_data(index)
    for _ in range(times):
        with backend.acquire_lock():
            slot[field] += 1.0


def die_with_lock(session_id, max_tasks):
    with SharedMemoryBackend(max_tasks, session_id).acquire_lock():
        os.kill(os.getpid(), signal.SIGKILL)


def hold_until_told(backend, held, told):
    with backend.acquire_lock():
        held.set()
        told.wait(60)


def die_with_lock_and_leave_a_child(session_id, max_tasks, child_ends):
    with SharedMemoryBackend(max_tasks, session_id).acquire_lock():
        if os.fork() == 0:
            child_ends.wait(60)
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)


def wait_until_told(told):
    told.wait(60)


def create_tasks(session_id, first, n):
    tracker = CentralizedTaskTracker(1000, session_id)
    for task_id in range(first, first + n):
        tracker.update_task_performance(task_id, task_id / 1000)
    return {task_id: tracker.get_task_index(task_id) for task_id in range(first, first + n)}


def store_result(results, target, arguments):
    try:
        results.put(target(*arguments))
    except Exception as error:
        results.put(error)
