"""Guards of a curriculum: a share at least, a share at most, a ban; and what `explain` says."""

import json
import secrets
import warnings
from collections import Counter

import numpy as np
import pytest

from curricle import (
    BucketedTaskGenerator,
    Curriculum,
    EmptyTableError,
    FrontierConfig,
    LearnabilityConfig,
    LearningProgressConfig,
    MixtureConfig,
    NoiseAwareConfig,
    SingleTaskGenerator,
    TaskGenerator,
    TaskGeneratorSet,
    UniformConfig,
    compat,
)
from curricle.backends import LocalMemoryBackend
from curricle.students import NoisyChainStudent
from score_histories import shares
from session_workers import Worker, draw_in_kept, limit_in_kept, open_session
from test_backends import DictBackend

# A label that waits for its tasks.
pytestmark = pytest.mark.filterwarnings("ignore:no task has the label 'idle'")

LABELS = ["a", "a", "b", "b", "c", None]
TASKS = [{"label": label} if label else {} for label in LABELS]
LAWS = {
    "noise-aware": NoiseAwareConfig(use_shared_memory=False),
    "proportional": LearningProgressConfig(use_shared_memory=False),
    "sigmoid": LearningProgressConfig(
        use_shared_memory=False, sampling="sigmoid", z_score_amplification=1.0
    ),
    "uniform": UniformConfig(use_shared_memory=False),
    "mixture": MixtureConfig(parts=[(0.5, LearnabilityConfig())], use_shared_memory=False),
}


class Weights:
    """The same weights at each call, by task id."""

    update_every = 1

    def __init__(self, *weights):
        self._weights = np.array(weights)

    def weights(self, snapshot):
        return self._weights[snapshot["task_id"]]


# By the weights a, b and c get a fifth each, the task without a label two.
FIFTHS = Weights(1.0, 3.0, 2.0, 2.0, 4.0, 8.0)


@pytest.fixture(params=[LocalMemoryBackend, DictBackend])
def weighted(request):
    """A curriculum over the tasks with weights of one's own, and no floor."""

    def make(weights=FIFTHS):
        curriculum = Curriculum(TASKS, weights, backend=request.param(8))
        curriculum.algorithm.refresh()
        return curriculum

    return make


def label_share(curriculum, label):
    return shares(curriculum)[[at for at, own in enumerate(LABELS) if own == label]].sum()


