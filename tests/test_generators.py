"""Tasks and their generators."""

import collections
import dataclasses
import multiprocessing
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict
from scipy import stats

from curricle.errors import UnknownTaskError
from curricle.generators import (
    BucketedTaskGenerator,
    SingleTaskGenerator,
    Span,
    TaskGenerator,
    TaskGeneratorSet,
)
from curricle.generators.fixed import FixedTasks
from curricle.tasks import CurriculumTask


class Sizes(TaskGenerator):
    def get_task(self, task_id):
        return {"size": self.rng(task_id).randint(0, 10**9)}


def bucketed(base, **buckets):
    return BucketedTaskGenerator.Config(base=base, buckets=buckets).create()


class TestTask:
    def test_a_label_comes_from_the_configuration(self):
        assert CurriculumTask(1, {"label": "a"}).get_label() == "a"
        assert CurriculumTask(1, SimpleNamespace(label="b")).get_label() == "b"
        assert CurriculumTask(1, {"label": "a"}, label="own").get_label() == "own"

    @pytest.mark.parametrize("config", [None, 3, "text", {}, SimpleNamespace()])
    def test_no_label(self, config):
        assert CurriculumTask(1, config).get_label() is None

    def test_getters(self):
        task = CurriculumTask(1, "cfg", {"a.b": 3})
        assert (task.get_env_cfg(), task.get_slice_values()) == ("cfg", {"a.b": 3})
        assert task.get_bucket_values() == {"a.b": 3}
        assert CurriculumTask(1, "cfg").get_slice_values() == {}
        assert task.ticket is None


GENERATORS = [
    Sizes(),
    SingleTaskGenerator.Config(env={"size": 3}).create(),
    bucketed({"size": 0}, size=[1, 2, Span(0.0, 1.0)]),
    TaskGeneratorSet.Config(generators=[Sizes(), SingleTaskGenerator.Config(env=1)]).create(),
]


class TestDeterminism:
    @pytest.mark.parametrize("generator", GENERATORS, ids=lambda g: type(g).__name__)
    def test_a_task_depends_on_its_id_alone(self, generator):
        ids = [0, 1, -1, 2**62, 7]
        first = [generator.get_task(i) for i in ids]
        assert [generator.get_task(i) for i in reversed(ids)] == first[::-1]
        assert [pickle.loads(pickle.dumps(generator)).get_task(i) for i in ids] == first

    def test_in_another_process(self):
        generator = GENERATORS[2]
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.map(generator.get_task, range(5)) == [
                generator.get_task(i) for i in range(5)
            ]

    def test_negative_ids_are_ids_of_their_own(self):
        assert Sizes().get_task(-3) != Sizes().get_task(3)


class TestSingle:
    def test_each_task_has_a_copy_of_its_own(self):
        generator = SingleTaskGenerator.Config(env={"a": [1]}, label="one").create()
        generator.get_task(1)["a"].append(2)
        assert generator.get_task(1) == {"a": [1]}
        assert generator.task(1).get_label() == "one"


class TestNumpysIds:
    def test_a_numpy_id_is_the_same_task(self):
        config = BucketedTaskGenerator.Config(base={"x": 0}, buckets={"x": [Span(0.0, 1.0)]})
        for generator in (config.create(), TaskGeneratorSet.Config(generators=[config]).create()):
            for dtype in (np.int64, np.int32, np.uint64):
                assert generator.get_task(dtype(3)) == generator.get_task(3)
            assert generator.get_task(np.int64(-3)) == generator.get_task(-3)

    def test_what_is_no_id(self):
        with pytest.raises(TypeError, match="float"):
            Sizes().get_task(1.5)


class TestSpan:
    @pytest.mark.parametrize(("low", "high"), [(-1e308, 1e308), (1.0, 10**400), (-(10**400), 1.0)])
    def test_a_width_that_is_not_finite(self, low, high):
        with pytest.raises(ValueError, match=r"high - low must be a finite float"):
            Span(low, high)

    def test_integers_of_any_size(self):
        assert 0 <= Span(0, 10**400).draw(Sizes.rng(1)) <= 10**400

    def test_integers_are_inclusive(self):
        generator = bucketed({"x": 0}, x=[Span(0, 3)])
        drawn = {generator.get_task(i)["x"] for i in range(200)}
        assert drawn == {0, 1, 2, 3}
        assert all(isinstance(value, int) for value in drawn)

    def test_floats_are_uniform(self):
        generator = bucketed({"x": 0}, x=[Span(-1.0, 3.0)])
        drawn = [generator.get_task(i)["x"] for i in range(2000)]
        assert stats.kstest(drawn, stats.uniform(-1.0, 4.0).cdf).pvalue > 1e-4

    def test_bad_ends(self):
        with pytest.raises(ValueError, match="low 3 is above high 2"):
            Span(3, 2)
        with pytest.raises(TypeError, match="'1'"):
            Span("1", 2)
        with pytest.raises(ValueError, match="inf"):
            Span(0.0, float("inf"))


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)
    size: int = 0


class Plain(BaseModel):
    inner: Frozen = Frozen()


@dataclasses.dataclass(frozen=True)
class Point:
    x: int = 0
    y: int = 0


