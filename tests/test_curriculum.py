"""The curriculum in one process."""

import collections
import pickle
import re
import secrets

import numpy as np
import pytest

from curricle import list_sessions, remove_session
from curricle.algorithms import LearningProgressAlgorithm, UniformAlgorithm
from curricle.backends import LocalMemoryBackend
from curricle.config import LearningProgressConfig, UniformConfig
from curricle.curriculum import Curriculum
from curricle.errors import EmptyTableError, UnknownTaskError
from curricle.generators import BucketedTaskGenerator, SingleTaskGenerator, Span, TaskGeneratorSet
from curricle.tasks import CurriculumTask


def local(**fields):
    return LearningProgressConfig(use_shared_memory=False, **fields)


@pytest.fixture
def generator():
    easy = BucketedTaskGenerator.Config(
        base={"size": 0}, buckets={"size": [Span(1, 5)]}, label="easy"
    )
    hard = BucketedTaskGenerator.Config(
        base={"size": 0}, buckets={"size": [Span(6, 9)]}, label="hard"
    )
    return TaskGeneratorSet.Config(generators=[easy, hard]).create()


class TestTasks:
    def test_a_number(self):
        curriculum = Curriculum(5, local())
        assert curriculum.pool_size == 5
        task = curriculum.draw()
        assert task.env_cfg == task.task_id
        assert task.ticket.task_id == task.task_id

    def test_a_sequence_with_labels(self):
        curriculum = Curriculum([{"label": "a"}, {"label": "b"}, {}], local())
        assert {label: t["tasks"] for label, t in curriculum.label_totals().items()} == {
            "a": 1,
            "b": 1,
        }
        assert curriculum.task(1).env_cfg == {"label": "b"}

    def test_a_dict(self):
        curriculum = Curriculum({"easy": 3, "hard": 9}, local())
        drawn = {task.get_label(): task.env_cfg for task in curriculum.draw_many(50)}
        assert drawn == {"easy": 3, "hard": 9}

    def test_more_labels_than_the_default_table_has(self):
        curriculum = Curriculum({f"label-{i}": i for i in range(600)}, local())
        assert len(curriculum.label_totals()) == 600

    def test_a_generator(self, generator):
        curriculum = Curriculum(generator, local(), pool_size=20, seed=3)
        ids = curriculum.tracker.get_all_tracked_tasks()
        assert len(set(ids)) == 20
        task = curriculum.draw()
        assert task.env_cfg == generator.get_task(task.task_id)
        assert task.slice_values == generator.task(task.task_id).slice_values
        again = Curriculum(generator, local(), pool_size=20, seed=3)
        assert again.tracker.get_all_tracked_tasks() == ids
        other = Curriculum(generator, local(), pool_size=20, seed=4)
        assert other.tracker.get_all_tracked_tasks() != ids

    def test_a_pool_as_large_as_the_ids(self, generator):
        curriculum = Curriculum(generator, local(), pool_size=50, max_task_id=50)
        assert sorted(curriculum.tracker.get_all_tracked_tasks()) == list(range(50))

    def test_an_unknown_task(self):
        with pytest.raises(UnknownTaskError, match="0 to 4"):
            Curriculum(5, local()).task(5)

    def test_a_task_out_of_a_draw_has_no_ticket(self):
        curriculum = Curriculum(5, local())
        assert isinstance(curriculum.task(2), CurriculumTask)
        assert curriculum.task(2).ticket is None
        assert curriculum.metrics()["env_curriculum/num_scheduled"] == 0.0

    def test_more_tasks_than_a_process_keeps(self):
        curriculum = Curriculum(5000, local())
        assert [curriculum.task(i).env_cfg for i in range(5000)] == list(range(5000))