class TestLimits:
    def test_a_least_and_a_most_share(self, weighted):
        curriculum = weighted()
        curriculum.limit_share("b", most=0.1)
        curriculum.limit_share("a", least=0.5)
        assert curriculum.share_limits() == {"a": (0.5, 1.0), "b": (0.0, 0.1)}
        assert list(curriculum.share_limits()) == ["a", "b"]
        got = [label_share(curriculum, label) for label in ("a", "b", "c", None)]
        assert got == pytest.approx([0.5, 0.1, 0.4 / 3, 0.8 / 3])
        curriculum.limit_share("a")
        curriculum.limit_share("b")
        assert curriculum.share_limits() == {}
        assert label_share(curriculum, "a") == pytest.approx(0.2)

    @pytest.mark.parametrize("config", [*LAWS.values(), FIFTHS], ids=[*LAWS, "weights"])
    def test_a_ban_under_any_law(self, config):
        backend = LocalMemoryBackend(8) if config is FIFTHS else None
        curriculum = Curriculum(TASKS, config, backend=backend)
        curriculum.ban("a")
        curriculum.ban("c")
        assert curriculum.share_limits() == {"a": (0.0, 0.0), "c": (0.0, 0.0)}
        tickets, drawn = [task.ticket for task in curriculum.draw_many(4)], []
        for turn in range(100):
            scores = [turn % 7 / 6] * len(tickets)
            _, tasks = curriculum.report_and_draw(tickets, scores, None, 4)
            tickets = [task.ticket for task in tasks]
            drawn += tasks
            drawn.append(curriculum.draw())
            drawn += curriculum.draw_many(3, replace=False)
        assert {task.task_id for task in drawn} == {2, 3, 5}
        # What was played before a ban, or is played in spite of one, counts.
        assert curriculum.report(0, 0.5) is not None
        curriculum.limit_share("a")
        assert {0, 1} < {task.task_id for task in curriculum.draw_many(500)} <= {0, 1, 2, 3, 5}

    def test_a_ban_of_everything(self, weighted):
        curriculum = weighted()
        for label in "abc":
            curriculum.ban(label)
        assert {task.task_id for task in curriculum.draw_many(50)} == {5}
        curriculum.tracker.set_task_label(5, "a")
        scheduled = curriculum.tracker.totals()["scheduled"]
        with pytest.raises(EmptyTableError, match=r"no task may be drawn.*banned"):
            curriculum.draw()
        assert shares(curriculum).tolist() == [0.0] * 6
        assert curriculum.tracker.totals()["scheduled"] == scheduled

    def test_a_curriculum_of_the_drop_in_face(self):
        generator = BucketedTaskGenerator.Config(
            base={}, buckets={"size": [1, 2, 3, 4]}, label="only"
        )
        config = compat.CurriculumConfig(
            task_generator=generator,
            num_active_tasks=4,
            algorithm_config=compat.LearningProgressConfig(use_shared_memory=False),
        )
        curriculum = compat.Curriculum(config)
        tracker = curriculum._algorithm.task_tracker
        tracker.limit_share("only", most=0.0)
        with pytest.raises(EmptyTableError, match="banned"):
            curriculum.get_task()

    @pytest.mark.parametrize(
        ("call", "error", "said"),
        [
            (lambda c: c.limit_share("a", True), TypeError, "least is True"),
            (lambda c: c.limit_share("a", most="0.5"), TypeError, "most is '0.5'"),
            (lambda c: c.limit_share("a", float("nan")), ValueError, "least is nan"),
            (lambda c: c.limit_share("a", 0.0, 1.5), ValueError, r"most is 1.5.*\[0, 1\]"),
            (lambda c: c.limit_share("a", 0.6, 0.5), ValueError, r"0.6.*0.5"),
            (lambda c: c.limit_share("c", 0.9), ValueError, r"add up to 1.1"),
            (lambda c: c.ban(None), TypeError, "label is None"),
            (lambda c: c.ban(3), TypeError, "label is 3"),
            (lambda c: c.ban(""), ValueError, "1 to 120 bytes"),
        ],
    )
    def test_what_is_refused_changes_nothing(self, weighted, call, error, said):
        curriculum = weighted()
        curriculum.limit_share("b", 0.2, 0.3)
        before = shares(curriculum).tolist()
        with pytest.raises(error, match=said):
            call(curriculum)
        assert curriculum.share_limits() == {"b": (0.2, 0.3)}
        assert shares(curriculum).tolist() == before


NONE, BAN, OTHERS = "none", "ban of its label", "shares of other labels"
LEAST, MOST = "minimum share of its label", "maximum share of its label"


