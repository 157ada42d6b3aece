"""What callers give by mistake: the error names the argument and the limit, nothing is written."""

import gymnasium as gym
import numpy as np
import pytest

from curricle import Curriculum, CurriculumEnv, LearningProgressConfig
from curricle.backends.arrays import step_counts, vector
from curricle.tracker import TaskTracker


@pytest.fixture
def curriculum():
    config = LearningProgressConfig(use_shared_memory=False, score_range=(0.0, 1.0))
    return Curriculum(3, config, seed=1)


def completed(curriculum):
    return curriculum.metrics()["env_curriculum/num_completed"]


class TestReport:
    @pytest.mark.parametrize(
        ("scores", "steps", "said"),
        [
            ([0.5, 7.0], None, "7.*score_range"),
            ([0.5, 0.5], [3, -1], r"env_steps\[1\] is -1.*281474976710656"),
            ([0.5, 0.5], [3, 2**48 + 1], r"env_steps\[1\].*281474976710656"),
            ([0.5, 10**400], None, r"scores\[1\] is 1000.*0000.*finite"),
        ],
    )
    def test_a_batch_of_tickets_is_written_whole_or_not_at_all(
        self, curriculum, scores, steps, said
    ):
        tickets = [curriculum.draw().ticket for _ in range(2)]
        with pytest.raises(ValueError, match=said):
            curriculum.report(tickets, scores, steps)
        assert completed(curriculum) == 0.0
        assert not np.isnan(curriculum.report(tickets, [0.5, 0.5])).any()

    def test_tickets_and_ids_in_one_batch(self, curriculum):
        tickets = [task.ticket for task in curriculum.draw_many(2)]
        with pytest.raises(TypeError, match=r"tickets\[1\] is 1; give tickets only"):
            curriculum.report([tickets[0], 1], [0.5, 0.5])
        assert completed(curriculum) == 0.0

    @pytest.mark.parametrize("wrong", [True, np.True_, 1.0, None, "a"])
    def test_what_is_no_id(self, curriculum, wrong):
        with pytest.raises(TypeError, match=r"ticket or task id|ids"):
            curriculum.report(wrong, 0.5)

    def test_what_is_no_batch_of_ids(self, curriculum):
        with pytest.raises(TypeError, match=r"ids\[0\] is True"):
            curriculum.report([True], [0.5])
        with pytest.raises(ValueError, match=r"9223372036854775808.*within"):
            curriculum.report([2**63], [0.5])

    def test_a_task_in_place_of_its_ticket(self, curriculum):
        with pytest.raises(TypeError, match=r"a task; report its ticket"):
            curriculum.report(curriculum.draw(), 0.5)

    @pytest.mark.parametrize("of", ["ticket", "id"])
    @pytest.mark.parametrize(
        ("score", "steps", "error", "said"),
        [
            (10**400, 0, ValueError, r"score is 1000.*\[-1e9, 1e9\]"),
            ([0.5, 0.6], 0, TypeError, r"score is \[0.5, 0.6\].*one number"),
            ("0.5", 0, TypeError, "score is '0.5'"),
            (7.0, 0, ValueError, "score_range"),
            (0.5, -1, ValueError, r"env_steps is -1.*\[0, 281474976710656\]"),
            (0.5, 1.5, TypeError, "env_steps is 1.5"),
        ],
    )
    def test_one_report(self, curriculum, of, score, steps, error, said):
        ticket = curriculum.draw().ticket
        with pytest.raises(error, match=said):
            curriculum.report(ticket if of == "ticket" else 1, score, steps)
        assert completed(curriculum) == 0.0
        assert curriculum.report(ticket, 0.5) is not None


