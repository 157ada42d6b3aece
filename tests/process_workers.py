"""What the processes of `test_processes` do; imports little, as each of them imports it."""

import os

import numpy as np

from curricle.curriculum import Curriculum
from curricle.generators import BucketedTaskGenerator, Span

UPDATES = 50_000


def generator():
    config = BucketedTaskGenerator.Config(
        base={"size": 0}, buckets={"size": [Span(1, 9)]}, label="sized"
    )
    return config.create()


def answer(results, i, target, own):
    try:
        results.put((i, target(*own)))
    except Exception as error:
        results.put((i, error))


def update_many_times(tracker, seed):
    rng = np.random.default_rng(seed)
    ids, scores = rng.integers(0, 100, UPDATES), rng.integers(0, 5, UPDATES) / 4
    half = UPDATES // 2
    for task_id, score in zip(ids[:half].tolist(), scores[:half].tolist(), strict=True):
        tracker.update_task_performance(task_id, score)
    tracker.update_batch(ids[half:], scores[half:])
    return float(scores.sum()), np.bincount(ids, minlength=100)


def draw_tasks(curriculum, n):
    tasks = curriculum.draw_many(n)
    return {(task.task_id, task.env_cfg["size"], task.get_label()) for task in tasks}


def open_and_draw(name):
    curriculum = Curriculum(generator(), session=name, pool_size=10)
    return sorted(curriculum.tracker.get_all_tracked_tasks())


def create_range(tracker, start, stop):
    return [tracker.track_task_creation(i, label=f"from-{start}") for i in range(start, stop)]


def label_and_read(tracker):
    tracker.track_task_creation(2, label="from the child")
    tracker.update_task_performance(1, 0.5)
    return tracker.get_task_label(1)


def report_each(tracker, tickets):
    """How many of the tickets this process was the first to report."""
    counted = 0
    for ticket in tickets:
        try:
            tracker.report_one(ticket, 1.0)
        except ValueError:
            continue
        counted += 1
    return counted


def report_late(tracker, tickets):
    return [tracker.report_one(ticket, 1.0) for ticket in tickets]


def draw_ids(curriculum, n):
    return [curriculum.draw().task_id for _ in range(n)]


def train(curriculum, episodes):
    own = os.getpid()
    for episode in range(episodes):
        task = curriculum.draw()
        curriculum.report(task.ticket, (task.env_cfg["size"] * episode + own) % 7 / 6, 3)
    return curriculum.metrics()["env_curriculum/num_tasks"]


def resume(path, name, episodes):
    curriculum = Curriculum(generator(), session=name, pool_size=20, seed=3)
    curriculum.load(path)
    table = curriculum.tracker.snapshot().tobytes()
    return table, draw_ids(curriculum, episodes)


def train_odd(curriculum, episodes):
    ids = set()
    for _ in range(episodes):
        task = curriculum.draw()
        ids.add(task.task_id)
        curriculum.report(task.ticket, 0.5)
    return ids


class Odd:
    update_every = 20

    def weights(self, snapshot):
        return snapshot["task_id"] % 2
