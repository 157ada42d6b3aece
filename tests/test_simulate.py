"""A curriculum on a synthetic student: what is counted, and what comes out."""

import secrets

import numpy as np
import pytest

from curricle import LearningProgressConfig, Session, UniformConfig
from curricle.simulate import simulate
from curricle.students import HypercubeStudent, NoisyChainStudent


def uniform(**fields):
    return UniformConfig(use_shared_memory=False, **fields)


class Recorder:
    """A student of two tasks; the first is mastered at its 3rd, the second at its 30th episode."""

    num_tasks = 2
    kinds = ("short", "long")
    goals = 2
    success_threshold = 0.25

    def __init__(self):
        self.played = []

    def play(self, task_id):
        self.played.append(task_id)
        return 0.5, 7 + task_id

    def mastered(self):
        return (self.played.count(0) >= 3) + (self.played.count(1) >= 30)


class TestCounts:
    def test_what_was_played_is_what_is_counted(self):
        student = Recorder()
        result = simulate(student, uniform(), 95, every=10)
        assert result.episodes.tolist() == [*range(0, 95, 10), 95]
        for look, episodes in enumerate(result.episodes):
            played = student.played[:episodes]
            assert result.draws[look].tolist() == [played.count(0), played.count(1)]
            assert result.env_steps[look] == sum(7 + task for task in played)
        assert result.shares() == {"short": student.played.count(0) / 95} | {
            "long": student.played.count(1) / 95
        }
        assert result.uniform_shares() == {"short": 0.5, "long": 0.5}

    def test_episodes_and_steps_to_a_share_are_those_of_the_first_look_at_it(self):
        student = Recorder()
        result = simulate(student, uniform(), 100, every=1)
        third = [i for i, task in enumerate(student.played) if task == 0][2] + 1
        thirtieth = [i for i, task in enumerate(student.played) if task == 1][29] + 1
        assert result.episodes_to(0.5) == third
        assert result.episodes_to(0.9) == result.episodes_to(1.0) == thirtieth
        assert result.env_steps_to(0.5) == sum(7 + task for task in student.played[:third])
        assert result.env_steps_to(0.99) == sum(7 + task for task in student.played[:thirtieth])
        late = simulate(Recorder(), uniform(), 100, every=40)
        assert late.episodes_to(0.5) == 40
        few = simulate(Recorder(), uniform(), 25, every=1)
        assert few.episodes_to(1.0) is None
        assert few.env_steps_to(1.0) is None

    @pytest.mark.parametrize(("threshold", "rate"), [(None, 1.0), (0.75, 0.0)])
    def test_a_student_says_what_a_success_is_unless_the_configuration_does(self, threshold, rate):
        class Spy(Recorder):
            """Looks into the session of the curriculum, while there is one."""

            def play(self, task_id):
                session = Session(name=config.session_id, mode="read-only")
                self.record = session.read(task_id)
                session.close()
                return super().play(task_id)

        fields = {} if threshold is None else {"task_default_success_threshold": threshold}
        config = UniformConfig(session_id=f"curricle-spy-{secrets.token_hex(8)}", **fields)
        student = Spy()
        simulate(student, config, 20)
        assert student.record.completion_count > 0
        assert student.record.success_rate_ema == rate

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"episodes": 0}, "episodes is 0"),
            ({"every": 0}, "every is 0"),
            ({"seed": -1}, "seed is -1"),
            ({"config": uniform(num_active_tasks=3)}, "number of tasks is 2 but num_active_tasks"),
        ],
    )
    def test_refuses_numbers_out_of_range(self, arguments, message):
        given = {"config": uniform(), "episodes": 10} | arguments
        with pytest.raises(ValueError, match=message):
            simulate(Recorder(), **given)


class TestOutcome:
    def test_a_seed_repeats(self):
        def draws(seed):
            config = LearningProgressConfig(use_shared_memory=False)
            student = NoisyChainStudent(chain=5, coins=5, seed=seed)
            return simulate(student, config, 2_000, seed=seed).draws.tolist()

        assert draws(1) == draws(1)
        assert draws(1) != draws(2)

    def test_uniform_sampling_masters_the_corner_of_the_hypercube(self):
        mastered = [
            100 * simulate(HypercubeStudent(2, 10), uniform(), 20_000, seed=seed).mastered[-1]
            for seed in range(3)
        ]
        # The authors' code with random parameters: 4.6.
        assert np.mean(mastered) == pytest.approx(4.6, abs=1.0)

    def test_uniform_sampling_masters_two_or_three_of_the_noisy_chain(self):
        result = simulate(NoisyChainStudent(), uniform(), 40_000)
        assert 2 <= 100 * result.mastered[-1] <= 3
        for kind, share in result.uniform_shares().items():
            assert result.shares()[kind] == pytest.approx(share, abs=0.02)

    def test_learning_progress_finds_what_is_learned_among_what_is_not(self):
        config = LearningProgressConfig(use_shared_memory=False)
        student = NoisyChainStudent(chain=1, impossible=20, coins=0, solved=0)
        result = simulate(student, config, 3_000)
        assert result.mastered[-1] == 1.0
        plain = simulate(NoisyChainStudent(1, 20, 0, 0), uniform(), 3_000)
        assert result.episodes_to(1.0) < plain.episodes_to(1.0)
