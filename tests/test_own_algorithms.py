"""Algorithms of the user's: what the page that tells how to write one promises."""

import secrets

import numpy as np
import pytest

from curricle import Curriculum, CustomConfig
from curricle.backends import LocalMemoryBackend
from score_histories import shares


class Counts:
    """Keeps in a column how often it was asked, and calls back meanwhile."""

    columns = ("asked",)
    meanwhile = None

    def weights(self, snapshot):
        snapshot["asked"] += 1.0
        if self.meanwhile is not None:
            self.meanwhile()
        return snapshot["asked"]


def asked(curriculum):
    return curriculum.tracker.snapshot()["asked"].tolist()


class TestColumns:
    def test_they_are_kept_and_a_new_task_has_zeros(self, tmp_path):
        path = str(tmp_path / "run")
        with Curriculum(3, Counts()) as curriculum:
            curriculum.algorithm.refresh()
            curriculum.tracker.replace_task(1, 7)
            curriculum.algorithm.refresh()
            assert asked(curriculum) == [2.0, 1.0, 2.0]
            assert curriculum.probabilities()[1] == pytest.approx([0.4, 0.2, 0.4])
            curriculum.tracker.replace_task(7, 1)
            curriculum.save(path)
        with Curriculum(3, Counts()) as curriculum:
            curriculum.load(path)
            curriculum.algorithm.refresh()
            assert asked(curriculum) == [3.0, 1.0, 3.0]

    def test_a_task_goes_meanwhile(self):
        with Curriculum(3, Counts()) as curriculum:
            own = curriculum.algorithm.algorithm
            own.meanwhile = lambda: curriculum.tracker.remove_task(1)
            assert curriculum.algorithm.refresh()
            assert asked(curriculum) == [1.0, 1.0]

    def test_a_backend_without_them(self):
        with pytest.raises(ValueError, match=r"Counts needs the columns \('asked',\)"):
            Curriculum(3, Counts(), backend=LocalMemoryBackend(8, rules=CustomConfig().rules()))


@pytest.mark.parametrize("kind", ["session", "path"])
def test_one_at_a_time_computes(kind, tmp_path):
    name = f"test-{secrets.token_hex(8)}"
    place = {"session": name} if kind == "session" else {"path": str(tmp_path / name)}
    answers = []
    with Curriculum(3, Counts(), **place) as one, Curriculum(3, Counts(), **place) as two:
        one.algorithm.algorithm.meanwhile = lambda: answers.append(two.algorithm.refresh())
        assert one.algorithm.refresh()
        assert answers == [False]
        assert two.algorithm.refresh()
        assert asked(one) == [2.0] * 3


class Favourite(CustomConfig):
    """One task before all others."""

    task_id: int

    def weights(self, snapshot):
        return snapshot["task_id"] == self.task_id


def test_a_config_of_ones_own():
    config = Favourite(task_id=2, floor=0.4, update_every=5, use_shared_memory=False)
    curriculum = Curriculum(4, config)
    assert curriculum.algorithm.update_every == 5
    curriculum.draw()
    assert shares(curriculum) == pytest.approx([0.1, 0.1, 0.7, 0.1])
    with pytest.raises(ValueError, match="did you mean 'floor'"):
        Favourite(task_id=2, flor=0.4)


def test_a_config_without_weights_is_no_algorithm():
    with pytest.raises(TypeError, match=r"CustomConfig; give .* weights\(snapshot\)"):
        Curriculum(3, CustomConfig())


def test_a_class_in_place_of_an_object():
    with pytest.raises(TypeError, match=r"config is the class Counts; give an object, Counts\(\)"):
        Curriculum(3, Counts)


def test_weights_may_be_of_any_kind_of_numbers():
    for kind in (np.bool_, np.int8, np.float32, list):
        one = type("One", (), {"weights": lambda self, table, kind=kind: make(table, kind)})()
        with Curriculum(4, one) as curriculum:
            curriculum.draw()
            assert shares(curriculum) == pytest.approx([0.0, 1.0, 0.0, 0.0])


def make(table, kind):
    first = table["task_id"] == 1
    return first.tolist() if kind is list else first.astype(kind)