class TestTasks:
    def test_numpys_ids(self, curriculum):
        assert curriculum.task(np.int64(2)).task_id == 2
        assert type(curriculum.task(np.int64(2)).task_id) is int
        ids = curriculum.probabilities()[0]
        assert [task.task_id for task in curriculum.eval(ids)] == ids.tolist()

    @pytest.mark.parametrize("wrong", [True, 1.0, "1"])
    def test_what_is_no_id(self, curriculum, wrong):
        with pytest.raises(TypeError, match="task_id"):
            curriculum.task(wrong)

    def test_an_id_beyond_64_bits(self, curriculum):
        with pytest.raises(ValueError, match=r"task_id.*9223372036854775807"):
            curriculum.task(2**63)

    def test_a_bool_is_no_id_of_a_new_task(self):
        with pytest.raises(TypeError, match="task_id is True"):
            TaskTracker(4).track_task_creation(True)

    @pytest.mark.parametrize("label", ["", "x" * 121, "bad \ud800"])
    def test_a_label(self, label):
        tracker = TaskTracker(4)
        tracker.track_task_creation(1)
        for call in (
            lambda: tracker.track_task_creation(2, label=label),
            lambda: tracker.track_many([2], [label]),
            lambda: tracker.replace_task(1, 2, label=label),
            lambda: tracker.set_task_label(1, label),
        ):
            with pytest.raises(ValueError, match=r"label .*120 bytes"):
                call()
        assert tracker.get_all_tracked_tasks() == [1]

    def test_a_label_that_is_no_text(self):
        with pytest.raises(TypeError, match="label is 7"):
            TaskTracker(4).track_task_creation(1, label=7)


class TestArrays:
    def test_integers_of_any_kind(self):
        for dtype in (np.int8, np.uint32, np.uint64, object):
            made = vector(np.array([1, 2], dtype), np.int64, "ids")
            assert made.dtype == np.int64
            assert made.tolist() == [1, 2]

    def test_what_does_not_fit(self):
        with pytest.raises(TypeError, match=r"ids has dtype float64.*int64"):
            vector([1.0], np.int64, "ids")
        with pytest.raises(ValueError, match=r"ids\[1\] is 9223372036854775808.*within"):
            vector(np.array([1, 2**63], np.uint64), np.int64, "ids")
        with pytest.raises(TypeError, match=r"scores\[1\] is None"):
            vector([0.5, None], np.float64, "scores")
        with pytest.raises(ValueError, match=r"scores has shape \(\)"):
            vector(0.5, np.float64, "scores")

    def test_counts_of_steps(self):
        assert step_counts(None) is None
        assert step_counts([0, 2**48]).tolist() == [0, 2**48]
        with pytest.raises(ValueError, match=r"env_steps\[0\] is -1"):
            step_counts([-1])


class Fixed:
    def __init__(self, weights):
        self._weights = weights

    def weights(self, snapshot):
        return self._weights


@pytest.mark.parametrize(
    ("weights", "shares"),
    [
        ([5e-324, 0.0, 0.0], [1.0, 0.0, 0.0]),
        ([1.5e308, 1.5e308, 0.0], [0.5, 0.5, 0.0]),
        ([3.0, 1.0, 0.0], [0.75, 0.25, 0.0]),
        ([0.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]),
    ],
)
def test_weights_of_any_size(weights, shares):
    curriculum = Curriculum(3, Fixed(weights))
    curriculum.draw()
    assert curriculum.probabilities()[1].tolist() == pytest.approx(shares)
    curriculum.close()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"pool_size": True}, TypeError),
        ({"pool_size": "4"}, TypeError),
        ({"pool_size": 0}, ValueError),
        ({"seed": 1.5}, TypeError),
        ({"seed": -1}, ValueError),
        ({"max_task_id": 2**64}, ValueError),
    ],
)
def test_numbers_of_a_curriculum_are_named(arguments, error):
    config = LearningProgressConfig(use_shared_memory=False)
    with pytest.raises(error, match=next(iter(arguments))):
        Curriculum(3, config, **arguments)


@pytest.mark.parametrize("name", ["metrics_every", "max_metric_labels"])
@pytest.mark.parametrize("number", [2.5, True])
def test_numbers_of_an_environment_are_named(curriculum, name, number):
    with pytest.raises(TypeError, match=name):
        CurriculumEnv(gym.make("CartPole-v1"), curriculum, apply="attributes", **{name: number})