class TestBucketed:
    @pytest.mark.parametrize(
        ("base", "path", "read"),
        [
            ({"a": {"b": 0}}, "a.b", lambda c: c["a"]["b"]),
            ({"a": [0, 5]}, "a.1", lambda c: c["a"][1]),
            (SimpleNamespace(a=SimpleNamespace(b=0)), "a.b", lambda c: c.a.b),
            (Plain(), "inner.size", lambda c: c.inner.size),
            ({"p": Point()}, "p.y", lambda c: c["p"].y),
            ({}, "new", lambda c: c["new"]),
        ],
    )
    def test_paths(self, base, path, read):
        before = pickle.dumps(base)
        generator = BucketedTaskGenerator.Config(base=base, buckets={path: [7]}).create()
        task = generator.task(3)
        assert read(task.env_cfg) == 7
        assert task.get_slice_values() == {path: 7}
        assert pickle.dumps(base) == before

    @pytest.mark.parametrize(
        ("base", "path", "said"),
        [
            ({"a": {"b": 0}}, "x.b", "no key 'x'; there are 'a'"),
            (SimpleNamespace(a=1), "b", "has no 'b'"),
            ({"a": [0]}, "a.3", "no position"),
            (Point(), "z", "has no 'z'"),
        ],
    )
    def test_a_path_that_is_not_there(self, base, path, said):
        with pytest.raises(ValueError, match=said):
            BucketedTaskGenerator.Config(base=base, buckets={path: [7]}).create()

    def test_no_values(self):
        with pytest.raises(ValueError, match="'a' has no values"):
            BucketedTaskGenerator.Config(base={}, buckets={"a": []})

    def test_values_are_equally_likely_and_independent(self):
        generator = bucketed({"a": 0, "b": 0}, a=[0, 1], b=[0, 1, 2])
        pairs = collections.Counter(tuple(generator.get_task(i).values()) for i in range(6000))
        assert stats.chisquare([pairs[a, b] for a in range(2) for b in range(3)]).pvalue > 1e-4


class TestSet:
    def test_weights(self):
        generators = [SingleTaskGenerator.Config(env=i) for i in range(3)]
        generator = TaskGeneratorSet.Config(generators=generators, weights=[1, 0, 3]).create()
        drawn = collections.Counter(generator.get_task(i) for i in range(4000))
        assert drawn[1] == 0
        assert stats.chisquare([drawn[0], drawn[2]], [1000, 3000]).pvalue > 1e-4

    def test_the_choice_does_not_decide_what_the_child_draws(self):
        child = BucketedTaskGenerator.Config(base={"x": 0}, buckets={"x": [Span(0.0, 1.0)]})
        inner = TaskGeneratorSet.Config(generators=[child, SingleTaskGenerator.Config(env=None)])
        outer = TaskGeneratorSet.Config(generators=[inner, SingleTaskGenerator.Config(env=None)])
        tasks = [outer.create().get_task(i) for i in range(8000)]
        drawn = [task["x"] for task in tasks if task is not None]
        assert 1700 < len(drawn) < 2300
        assert stats.kstest(drawn, "uniform").pvalue > 1e-4

    def test_labels(self):
        generators = [
            SingleTaskGenerator.Config(env=0, label="own"),
            SingleTaskGenerator.Config(env=1),
        ]
        generator = TaskGeneratorSet.Config(generators=generators, label="set").create()
        labels = {generator.get_task(i): generator.task(i).get_label() for i in range(50)}
        assert labels == {0: "own", 1: "set"}

    @pytest.mark.parametrize("weights", [[1.0], [0.0, 0.0], [-1.0, 2.0], [float("nan"), 1.0]])
    def test_bad_weights(self, weights):
        with pytest.raises(ValueError, match="weight"):
            TaskGeneratorSet.Config(generators=[Sizes(), Sizes()], weights=weights)

    def test_no_generators(self):
        with pytest.raises(ValueError, match="at least one generator"):
            TaskGeneratorSet.Config(generators=[])

    def test_weights_whose_sum_is_not_finite(self):
        with pytest.raises(ValueError, match="finite sum"):
            TaskGeneratorSet.Config(generators=[Sizes(), Sizes()], weights=[1e308, 1e308])


class TestFixed:
    def test_a_number(self):
        tasks = FixedTasks(3)
        assert [tasks.get_task(i) for i in range(3)] == [0, 1, 2]
        assert tasks.labels() is None

    def test_a_sequence(self):
        tasks = FixedTasks([{"label": "a"}, {"size": 3}])
        assert tasks.task(1).env_cfg == {"size": 3}
        assert tasks.labels() == ["a", None]

    def test_a_dict(self):
        tasks = FixedTasks({"easy": 1, "hard": 9})
        assert (tasks.get_task(1), tasks.task(1).get_label()) == (9, "hard")

    @pytest.mark.parametrize("task_id", [-1, 3])
    def test_an_id_beyond_the_last(self, task_id):
        with pytest.raises(UnknownTaskError, match="0 to 2"):
            FixedTasks(3).get_task(task_id)

    @pytest.mark.parametrize("tasks", ["text", True, None, 3.5, {1: "a"}])
    def test_no_tasks_at_all(self, tasks):
        with pytest.raises(TypeError, match="tasks"):
            FixedTasks(tasks)

    @pytest.mark.parametrize("tasks", [0, -1, [], {}])
    def test_too_few(self, tasks):
        with pytest.raises(ValueError, match="at least one"):
            FixedTasks(tasks)

    def test_an_array_of_configurations(self):
        assert FixedTasks(list(np.arange(3))).get_task(2) == 2