class TestExplain:
    @pytest.mark.parametrize(
        ("limits", "guards", "factors"),
        [
            ({}, [NONE] * 4, [1.0] * 4),
            ({"a": (0.1, 0.3)}, [NONE] * 4, [1.0] * 4),
            ({"a": (0.2, 1.0), "b": (0.0, 0.2)}, [NONE] * 4, [1.0] * 4),
            ({"a": (0.5, 1.0)}, [LEAST, OTHERS, OTHERS, OTHERS], [2.5, 0.625, 0.625, 0.625]),
            ({"a": (0.0, 0.1)}, [MOST, OTHERS, OTHERS, OTHERS], [0.5, 1.125, 1.125, 1.125]),
            ({"a": (0.0, 0.0)}, [BAN, OTHERS, OTHERS, OTHERS], [0.0, 1.25, 1.25, 1.25]),
            # Within its limits, and scaled like the others; at them, and held there.
            ({"a": (0.6, 1.0), "b": (0.05, 1.0)}, [LEAST, OTHERS, OTHERS, OTHERS], [3] + [0.5] * 3),
            (
                {"a": (0.6, 1.0), "b": (0.2, 1.0)},
                [LEAST, LEAST, OTHERS, OTHERS],
                [3, 1] + [1 / 3] * 2,
            ),
            ({"a": (0.0, 0.0), "b": (0.0, 0.2)}, [BAN, MOST, OTHERS, OTHERS], [0, 1] + [4 / 3] * 2),
            ({"a": (0.5, 0.5)}, [LEAST, OTHERS, OTHERS, OTHERS], [2.5] + [0.625] * 3),
            ({"a": (0.1, 0.1)}, [MOST, OTHERS, OTHERS, OTHERS], [0.5] + [1.125] * 3),
            ({"a": (0.6, 1.0), "b": (0.4, 1.0)}, [LEAST, LEAST, OTHERS, OTHERS], [3, 2, 0, 0]),
            ({"idle": (0.5, 1.0)}, [NONE] * 4, [1.0] * 4),
        ],
    )
    def test_which_guard_and_how_much(self, weighted, limits, guards, factors):
        curriculum = weighted()
        by_law = [curriculum.explain(task_id) for task_id in range(6)]
        for label, pair in limits.items():
            curriculum.limit_share(label, *pair)
        told = [curriculum.explain(task_id) for task_id in range(6)]
        order = ["a", "b", "c", None]
        for task_id, (before, after) in enumerate(zip(by_law, told, strict=True)):
            at = order.index(LABELS[task_id])
            assert after["guard"] == guards[at]
            assert after["guard_factor"] == pytest.approx(factors[at], abs=1e-8)
            assert after["share_limits"] == limits.get(LABELS[task_id], (0.0, 1.0))
            assert after["probability"] == shares(curriculum)[task_id]
            # The law's own part is what it was.
            assert after["share"] == pytest.approx(before["share"], rel=1e-6)
            assert_it_adds_up(after)

    @pytest.mark.parametrize("config", LAWS.values(), ids=LAWS)
    def test_it_adds_up_under_any_law(self, config):
        curriculum = Curriculum(TASKS, config)
        curriculum.report([0, 0, 0, 0, 2, 2, 2, 4], [0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.5])
        by_law = [curriculum.explain(task_id) for task_id in range(6)]
        curriculum.limit_share("a", least=0.9)
        curriculum.limit_share("b", most=0.01)
        curriculum.ban("c")
        told = [curriculum.explain(task_id) for task_id in range(6)]
        assert [part["guard"] for part in told] == [LEAST, LEAST, MOST, MOST, BAN, OTHERS]
        assert sum(part["probability"] for part in told) == pytest.approx(1.0)
        for before, after in zip(by_law, told, strict=True):
            assert_it_adds_up(after)
            assert after["share"] == pytest.approx(before["share"], rel=1e-6)
            assert after["uniform_part"] == before["uniform_part"]

    def test_all_labels_at_their_most(self, weighted):
        curriculum = weighted()
        curriculum.tracker.set_task_label(5, "c")
        for label in "abc":
            curriculum.limit_share(label, most=0.1)
        told = [curriculum.explain(task_id) for task_id in range(6)]
        assert [part["guard"] for part in told] == [MOST] * 6
        assert label_share(curriculum, "a") == pytest.approx(1 / 3)

    def test_a_label_that_the_law_alone_never_draws(self, weighted):
        curriculum = weighted(Weights(0.0, 0.0, 1.0, 1.0, 0.0, 1.0))
        curriculum.limit_share("a", least=0.4)
        curriculum.ban("c")
        told = curriculum.explain(0)
        assert (told["guard"], told["guard_factor"], told["share"]) == (LEAST, float("inf"), 0.0)
        assert told["probability"] == pytest.approx(0.2)
        banned = curriculum.explain(4)
        assert (banned["guard"], banned["guard_factor"], banned["share"]) == (BAN, 0.0, 0.0)
        curriculum.limit_share("a", least=0.0, most=0.4)
        curriculum.limit_share("b", most=0.5)
        told = curriculum.explain(0)
        assert (told["guard"], told["guard_factor"], told["probability"]) == (NONE, 1.0, 0.0)
        assert_it_adds_up(told)


def assert_it_adds_up(told):
    """The identity that `Curriculum.explain` promises."""
    by_law = (1.0 - told["floor"]) * told["share"] + told["uniform_part"]
    assert told["probability"] == pytest.approx(told["guard_factor"] * by_law, abs=1e-12)