class TestNumbersThatDisagree:
    def test_pool_sizes(self, generator):
        with pytest.raises(ValueError, match=r"pool_size is 5 but num_active_tasks is 6"):
            Curriculum(generator, local(num_active_tasks=6), pool_size=5)
        with pytest.raises(ValueError, match=r"the number of tasks is 10 but pool_size is 5"):
            Curriculum(10, local(), pool_size=5)
        assert (
            Curriculum(10, LearningProgressConfig.default(use_shared_memory=False)).pool_size == 10
        )

    def test_a_pool_beyond_capacity(self, generator):
        with pytest.raises(ValueError, match=r"max_memory_tasks=5"):
            Curriculum(10, local(max_memory_tasks=5))

    def test_a_pool_beyond_the_ids(self, generator):
        with pytest.raises(ValueError, match="max_task_id=10"):
            Curriculum(generator, local(), pool_size=11, max_task_id=10)

    def test_sessions(self, tmp_path):
        with pytest.raises(ValueError, match=r"'b'.*'a'"):
            Curriculum(3, LearningProgressConfig(session_id="a"), session="b")
        with pytest.raises(ValueError, match="path"):
            Curriculum(3, session="b", path=str(tmp_path / "x"))
        with pytest.raises(ValueError, match="use_shared_memory=False"):
            Curriculum(3, local(), session="b")
        with pytest.raises(ValueError, match="backend"):
            Curriculum(3, local(), session="b", backend=LocalMemoryBackend(3))

    def test_rules_of_a_backend(self):
        backend = LocalMemoryBackend(1000, rules=local(rand_task_rate=0.5).rules())
        with pytest.raises(ValueError, match="floor"):
            Curriculum(3, local(), backend=backend)
        assert Curriculum(3, local(rand_task_rate=0.5), backend=backend).draw().ticket is not None

    @pytest.mark.parametrize("config", [3, "text", object()])
    def test_no_config_at_all(self, config):
        with pytest.raises(TypeError, match="config"):
            Curriculum(3, config)


class TestReports:
    def test_a_ticket(self):
        curriculum = Curriculum(1, local(min_samples_for_lp=0))
        assert curriculum.report(curriculum.draw().ticket, 0.0, 4) == 0.0
        assert curriculum.report(curriculum.draw().ticket, 1.0) >= 0.0
        assert curriculum.tracker.get_task_stats(0)["completion_count"] == 2
        assert curriculum.tracker.totals()["env_steps"] == 4

    def test_an_id(self):
        curriculum = Curriculum(2, local())
        assert curriculum.report(1, 0.5, 3) == 0.0
        assert curriculum.report(np.int64(1), 0.5) == 0.0
        assert curriculum.report(7, 0.5) is None
        assert curriculum.tracker.get_all_tracked_tasks() == [0, 1]

    def test_sequences(self):
        curriculum = Curriculum(3, local())
        tickets = [task.ticket for task in curriculum.draw_many(4)]
        assert curriculum.report(tickets, [0.0, 0.5, 1.0, 0.5], [1, 2, 3, 4]).shape == (4,)
        progress = curriculum.report(np.array([0, 9, 2]), np.array([0.5, 0.5, 0.5]))
        assert np.isnan(progress).tolist() == [False, True, False]
        assert curriculum.report([], []).shape == (0,)
        assert curriculum.metrics()["env_curriculum/num_completed"] == 6.0

    def test_what_is_refused_is_not_written(self):
        curriculum = Curriculum(3, local())
        ticket = curriculum.draw().ticket
        for ids, scores in ((ticket, float("nan")), ([0, 1], [0.5]), ([0, 1], [0.5, 2e9])):
            with pytest.raises(ValueError, match="score"):
                curriculum.report(ids, scores)
        assert curriculum.metrics()["env_curriculum/num_completed"] == 0.0

    def test_a_late_ticket(self, generator):
        curriculum = Curriculum(generator, local(), pool_size=4)
        ticket = curriculum.draw().ticket
        curriculum.tracker.remove_task(ticket.task_id)
        assert curriculum.report(ticket, 0.5) is None
        assert curriculum.metrics()["env_curriculum/late_reports"] == 1.0


