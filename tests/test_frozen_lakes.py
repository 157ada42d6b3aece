"""The family of frozen lakes of the student benches, and the command that runs them."""

import random

import numpy as np
import pytest
from typer.testing import CliRunner

from benches.students.__main__ import app as command
from benches.students.cases import CASES, run_case
from benches.students.frozen_lake import CONTROL, HOLES, FrozenLakeStudent
from benches.students.lakes import (
    LARGEST,
    SIZES,
    TIME_LIMIT,
    Crossings,
    blocked_lake,
    corner,
    corner_cells,
    make_env,
    make_lakes,
)
from benches.students.settings import (
    REPORTED_SEEDS,
    SETTINGS,
    TUNING_SEEDS,
)
from benches.students.tune import app as tune
from curricle import UniformConfig
from curricle.algorithms.catalogue import ALGORITHMS
from curricle.simulate import simulate
from curricle.simulation_config import make_config
from curricle.simulation_summary import summarise
from curricle.students import HypercubeStudent


def crosses(env, actions, seed):
    """Whether one episode under a policy, by cell of the env, ends at the goal."""
    place, _ = env.reset(seed=seed)
    while True:
        place, reward, terminated, truncated, _ = env.step(int(actions[place]))
        if terminated or truncated:
            return reward == 1.0


def reachable(rows):
    """Cells that can be walked to from the start."""
    seen, new = set(), {(0, 0)}
    while new:
        seen |= new
        beside = {(r + a, c + b) for r, c in new for a, b in ((1, 0), (-1, 0), (0, 1), (0, -1))}
        inside = {(r, c) for r, c in beside if 0 <= r < len(rows) and 0 <= c < len(rows)}
        new = {(r, c) for r, c in inside if rows[r][c] != "H"} - seen
    return seen


class TestLakes:
    @pytest.mark.parametrize("seed", range(3))
    def test_lakes_have_their_share_of_holes_and_a_way_from_every_start(self, seed):
        lakes = make_lakes(HOLES, np.random.default_rng(seed))
        holes = [{i for i, cell in enumerate("".join(lake)) if cell == "H"} for lake in lakes]
        assert holes[0] < holes[1] < holes[2]
        for lake, share in zip(lakes, HOLES, strict=True):
            assert "".join(lake).count("H") / LARGEST**2 == pytest.approx(share, abs=0.2)
            for size in SIZES:
                assert (size - 1, size - 1) in reachable(corner(lake, size))

    def test_nobody_gets_to_the_goal_of_the_blocked_lake(self):
        for size in SIZES:
            assert (size - 1, size - 1) not in reachable(corner(blocked_lake(), size))

    @pytest.mark.parametrize("size", SIZES)
    def test_a_corner_is_the_part_of_the_lake_at_the_goal(self, size):
        lake = make_lakes(HOLES, np.random.default_rng(1))[-1]
        whole, part = "".join(lake), "".join(corner(lake, size))
        assert (part[0], part[-1]) == ("S", "G")
        assert [whole[cell] for cell in corner_cells(size)][1:-1] == list(part[1:-1])


class TestCrossings:
    def test_the_probability_of_a_policy_is_its_frequency(self):
        env = make_env(make_lakes(HOLES, np.random.default_rng(0))[0], 4, 0.9)
        # Of 1 (down) and 2 (right); other actions hardly ever lead to the goal.
        policies = np.random.default_rng(3).integers(1, 3, size=(200, LARGEST**2))
        chances = [Crossings([env]).of_policy(actions[None])[0] for actions in policies]
        # A policy neither hopeless nor sure.
        chosen = int(np.argmin(np.abs(np.array(chances) - 0.5)))
        chance, episodes = chances[chosen], 500
        assert 0.2 < chance < 0.8
        frequency = np.mean([crosses(env, policies[chosen], seed) for seed in range(episodes)])
        assert frequency == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / episodes))

    def test_the_best_policy_is_as_good_as_value_iteration_says(self):
        lakes = make_lakes(HOLES, np.random.default_rng(2))
        envs = [make_env(lake, size, 0.9) for lake in lakes for size in (4, 8)]
        expected = []
        for env in envs:
            moves = env.unwrapped.P
            value = dict.fromkeys(moves, 0.0)
            for _ in range(TIME_LIMIT):
                value = {
                    cell: max(
                        sum(p * (reward if ends else value[to]) for p, to, reward, ends in outcomes)
                        for outcomes in actions.values()
                    )
                    for cell, actions in moves.items()
                }
            expected.append(value[0])
        assert Crossings(envs).of_best_policy() == pytest.approx(expected)
        assert min(expected) < 1.0

    def test_without_slips_every_lake_can_be_crossed_and_the_blocked_one_never(self):
        lakes = [*make_lakes(HOLES, np.random.default_rng(4)), blocked_lake()]
        best = Crossings([make_env(lake, 8, 1.0) for lake in lakes]).of_best_policy()
        assert best.tolist() == [1.0, 1.0, 1.0, 0.0]