class TestLoad:
    @pytest.fixture(params=["local", "shared", "dict"])
    def make(self, request):
        """Makes curricula over backends of one kind, of so many tasks, and closes them."""
        made = []

        def make_one(size=6):
            options = {
                "local": lambda: {"config": UniformConfig(use_shared_memory=False)},
                "shared": lambda: {"config": UniformConfig()},
                "dict": lambda: {"config": UniformConfig(), "backend": DictBackend(8)},
            }[request.param]()
            made.append(Curriculum(TASKS[:size], **options))
            return made[-1]

        yield make_one
        for curriculum in made:
            curriculum.close()

    @pytest.mark.parametrize("size", [6, 3])
    def test_a_session_without_limits_gets_those_of_the_checkpoint(self, make, tmp_path, size):
        saved = make(size)
        saved.limit_share("a", 0.25, 0.5)
        saved.ban("idle")
        saved.save(str(tmp_path / "run"))
        curriculum = make()
        curriculum.load(str(tmp_path / "run"))
        assert curriculum.share_limits() == {"a": (0.25, 0.5), "idle": (0.0, 0.0)}

    @pytest.mark.parametrize("size", [6, 3])
    def test_limits_of_the_session_stay_as_they_are(self, make, tmp_path, size):
        saved = make(size)
        saved.report(0, 0.75)
        saved.limit_share("a", 0.75)
        saved.ban("idle")
        saved.save(str(tmp_path / "run"))
        curriculum = make()
        curriculum.limit_share("b", 0.5)
        curriculum.load(str(tmp_path / "run"))
        assert curriculum.share_limits() == {"b": (0.5, 1.0)}
        assert label_share(curriculum, "b") == pytest.approx(0.5)
        assert curriculum.tracker.get_task_stats(0)["last_score"] == 0.75
        assert len(curriculum.tracker) == 6

    def test_a_refused_checkpoint_leaves_them(self, make, tmp_path):
        saved = make()
        saved.ban("a")
        saved.save(str(tmp_path / "run"))
        curriculum = make(3)
        curriculum.limit_share("b", 0.5)
        with pytest.raises(ValueError, match="3 tasks beyond"):
            curriculum.load(str(tmp_path / "run"))
        assert curriculum.share_limits() == {"b": (0.5, 1.0)}

    def test_a_state_dict_has_none_and_takes_none_off(self, make):
        curriculum = make()
        curriculum.limit_share("a", 0.5)
        state = json.loads(json.dumps(curriculum.tracker.get_state()))
        curriculum.limit_share("b", most=0.125)
        curriculum.tracker.load_state(state)
        assert curriculum.share_limits() == {"a": (0.5, 1.0), "b": (0.0, 0.125)}


def test_another_process_follows_at_its_next_draw():
    name = f"test-{secrets.token_hex(8)}"
    with Curriculum(TASKS, UniformConfig(), session=name) as curriculum:
        worker = Worker(method="spawn")
        worker.ask(open_session, name=name, mode="attach")
        assert set(worker.ask(draw_in_kept, 200)) == set(range(6))
        curriculum.ban("a")
        assert set(worker.ask(draw_in_kept, 200)) == {2, 3, 4, 5}
        worker.ask(limit_in_kept, "b", 0.0, 0.0)
        assert curriculum.share_limits() == {"a": (0.0, 0.0), "b": (0.0, 0.0)}
        assert {task.task_id for task in curriculum.draw_many(200)} == {4, 5}
        worker.ask(limit_in_kept, "a", 0.0, 1.0)
        assert {task.task_id for task in curriculum.draw_many(200)} == {0, 1, 4, 5}
        assert worker.end() == 0


def share_of_the_mastered(least, *, seed=4):
    """Share of the draws of a chain's first tasks, from their mastery to that of all tasks."""
    student = NoisyChainStudent(chain=15, impossible=0, coins=0, solved=0, seed=seed)
    tasks = [{"label": "first" if place < 5 else "later"} for place in range(15)]
    config = NoiseAwareConfig(use_shared_memory=False, score_range=(0.0, 1.0))
    drawn = Counter()
    with Curriculum(tasks, config, seed=seed) as curriculum:

        def play():
            task = curriculum.draw()
            curriculum.report(task.ticket, *student.play(task.task_id))
            return task.get_label()

        while student.mastered() < 5:
            play()
        curriculum.limit_share("first", least)
        while student.mastered() < 15:
            drawn[play()] += 1
    return drawn["first"] / drawn.total()