class TestEviction:
    def test_a_fixed_set_never_evicts(self):
        curriculum = Curriculum(4, local())
        for _ in range(500):
            curriculum.report(curriculum.draw().ticket, 0.5)
        assert curriculum.metrics()["env_curriculum/num_evicted"] == 0.0

    def test_a_generators_pool_is_renewed(self, generator):
        curriculum = Curriculum(generator, local(), pool_size=8)
        first = set(curriculum.tracker.get_all_tracked_tasks())
        for _ in range(500):
            curriculum.report(curriculum.draw().ticket, 0.5)
        metrics = curriculum.metrics()
        assert metrics["env_curriculum/num_tasks"] == 8.0
        assert metrics["env_curriculum/num_evicted"] > 8.0
        assert metrics["env_curriculum/num_created"] == 8.0 + metrics["env_curriculum/num_evicted"]
        assert metrics["env_curriculum/num_completed"] == 500.0
        assert not first & set(curriculum.tracker.get_all_tracked_tasks())
        evictions = [metrics[f"env_curriculum/per_label_evictions/{x}"] for x in ("easy", "hard")]
        assert sum(evictions) == metrics["env_curriculum/num_evicted"]

    def test_nobody_goes_before_its_progress_is_known(self, generator):
        curriculum = Curriculum(generator, local(min_samples_for_lp=12), pool_size=4)
        counts = collections.Counter()
        for _ in range(400):
            task = curriculum.draw()
            counts[task.task_id] += 1
            curriculum.report(task.ticket, 0.5)
        live = set(curriculum.tracker.get_all_tracked_tasks())
        evicted = {task_id: n for task_id, n in counts.items() if task_id not in live}
        assert evicted
        assert min(evicted.values()) >= 12

    def test_a_task_that_progresses_stays(self, generator):
        curriculum = Curriculum(generator, local(), pool_size=8)
        learner = curriculum.tracker.get_all_tracked_tasks()[0]
        for step in range(2000):
            task = curriculum.draw()
            score = step / 2000 if task.task_id == learner else 0.0
            curriculum.report(task.ticket, score)
        assert learner in curriculum.tracker

    def test_where_all_ids_are_in_the_pool_nobody_goes(self, generator):
        curriculum = Curriculum(generator, local(), pool_size=4, max_task_id=4)
        for _ in range(200):
            curriculum.report(curriculum.draw().ticket, 0.5)
        assert sorted(curriculum.tracker.get_all_tracked_tasks()) == [0, 1, 2, 3]

    def test_a_pool_that_is_too_large_shrinks(self, generator):
        curriculum = Curriculum(generator, local(), pool_size=4)
        curriculum.tracker.track_task_creation(5)
        for _ in range(200):
            curriculum.report(curriculum.draw().ticket, 0.5)
        assert len(curriculum.tracker) == 4


class TestAlgorithms:
    def test_learning_progress(self):
        algorithm = LearningProgressAlgorithm(3, local(min_samples_for_lp=2))
        for task_id in range(3):
            algorithm.on_task_created(CurriculumTask(task_id, {"label": "a"}))
        for score in (0.0, 1.0, 1.0):
            algorithm.update_task_performance(1, score)
            algorithm.update_task_performance(2, 0.5)
        assert algorithm.get_learning_progress_score(1) > algorithm.get_learning_progress_score(2)
        assert algorithm.get_learning_progress_score(9) == 0.0
        scores = algorithm.score_tasks([0, 1, 2, 9])
        assert scores[9] == 0.0
        assert sum(scores.values()) == pytest.approx(1.0)
        assert algorithm.recommend_eviction([0, 1, 2], min_presentations=3) == 2
        assert algorithm.recommend_eviction(min_presentations=3) == 2
        assert algorithm.recommend_eviction([0, 1], min_presentations=3) is None
        assert algorithm.should_evict_task(2, min_presentations=3)
        assert not algorithm.should_evict_task(1, min_presentations=3)
        assert algorithm.recommend_eviction() is None
        assert algorithm.choose().task_id in {0, 1, 2}
        algorithm.on_task_sampled(1)
        algorithm.on_task_evicted(2)
        stats = algorithm.stats("lp/")
        assert (stats["lp/tasks"], stats["lp/completions"], stats["lp/evicted"]) == (2.0, 6.0, 1.0)

    def test_uniform(self):
        config = UniformConfig(use_shared_memory=False)
        curriculum = Curriculum(4, config)
        assert isinstance(curriculum.algorithm, UniformAlgorithm)
        for score in (0.0, 1.0, 1.0):
            curriculum.report(2, score)
        assert curriculum.probabilities()[1].tolist() == [0.25] * 4
        assert curriculum.metrics()["env_curriculum/mean_lp"] >= 0.0

    def test_a_pool_without_tasks(self):
        with pytest.raises(EmptyTableError):
            LearningProgressAlgorithm(3, local()).choose()

    @pytest.mark.parametrize("n", [0, -1])
    def test_too_few_tasks(self, n):
        with pytest.raises(ValueError, match=f"num_tasks={n}"):
            LearningProgressAlgorithm(n, local())


