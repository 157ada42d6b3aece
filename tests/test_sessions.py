"""What joins a session and what is refused: other tasks, other seeds, other checkpoints."""

import secrets
import subprocess
import sys

import numpy as np
import pytest

import curricle
from curricle import (
    BucketedTaskGenerator,
    CheckpointError,
    Curriculum,
    CurriculumTask,
    LearningProgressConfig,
    LocalMemoryBackend,
    SessionError,
    SingleTaskGenerator,
    Span,
    TaskGenerator,
    TaskGeneratorSet,
    TaskMemoryBackend,
    list_sessions,
)
from curricle.content import describe


def local(**fields):
    return LearningProgressConfig(use_shared_memory=False, **fields)


def sizes(low=1, high=9, label=None):
    buckets = {"size": [Span(low, high)]}
    return BucketedTaskGenerator.Config(base={"size": 0}, buckets=buckets, label=label).create()


class Named(TaskGenerator):
    """Each task has its own label."""

    def get_task(self, task_id):
        return {"label": f"task-{task_id}"}


class DictBackend(TaskMemoryBackend):
    def __init__(self, max_tasks):
        self.allocate(max_tasks)

    def allocate(self, max_tasks):
        self.max_tasks, self.tasks = max_tasks, {}

    def read_task(self, task_id):
        return self.tasks.get(task_id)

    def write_task(self, task_id, data):
        self.tasks[task_id] = data

    def get_all_task_ids(self):
        return list(self.tasks)


@pytest.fixture
def name():
    return f"test-{secrets.token_hex(8)}"


class TestJoining:
    @pytest.mark.parametrize(
        ("first", "second", "said"),
        [
            (5, 7, r"5 tasks, 0 labels.*7 tasks, 0 labels"),
            (7, 5, r"7 tasks, 0 labels.*5 tasks, 0 labels"),
            ({"a0": 0, "a1": 1}, {"b0": 0, "b1": 1}, r"2 tasks, 2 labels.*2 tasks, 2 labels"),
            ({"a": 1, "b": 2}, {"a": 1, "b": 3}, r"2 tasks, 2 labels.*2 tasks, 2 labels"),
            ([{"x": 1.0}], [{"x": 1.5}], r"1 tasks, 0 labels"),
            (sizes(1, 9), sizes(1, 8), r"BucketedTaskGenerator.*BucketedTaskGenerator"),
            (sizes(), Named(), r"BucketedTaskGenerator.*Named"),
            (sizes(label="a"), sizes(label="b"), r"BucketedTaskGenerator"),
        ],
    )
    def test_other_tasks_are_refused(self, first, second, said, name):
        config = {"pool_size": 8} if isinstance(first, TaskGenerator) else {}
        with Curriculum(first, session=name, **config) as curriculum:
            with pytest.raises(SessionError, match=said):
                Curriculum(second, session=name, **config)
            assert len(curriculum.tracker) == curriculum.pool_size

    def test_other_pools_are_refused(self, name):
        with Curriculum(sizes(), session=name, pool_size=8) as curriculum:
            with pytest.raises(SessionError, match=r"pool 8 .*pool 12 "):
                Curriculum(sizes(), session=name, pool_size=12)
            with pytest.raises(SessionError, match="below 50"):
                Curriculum(sizes(), session=name, pool_size=8, max_task_id=50)
            assert len(curriculum.tracker) == 8

    def test_the_same_tasks_join(self, name):
        with (
            Curriculum({"a": {"x": object()}}, session=name) as one,
            Curriculum({"a": {"x": object()}}, session=name) as other,
        ):
            one.draw()
            assert other.tracker.totals()["scheduled"] == 1

    def test_the_description_is_the_same_in_all_processes(self):
        script = (
            "from curricle import BucketedTaskGenerator, TaskGeneratorSet, Span\n"
            "from curricle.content import describe\n"
            "base = {'kinds': {'a', 'b', 'c', 'd'}, 'make': object(), 'of': len}\n"
            "one = BucketedTaskGenerator.Config(base=base, buckets={'make': [1, Span(0.0, 1.0)]})\n"
            "both = TaskGeneratorSet.Config(generators=[one, one.create()], weights=[1.0, 2.0])\n"
            "print(describe(both.create(), 8, 100))\n"
        )
        said = {
            subprocess.run(
                [sys.executable, "-c", script],
                env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))},
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            ).stdout
            for seed in ("1", "2", "3")
        }
        assert len(said) == 1
        assert said.pop().startswith("TaskGeneratorSet, pool 8 of ids below 100, ")

    def test_what_a_set_is_made_of_counts(self):
        def both(high):
            configs = [sizes(1, high).config, SingleTaskGenerator.Config(env=3)]
            return describe(TaskGeneratorSet.Config(generators=configs).create(), 8, 100)

        assert both(5) == both(5)
        assert both(5) != both(6)

    def test_a_long_name_of_a_class_fits(self):
        kind = type("Ä" * 300, (Named,), {})
        assert len(describe(kind(), 10**9, 2**63 - 1).encode()) <= 120


class TestSeeds:
    def test_of_a_session(self, name):
        with Curriculum(5, session=name, seed=1) as one:
            with pytest.raises(SessionError, match=rf"seed=2, but.*{name}.* with seed=1"):
                Curriculum(5, session=name, seed=2)
            with Curriculum(5, session=name) as other:
                assert other.seed == 1
            with Curriculum(5, session=name, seed=1) as other:
                assert other.seed == one.seed == 1
        assert name not in {session["name"] for session in list_sessions()}

    def test_of_a_backend(self):
        backend = LocalMemoryBackend(1000, rules=local().rules(), seed=3)
        with pytest.raises(ValueError, match="seed=7, but the backend has seed=3"):
            Curriculum(5, local(), backend=backend, seed=7)
        assert Curriculum(5, local(), backend=backend).seed == 3

    def test_none_is_0(self):
        assert Curriculum(5, local()).seed == 0