def test_a_mastered_label_keeps_its_share_while_others_are_learned():
    assert share_of_the_mastered(0.0) < 0.15
    assert share_of_the_mastered(0.3) == pytest.approx(0.3, abs=0.03)


class TestEvictingPools:
    def play(self, config, limits, pool_size=40, episodes=3_000):
        """A curriculum of two labels, half of the ids each, after some episodes."""
        kinds = [SingleTaskGenerator.Config(env={}, label=label) for label in ("a", "b")]
        generator = TaskGeneratorSet.Config(generators=kinds, weights=[1.0, 1.0]).create()
        curriculum = Curriculum(generator, config, pool_size=pool_size, seed=0)
        for label, (least, most) in limits.items():
            curriculum.limit_share(label, least, most)
        rng = np.random.default_rng(0)
        drawn = []
        for _ in range(episodes):
            task = curriculum.draw()
            drawn.append(task.get_label())
            curriculum.report(task.ticket, float(rng.random() < 0.5))
        totals = curriculum.label_totals()
        return curriculum, drawn, {label: totals[label]["tasks"] for label in totals}

    @pytest.mark.parametrize("kind", [NoiseAwareConfig, LearningProgressConfig])
    def test_a_banned_label_leaves_the_pool(self, kind):
        config = kind(use_shared_memory=False, score_range=(0.0, 1.0))
        curriculum, drawn, tasks = self.play(config, {"b": (0.0, 0.0)})
        with curriculum:
            assert set(drawn) == {"a"}
            assert tasks["b"] == 0
            assert tasks["a"] == len(curriculum.tracker.get_all_tracked_tasks()) == 40
            assert curriculum.tracker.totals()["evicted"] > 40

    def test_a_most_share_of_the_draws_is_one_of_the_pool(self):
        config = NoiseAwareConfig(use_shared_memory=False, score_range=(0.0, 1.0))
        curriculum, drawn, tasks = self.play(config, {"b": (0.0, 0.2)})
        with curriculum:
            assert tasks["b"] <= 0.2 * 40
            assert drawn[1_000:].count("b") <= 0.23 * 2_000

    def test_the_last_task_of_a_least_share_stays(self):
        # Always solved, so that it would be the first to go.
        class Rare(TaskGenerator):
            def get_task(self, task_id):
                return {"label": "common" if task_id % 20 else "rare"}

        config = NoiseAwareConfig(use_shared_memory=False, score_range=(0.0, 1.0))
        rng = np.random.default_rng(0)
        with Curriculum(Rare(), config, pool_size=40, seed=1) as curriculum:
            curriculum.limit_share("rare", least=0.3)
            seen = []
            for _ in range(4_000):
                task = curriculum.draw()
                seen.append(task.get_label())
                score = 1.0 if seen[-1] == "rare" else float(rng.random() < 0.5)
                curriculum.report(task.ticket, score)
            assert curriculum.tracker.totals()["evicted"] > 40
            assert curriculum.label_totals()["rare"]["tasks"] >= 1
        assert abs(seen.count("rare") / len(seen) - 0.3) < 0.03


def test_a_label_that_no_task_has_is_told():
    with Curriculum({"walk": 1, "swim": 2}, UniformConfig(use_shared_memory=False)) as curriculum:
        with pytest.warns(RuntimeWarning, match="no task has the label 'swmi'.*mean 'swim'"):
            curriculum.ban("swmi")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            curriculum.limit_share("swmi")  # off again
            curriculum.ban("swim")


def test_explain_names_what_else_there_is_of_a_task():
    pytest.importorskip("scipy")
    config = FrontierConfig(parameters=[1.0, 2.0], use_shared_memory=False)
    with Curriculum(2, config) as curriculum:
        for _ in range(5):
            curriculum.report(1, 0.0)
        curriculum.draw()
        why = curriculum.explain(1)
    assert why["success_rate_ema"] == 0.0
    assert set(why["columns"]) == {"retry", "tries", "seen"}
    assert why["weight"] == pytest.approx(1e-6 + why["columns"]["retry"], abs=2e-9)
    assert why["weight_from"].endswith("column retry")