class Odd:
    """Draws odd tasks; counts how often it is asked."""

    update_every = 10

    def __init__(self):
        self.asked = 0

    def weights(self, snapshot):
        self.asked += 1
        return snapshot["task_id"] % 2


class Returns:
    def __init__(self, weights):
        self._weights = np.array(weights)

    def weights(self, snapshot):
        return self._weights


class TestOwnAlgorithm:
    def test_draws_follow_its_weights(self):
        odd = Odd()
        curriculum = Curriculum(6, odd)
        for _ in range(100):
            task = curriculum.draw()
            assert task.task_id % 2
            curriculum.report(task.ticket, 0.5)
        assert odd.asked == 10
        assert curriculum.explain(1)["weight_from"] == "set by the caller"
        curriculum.close()

    @pytest.mark.parametrize(
        ("weights", "said"),
        [
            ([1.0, 1.0], r"shape \(2,\), not \(3,\)"),
            ([1.0, -1.0, 1.0], "has -1.0"),
            ([1.0, float("nan"), 1.0], "has nan"),
        ],
    )
    def test_weights_that_cannot_be(self, weights, said):
        curriculum = Curriculum(3, Returns(weights))
        with pytest.raises(ValueError, match=said):
            curriculum.draw()
        curriculum.close()


class TestViews:
    def test_metrics_are_floats_of_the_whole_session(self):
        curriculum = Curriculum({"a": 1, "b": 2}, local())
        curriculum.report([0, 0, 1], [0.0, 1.0, 0.25])
        curriculum.draw()
        metrics = curriculum.metrics()
        assert all(type(value) is float for value in metrics.values())
        assert metrics["env_curriculum/num_tasks"] == 2.0
        assert metrics["env_curriculum/num_completed"] == 3.0
        assert metrics["env_curriculum/num_scheduled"] == 1.0
        assert metrics["env_curriculum/mean_score"] == pytest.approx(1.25 / 3)
        assert metrics["env_curriculum/per_label_completion_counts/a"] == 2.0
        assert metrics["env_curriculum/per_label_rewards/a"] == 0.5
        assert metrics["env_curriculum/per_label_evictions/b"] == 0.0
        samples = [metrics[f"env_curriculum/per_label_samples/{x}"] for x in "ab"]
        assert sum(samples) == 1.0
        lp = curriculum.tracker.get_task_stats(0)["lp_score"]
        assert metrics["env_curriculum/per_label_lp_scores/a"] == pytest.approx(lp, rel=1e-6)

    def test_evaluation_counts_nowhere(self):
        curriculum = Curriculum(4, local())
        before = curriculum.tracker.snapshot().tobytes()
        assert [task.task_id for task in curriculum.eval()] == [0, 1, 2, 3]
        assert [task.env_cfg for task in curriculum.eval([2, 0])] == [2, 0]
        assert all(task.ticket is None for task in curriculum.eval())
        assert curriculum.tracker.snapshot().tobytes() == before

    def test_explain_adds_up(self):
        curriculum = Curriculum(4, local(rand_task_rate=0.2, min_samples_for_lp=2))
        curriculum.report([0, 0, 1], [0.0, 1.0, 0.5])
        parts = [curriculum.explain(i) for i in range(4)]
        assert sum(part["probability"] for part in parts) == pytest.approx(1.0)
        for part in parts:
            assert part["probability"] == pytest.approx(0.8 * part["share"] + 0.05)
            assert part["num_tasks"] == 4
        assert [part["weight_from"].split()[0] for part in parts] == [
            "learning",
            "exploration",
            "exploration:",
            "exploration:",
        ]
        with pytest.raises(UnknownTaskError):
            curriculum.explain(9)

    def test_streams(self):
        curriculum = Curriculum(100, local(), seed=5)
        one, two = curriculum.stream(seed=1), curriculum.stream(seed=1)
        assert [curriculum.draw(one).task_id for _ in range(20)] == [
            curriculum.draw(two).task_id for _ in range(20)
        ]
        assert curriculum.stream().state != curriculum.stream().state
        assert curriculum.seed == 5

    def test_runs_of_one_seed_repeat(self, generator):
        def run(seed):
            curriculum = Curriculum(generator, local(), pool_size=16, seed=seed)
            drawn = []
            for _ in range(300):
                task = curriculum.draw()
                drawn.append(task.task_id)
                curriculum.report(task.ticket, task.env_cfg["size"] / 9)
            return drawn

        assert run(1) == run(1)
        assert run(1) != run(2)


