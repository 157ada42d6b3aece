"""A load into tasks that have changed since the checkpoint says so."""

import warnings

import pytest

from curricle import Curriculum, NoiseAwareConfig
from curricle.generators import TaskGenerator

HERE = NoiseAwareConfig(use_shared_memory=False, max_memory_tasks=20)


class Rooms(TaskGenerator):
    def __init__(self, wall):
        super().__init__()
        self.wall = wall

    def get_task(self, task_id):
        return {"label": f"{self.wall} {task_id % 2}"}


def saved(folder, tasks, **options):
    path = str(folder / "before.ckpt")
    Curriculum(tasks, HERE, **options).save(path)
    return path


def test_tasks_of_other_labels_are_named_and_keep_those_of_the_checkpoint(tmp_path):
    path = saved(tmp_path, {"x": 0, **{f"b{n}": n for n in range(1, 10)}})
    here = Curriculum({"x": 0, **{f"a{n}": n for n in range(1, 10)}}, HERE)
    with pytest.warns(RuntimeWarning, match="label of task 1 is 'b1' there and 'a1' here; 9 of 10"):
        here.load(path)
    assert set(here.label_totals()) == {"x", *(f"b{n}" for n in range(1, 10))}
    for task_id in range(10):
        here.tracker.set_task_label(task_id, here.task(task_id).get_label())
    assert {label for label, row in here.label_totals().items() if row["tasks"]} == {
        "x",
        *(f"a{n}" for n in range(1, 10)),
    }


def test_the_caller_is_where_the_warning_points_to(tmp_path):
    path = saved(tmp_path, {"b": 0})
    with pytest.warns(RuntimeWarning, match="'b' there") as caught:
        Curriculum({"a": 0}, HERE).load(path)
    assert caught[0].filename == __file__


def test_tasks_of_a_generator_are_compared_too(tmp_path):
    path = saved(tmp_path, Rooms("brick"), pool_size=8)
    with pytest.warns(RuntimeWarning, match=r"'brick \d' there and 'wood \d' here; 8 of 8"):
        Curriculum(Rooms("wood"), HERE, pool_size=8).load(path)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"a": 0, "b": 1}, {"a": 0, "b": 5, "c": 2}),
        ([0, 1], {"a": 0, "b": 1}),
        ({"a": 0, "b": 1}, 2),
    ],
    ids=["more tasks", "labels that are new", "labels that are gone"],
)
def test_labels_that_do_not_contradict_each_other_are_no_matter(tmp_path, before, after):
    path = saved(tmp_path, before)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Curriculum(after, HERE).load(path)
