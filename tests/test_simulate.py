"""A curriculum on a synthetic student: what is counted, and what comes out."""

import itertools
import re
import secrets
import statistics

import numpy as np
import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from curricle import LearningProgressConfig, NoiseAwareConfig, Session, UniformConfig
from curricle.algorithms.catalogue import ALGORITHMS
from curricle.cli import app
from curricle.simulate import simulate
from curricle.simulation_config import make_config
from curricle.simulation_summary import spread, summarise
from curricle.students import HypercubeStudent, NoisyChainStudent


def uniform(**fields):
    return UniformConfig(use_shared_memory=False, **fields)


class Recorder:
    """A student of two tasks; the first is mastered at its 3rd, the second at its 30th episode."""

    num_tasks = 2
    kinds = ("short", "long")
    goals = 2
    success_threshold = 0.25
    parameters = np.array([[0.0], [1.0]])

    def __init__(self):
        self.played = []

    def play(self, task_id):
        self.played.append(task_id)
        return 0.4, 7 + task_id

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


class TestSummary:
    def test_means_and_spread_are_those_of_the_seeds(self):
        values = [3.0, 4.0, 8.0]
        expected = f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}%"
        assert spread(values, "%") == expected
        assert spread([1234567]) == "1,234,567"

    def test_episodes_to_a_share_say_how_many_seeds_reached_it(self):
        long = simulate(Recorder(), uniform(), 200, every=1)
        short = simulate(Recorder(), uniform(), 20, every=1)
        neither = simulate(Recorder(), uniform(), 1, every=1)
        figures = summarise([long, short])
        both = [long.episodes_to(0.5), short.episodes_to(0.5)]
        assert figures["episodes to 50%"] == spread(both)
        assert figures["steps to 90%"] == f"{long.env_steps_to(0.9):,} (1 of 2)"
        assert summarise([neither])["episodes to 50%"] == "-"
        shares = [100 * long.shares()["short"], 100 * short.shares()["short"]]
        assert figures["draws of short (50% of tasks)"] == spread(shares, "%")


class TestConfig:
    def test_stages_are_of_equal_size_and_in_the_order_of_the_parameters(self):
        student = NoisyChainStudent(chain=30, impossible=10, coins=5, solved=5, seed=3)
        config = make_config("annealed-stages", student, 4_000, {})
        assert [len(stage) for stage in config.stages] == [5] * 10
        assert sorted(sum(config.stages, ())) == list(range(50))
        places = student.parameters[:, 0]
        for before, after in itertools.pairwise(config.stages):
            assert places[list(before)].max() <= places[list(after)].min()
        assert config.episodes_per_stage == 400
        assert make_config("mixture", student, 100, {}).floor == pytest.approx(0.1)

    def test_parameters_are_those_of_the_student(self):
        student = HypercubeStudent(2, 3)
        config = make_config("alp-gmm", student, 100, {})
        assert config.parameters == dict(enumerate(map(tuple, student.parameters.tolist())))

    def test_given_fields_come_first(self):
        student = Recorder()
        stages = ((0,), (1,))
        config = make_config("sequential-stages", student, 10, {"stages": stages})
        assert config.stages == stages
        assert make_config("uniform", student, 10, {}) == uniform()


class TestCommand:
    def invoke(self, *arguments):
        result = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"}).invoke(
            app, ["simulate", *map(str, arguments)]
        )
        # Errors come in a box; without its lines and breaks they are text.
        return result, " ".join(re.sub("[│╭╮╰╯─]", " ", result.output).split())

    @pytest.mark.parametrize("fields", [{}, {"rand_task_rate": 0.5, "ema_timescale": 0.03}])
    def test_prints_what_the_function_returns(self, fields):
        settings = [part for name in fields for part in ("--set", f"{name}={fields[name]}")]
        arguments = ["noisy-chain", "--chain", 3, "--episodes", 900, "--seeds", 2]
        result, _ = self.invoke(*arguments, *settings)
        assert result.exit_code == 0, result.output
        cells = {}
        for line in result.output.splitlines():
            if line.startswith("│"):
                name, *rest = (cell.strip() for cell in line.strip("│").split("│"))
                cells[name] = rest
        arms = [NoiseAwareConfig(use_shared_memory=False, **fields), uniform()]
        expected = [
            summarise([simulate(NoisyChainStudent(3, seed=s), arm, 900, seed=s) for s in range(2)])
            for arm in arms
        ]
        assert cells == {name: [one[name] for one in expected] for name in expected[0]}

    @pytest.mark.parametrize("value", ["score_range=[0, 1]", "sampling=sigmoid", "max_labels=null"])
    def test_settings_may_be_lists_words_and_nothing(self, value):
        arguments = ["--episodes", 100, "--seeds", 1, "--algorithm", "learning-progress"]
        result, text = self.invoke("hypercube", *arguments, "--set", value)
        assert result.exit_code == 0, text

    def test_the_baseline_alone_has_one_column(self):
        result, _ = self.invoke("hypercube", "--algorithm", "uniform", "--episodes", 100)
        assert result.exit_code == 0
        assert "noise-aware" not in result.output

    @pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
    def test_every_algorithm_can_be_tried(self, algorithm):
        arguments = ["--episodes", 300, "--seeds", 1, "--algorithm", algorithm]
        result, text = self.invoke("noisy-chain", *arguments)
        assert result.exit_code == 0, text
        assert algorithm in text

    @pytest.mark.parametrize("student", ["hypercube", "noisy-chain"])
    def test_writes_the_picture(self, student, tmp_path):
        path = tmp_path / "picture.png"
        result, text = self.invoke(student, "--episodes", 300, "--seeds", 2, "--out", path)
        assert result.exit_code == 0, text
        assert f"picture in {path}" in result.output
        assert imread(path).std() > 0.05

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--algorithm", "nope"], "'--algorithm': 'nope' is none of "),
            (["--set", "rand_task_rate"], "'rand_task_rate' has no value; write FIELD=VALUE"),
            (["--set", "rand_task_rat=0.1"], "no field 'rand_task_rat'; did you mean"),
            (["--set", "rand_task_rate=2"], "rand_task_rate=2: Input should be less than or equal"),
            (["--set", "rand_task_rate=much"], "rand_task_rate='much': Input should be a valid"),
            (
                ["--algorithm", "learning-progress", "--set", "memory=3"],
                "LearningProgressConfig.memory no longer means anything",
            ),
            (["--set", "num_active_tasks=3"], "tasks is 100 but num_active_tasks is 3"),
            (["--set", "session_id=run"], "contradicts use_shared_memory=False"),
            (["--dimensions", "9"], "1000000000 tasks, more than 1000000; take fewer cubes"),
            (["--episodes", "0"], "'--episodes'"),
            (["--seeds", "0"], "'--seeds'"),
            (["--out", "picture.txt"], "take one of .png, .pdf, .svg"),
            (["--out", "no-folder/picture.png"], "there is no folder no-folder; make it first"),
        ],
    )
    def test_bad_input_is_an_error_that_names_it(self, arguments, message):
        result, text = self.invoke("hypercube", "--episodes", 100, *arguments)
        assert result.exit_code == 2
        assert message in text

    def test_a_student_that_cannot_be_is_an_error(self):
        result, text = self.invoke("noisy-chain", "--scale", 0)
        assert result.exit_code == 2
        assert "scale is 0.0; a success must score above a failure" in text