class TestCheckpoints:
    def test_a_resumed_run_goes_on_as_it_would_have(self, generator, tmp_path):
        path = str(tmp_path / "run")

        def go_on(curriculum, episodes):
            drawn = []
            for _ in range(episodes):
                task = curriculum.draw()
                drawn.append(task.task_id)
                curriculum.report(task.ticket, task.env_cfg["size"] / 9)
            return drawn

        curriculum = Curriculum(generator, local(), pool_size=16, seed=7)
        go_on(curriculum, 400)
        curriculum.save(path)
        table = curriculum.tracker.snapshot()
        expected = go_on(curriculum, 400)
        resumed = Curriculum(generator, local(), pool_size=16, seed=7)
        resumed.load(path)
        assert resumed.tracker.snapshot().tobytes() == table.tobytes()
        assert go_on(resumed, 400) == expected
        assert resumed.metrics() == curriculum.metrics()

    def test_a_resumed_run_has_the_seed_of_the_saved_one(self, generator, tmp_path):
        path = str(tmp_path / "checkpoint")
        saved = Curriculum(generator, local(), pool_size=20, seed=7)
        for _ in range(100):
            saved.report(saved.draw().ticket, 0.5)
        saved.save(path)
        loaded = Curriculum(generator, local(), pool_size=20)
        loaded.load(path)
        assert loaded.seed == 7
        assert loaded.stream(5).random() == saved.stream(5).random()
        for _ in range(300):
            one, other = saved.draw(), loaded.draw()
            assert one.task_id == other.task_id
            score = one.task_id % 7 / 6
            saved.report(one.ticket, score)
            loaded.report(other.ticket, score)

    @pytest.mark.parametrize("tasks", ["fixed", "generated"])
    def test_other_rules_are_named(self, tasks, generator, tmp_path):
        path = str(tmp_path / "checkpoint")
        made = 20 if tasks == "fixed" else generator
        Curriculum(made, local(score_range=(0.0, 1.0)), pool_size=20).save(path)
        other = Curriculum(made, local(score_range=(0.0, 100.0)), pool_size=20)
        with pytest.warns(RuntimeWarning, match=r"score_range is \(0.0, 1.0\).*100.0") as said:
            other.load(path)
        assert len(said) == 1


class FailsAtFirst(SingleTaskGenerator):
    """Raises while a pool is filled."""

    broken = True

    def task(self, task_id):
        if self.broken and task_id % 5 == 0:
            raise RuntimeError("a bug in the generator")
        return super().task(task_id)


