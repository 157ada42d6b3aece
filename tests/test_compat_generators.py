"""The generators under their earlier module name, as earlier trainers use them."""

import pickle
from types import SimpleNamespace

import pytest

import curricle
from compat_envs import make
from curricle.compat import task_generator
from curricle.compat.task_generator import (
    BucketedTaskGenerator,
    SingleTaskGenerator,
    Span,
    TaskGenerator,
    TaskGeneratorSet,
)

SINGLE = SingleTaskGenerator.Config(env={"size": 3}, label="single")
BUCKETED = BucketedTaskGenerator.Config(
    base={"game": {"size": 0, "speed": 0.0, "kind": ""}},
    buckets={
        "game.size": [Span(1, 4)],
        "game.speed": [Span(0.5, 2.0)],
        "game.kind": ["maze", "arena"],
    },
    label="bucketed",
)
SET = TaskGeneratorSet.Config(generators=[SINGLE, BUCKETED], weights=[1.0, 3.0])


def test_all_names_are_the_clean_ones():
    for name in task_generator.__all__:
        assert getattr(task_generator, name) is getattr(curricle, name, None) or (
            name == "TaskGeneratorConfig"
        )


@pytest.mark.parametrize("config", [SINGLE, BUCKETED, SET])
def test_a_task_depends_on_its_id_alone(config):
    one, other = config.create(), pickle.loads(pickle.dumps(config.create()))
    forward = [one.get_task(task_id) for task_id in range(50)]
    backward = [other.get_task(task_id) for task_id in reversed(range(50))]
    assert forward == backward[::-1]


@pytest.mark.parametrize(("config", "label"), [(SINGLE, "single"), (BUCKETED, "bucketed")])
def test_each_has_a_label(config, label):
    assert config.create().label == label
    assert make(config, size=2).get_task().get_label() == label


def test_a_single_task_is_a_copy_each_time():
    generator = SINGLE.create()
    first = generator.get_task(1)
    first["size"] = 9
    assert generator.get_task(1) == {"size": 3}


def test_a_span_by_itself_is_a_bucket():
    config = BucketedTaskGenerator.Config(base={"size": 0}, buckets={"size": Span(1, 3)})
    assert {config.create().get_task(i)["size"] for i in range(50)} == {1, 2, 3}


def test_lists_and_spans():
    generator = BUCKETED.create()
    games = [generator.get_task(task_id)["game"] for task_id in range(300)]
    assert {game["size"] for game in games} == {1, 2, 3, 4}
    assert {game["kind"] for game in games} == {"maze", "arena"}
    speeds = [game["speed"] for game in games]
    assert 0.5 <= min(speeds) < 0.6
    assert 1.9 < max(speeds) <= 2.0


def test_slice_values_reach_the_task():
    task = make(BUCKETED, size=4).get_task()
    assert task._slice_values == {
        f"game.{name}": value for name, value in task._env_cfg["game"].items()
    }


def test_weights():
    generator = SET.create()
    labels = [generator.task(task_id).get_label() for task_id in range(2000)]
    assert 0.7 < labels.count("bucketed") / len(labels) < 0.8


def test_a_generator_of_ones_own():
    class Sizes(TaskGenerator):
        def get_task(self, task_id):
            return SimpleNamespace(size=self.rng(task_id).randint(1, 9), label="own")

    curriculum = make(Sizes(), size=6)
    task = curriculum.get_task()
    assert task._env_cfg.size == curriculum._task_generator.get_task(task._task_id).size
    assert task._label == "own"