class TestContradictions:
    @pytest.mark.parametrize("argument", ["session", "path"])
    def test_empty_places(self, argument):
        with pytest.raises(ValueError, match=f'{argument}="" names no session'):
            Curriculum(3, **{argument: ""})

    def test_an_empty_session_id(self):
        with pytest.raises(ValueError, match='session_id="" names no session'):
            LearningProgressConfig(session_id="")

    @pytest.mark.parametrize(
        ("argument", "value"), [("session", "x"), ("path", "/tmp/x"), ("persist", True)]
    )
    def test_arguments_without_shared_memory(self, argument, value):
        with pytest.raises(ValueError, match=f"{argument}={value!r} .*use_shared_memory=False"):
            Curriculum(3, local(), **{argument: value})

    def test_a_session_id_without_shared_memory(self):
        with pytest.raises(ValueError, match="session_id='x' contradicts use_shared_memory=False"):
            local(session_id="x")

    def test_an_explicit_size_of_a_preset(self):
        with pytest.raises(ValueError, match=r"number of tasks is 5 but num_active_tasks is 256"):
            Curriculum(5, LearningProgressConfig.stable(256, use_shared_memory=False))
        preset = LearningProgressConfig.stable(use_shared_memory=False)
        assert preset.num_active_tasks == 256
        assert Curriculum(5, preset).pool_size == 5

    def test_a_label_that_is_no_string(self):
        with pytest.raises(TypeError, match=r"task 1: label=5 .* is a int"):
            Curriculum([{"label": "a"}, {"label": 5}], local())
        assert CurriculumTask(0, {"label": None}).get_label() is None
        assert "label=5" in repr(CurriculumTask(0, {"label": 5}))


class TestLabels:
    def test_a_generator_of_as_many_labels_as_tasks(self):
        curriculum = Curriculum(Named(), local(), pool_size=300)
        assert len(curriculum.label_totals()) == 300
        for _ in range(200):
            for task in curriculum.draw_many(300):
                curriculum.report(task.ticket, 0.5)
            curriculum.draw()
        assert curriculum.tracker.totals()["evicted"] > 110

    def test_the_default_pool(self):
        assert len(Curriculum(Named(), local()).label_totals()) == 1000


class TestLoading:
    def test_a_smaller_checkpoint_grows(self, tmp_path):
        path = str(tmp_path / "five")
        small = Curriculum(5, local(), seed=1)
        small.report(range(5), [0.5] * 5)
        small.save(path)
        large = Curriculum(10, local(), seed=1)
        large.load(path)
        ids, shares = large.probabilities()
        assert sorted(ids) == list(range(10))
        assert np.all(shares > 0)
        assert large.metrics()["env_curriculum/num_completed"] == 5.0
        assert {large.draw().task_id for _ in range(2000)} == set(range(10))
        large.verify()

    @pytest.mark.parametrize("shared", [True, False])
    def test_tasks_beyond_the_set_are_refused(self, shared, name, tmp_path):
        path = str(tmp_path / "five")
        Curriculum(5, local()).save(path)
        curriculum = Curriculum(3, session=name) if shared else Curriculum(3, local())
        curriculum.report(1, 0.5)
        before = curriculum.tracker.snapshot().tobytes()
        with pytest.raises(CheckpointError, match=r"2 tasks beyond .* task 3 .* 0 to 2"):
            curriculum.load(path)
        assert curriculum.tracker.snapshot().tobytes() == before
        assert curriculum.draw().task_id < 3
        curriculum.close()

    def test_with_a_backend_of_the_users(self, tmp_path):
        five, path = Curriculum(5, local(), backend=DictBackend(20)), str(tmp_path / "five")
        five.report(2, 0.5)
        five.save(path)
        three = Curriculum(3, local(), backend=DictBackend(20))
        three.report(1, 0.25)
        with pytest.raises(CheckpointError, match="2 tasks beyond"):
            three.load(path)
        assert sorted(three.tracker.get_all_tracked_tasks()) == [0, 1, 2]
        assert three.tracker.get_task_stats(1)["mean_score"] == 0.25
        ten = Curriculum(10, local(), backend=DictBackend(20))
        ten.load(path)
        assert sorted(ten.tracker.get_all_tracked_tasks()) == list(range(10))

    @pytest.mark.parametrize("sizes_of", [(8, 12), (8, 40)])
    def test_a_pool_is_filled_again(self, sizes_of, tmp_path):
        path, (few, many) = str(tmp_path / "pool"), sizes_of
        small = Curriculum(sizes(), local(), pool_size=few, max_task_id=50)
        small.save(path)
        large = Curriculum(sizes(), local(), pool_size=many, max_task_id=50)
        large.load(path)
        ids = large.tracker.get_all_tracked_tasks()
        assert len(ids) == many
        assert set(small.tracker.get_all_tracked_tasks()) <= set(ids)

    def test_labels_are_set(self, tmp_path):
        path = str(tmp_path / "bare")
        bare = Curriculum(2, local())
        bare.report([0, 1], [0.5, 0.5])
        bare.save(path)
        labelled = Curriculum({"a": 1, "b": 2, "c": 3}, local())
        labelled.load(path)
        totals = labelled.label_totals()
        assert {label: totals[label]["tasks"] for label in totals} == {"a": 1, "b": 1, "c": 1}
        labelled.verify()


def test_a_star_import_needs_no_extra():
    assert "CurriculumParallelEnv" not in curricle.__all__
    assert curricle.CurriculumParallelEnv.__name__ == "CurriculumParallelEnv"