@pytest.mark.parametrize("place", ["session", "persist", "path"])
def test_a_curriculum_that_cannot_be_made_leaves_nothing(place, tmp_path):
    name = f"test-{secrets.token_hex(8)}"
    path = tmp_path / "session"
    where = {
        "session": {"session": name},
        "persist": {"session": name, "persist": True},
        "path": {"path": str(path)},
    }[place]
    generator = FailsAtFirst(SingleTaskGenerator.Config(env={"size": 1}))
    try:
        Curriculum(generator, pool_size=20, **where)
    except RuntimeError as error:
        # Kept, as a console or a debugger keeps it.
        kept = error
    assert "a bug" in str(kept)
    assert not path.exists()
    assert name not in {session["name"] for session in list_sessions()}
    generator.broken = False
    curriculum = Curriculum(generator, pool_size=30, **where)
    assert len(curriculum.tracker) == 30
    curriculum.close()
    if place == "persist":
        assert remove_session(name)


def test_as_many_labels_as_tasks():
    curriculum = Curriculum({f"task {i}": i for i in range(400)}, local())
    assert len(curriculum.label_totals()) == 400
    assert curriculum.draw().get_label().startswith("task ")
    with pytest.raises(ValueError, match=r"70000 different labels.*65536"):
        Curriculum({f"task {i}": i for i in range(70_000)}, local())
    with pytest.raises(ValueError, match=r"400 different labels.*300"):
        Curriculum({f"task {i}": i for i in range(400)}, local(max_labels=300))


def test_scores_of_tasks_that_are_gone_are_checked():
    curriculum = Curriculum(5, local(score_range=(0.0, 1.0)))
    for score, said in [(float("nan"), "nan"), (1e300, "1e300"), (5.0, "score_range")]:
        with pytest.raises(ValueError, match=re.escape(said).replace("e300", r"e\+?300")):
            curriculum.report([1, 999], [0.5, score])
    assert curriculum.tracker.totals()["completions"] == 0


def test_rounding_does_not_refuse_a_return():
    curriculum = Curriculum(2, local(score_range=(0.0, 1.0)))
    return_ = sum([0.05] * 20)
    assert return_ > 1.0
    curriculum.report(curriculum.draw().ticket, return_)
    assert curriculum.tracker.totals()["score_sum"] == pytest.approx(1.0)


def test_a_pickled_local_curriculum_is_a_copy():
    curriculum = Curriculum({"a": 1}, local())
    curriculum.report(0, 0.5)
    other = pickle.loads(pickle.dumps(curriculum))
    other.report(0, 0.5)
    assert other.draw().get_label() == "a"
    assert curriculum.metrics()["env_curriculum/num_completed"] == 1.0
    assert other.metrics()["env_curriculum/num_completed"] == 2.0


def test_a_single_generator():
    generator = SingleTaskGenerator.Config(env={"size": 3}, label="one").create()
    curriculum = Curriculum(generator, local(), pool_size=3)
    assert curriculum.draw().env_cfg == {"size": 3}
    assert curriculum.label_totals()["one"]["tasks"] == 3


def test_leaving_a_with_block_closes_the_session():
    with Curriculum(3, seed=1) as curriculum:
        name = curriculum.session
        assert name in {session["name"] for session in list_sessions()}
    assert name not in {session["name"] for session in list_sessions()}


def test_the_default_looks_for_evidence():
    with Curriculum(3, config=None) as curriculum:
        assert curriculum.explain(0)["weight_from"].startswith("exploration")
        curriculum.report([0] * 30 + [1] * 30, [0.0] * 29 + [1.0] + [0.0, 1.0] * 15)
        awakened, coin = curriculum.explain(0), curriculum.explain(1)
        assert awakened["weight_from"] == (
            "learning progress by evidence, and another try while it fails, by 0.002"
        )
        assert awakened["evidence"] > coin["evidence"]
        assert awakened["probability"] > 3 * coin["probability"]