class TestStudent:
    def test_tasks_are_all_lakes_and_sizes_and_some_are_impossible(self):
        student = FrozenLakeStudent(0, lakes=2)
        counts = {kind: student.kinds.count(kind) for kind in dict.fromkeys(student.kinds)}
        assert counts == {f"{size}x{size}": 18 for size in SIZES} | {"impossible": 30}
        assert student.num_tasks == len(student.kinds) == 120
        assert (student.goals, student.mastered()) == (90, 0)
        sizes = student.parameters[:, 0] * LARGEST
        names = [f"{size:.0f}x{size:.0f}" for size in sizes]
        assert names[: student.goals] == list(student.kinds[: student.goals])
        assert set(names[student.goals :]) == set(names)
        impossible = [task for task, kind in enumerate(student.kinds) if kind == "impossible"]
        assert {student.play(task)[0] for task in impossible for _ in range(20)} == {0.0}

    def test_masters_the_larger_lakes_after_the_smaller(self):
        student = FrozenLakeStudent(0, lakes=1)
        # The first five tasks are the sizes of one lake, without slips.
        for task in range(5):
            for _ in range(2_000):
                score, steps = student.play(task)
                assert score in (0.0, 1.0)
                assert 1 <= steps <= TIME_LIMIT
                if score and student.mastered() > task:
                    break
            assert student.mastered() == task + 1

    def test_a_mastered_lake_without_slips_is_one_that_the_greedy_policy_crosses(self):
        student = FrozenLakeStudent(1, lakes=1)
        without_slips = [
            task for task in range(student.goals) if task // len(SIZES) % len(CONTROL) == 0
        ]
        rng = random.Random(0)
        for _ in range(1_000):
            student.play(rng.choice(without_slips))
        crossed = 0
        for task in without_slips:
            values = np.array(student._tables[task])[student._cells[task]]
            crossed += crosses(student._envs[task], values.argmax(axis=1), seed=0)
        # The other tasks were never played, and the greedy policy on them stays where it is.
        assert student.mastered() == crossed
        assert 5 < crossed < len(without_slips)

    def test_repeats_under_its_seed(self):
        def outcomes(seed):
            student = FrozenLakeStudent(seed, lakes=1)
            return [student.play(task) for task in range(student.num_tasks)]

        assert outcomes(1) == outcomes(1)
        assert outcomes(1) != outcomes(2)


class TestBenches:
    def test_settings_are_of_algorithms_and_seeds_are_kept_apart(self):
        assert SETTINGS.keys() <= ALGORITHMS.keys()
        for name in ALGORITHMS:
            student = HypercubeStudent(1, 12)
            config = make_config(name, student, 300, SETTINGS.get(name, {}))
            result = simulate(student, config, 300)
            assert result.draws[-1].sum() == 300
        assert len(REPORTED_SEEDS) >= 5
        assert not set(REPORTED_SEEDS) & set(TUNING_SEEDS)

    def test_the_command_prints_tables_and_writes_pictures(self, tmp_path):
        case = CASES["hypercube-12k"]
        arguments = ["--case", "hypercube-12k", "--algorithm", "uniform", "--out", str(tmp_path)]
        done = CliRunner().invoke(command, arguments)
        assert done.exit_code == 0, done.output
        config = UniformConfig(use_shared_memory=False)
        figures = summarise(
            [simulate(case.make(s), config, case.episodes, seed=s) for s in REPORTED_SEEDS]
        )
        assert f"| uniform | {' | '.join(figures.values())} |" in done.stdout
        assert f"| uniform | {figures['mastered']} |" in done.stdout
        assert (tmp_path / "hypercube-12k.png").stat().st_size > 10_000

    def test_tuning_prints_all_combinations_and_the_best_last(self):
        arguments = ["learning-progress", "rand_task_rate=0.01,0.9", "ema_timescale=0.1,0.2"]
        done = CliRunner().invoke(tune, [*arguments, "--case", "hypercube-12k"])
        assert done.exit_code == 0, done.output
        means = [float(line.partition("%")[0]) for line in done.output.splitlines()]
        assert len(means) == 4
        assert means == sorted(means)
        best = {"rand_task_rate": 0.01, "ema_timescale": 0.2}
        runs = run_case("hypercube-12k", "learning-progress", best, TUNING_SEEDS)
        mastered = np.mean([run.mastered[-1] for run in runs])
        assert f"{mastered:.1%} {best}" in done.output
