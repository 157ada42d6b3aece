"""The synthetic students, each against its definition written a second time."""

import itertools
import math

import numpy as np
import pytest

from curricle.students import HypercubeStudent, NoisyChainStudent, episode_steps


class PublishedHypercube:
    """Portelas et al. 2019, section 4.1, word for word: parameters in, competence out."""

    def __init__(self, dimensions, cubes):
        self.cubes = cubes
        self.competence = np.zeros((cubes,) * dimensions)

    def episode(self, parameters):
        cube = tuple(min(int(p * self.cubes), self.cubes - 1) for p in parameters)
        before = set(itertools.product(*[(i, max(0, i - 1)) for i in cube])) - {cube}
        if not any(cube) or any(self.competence[other] >= 75 for other in before):
            self.competence[cube] = min(self.competence[cube] + 1, 100)
        return self.competence[cube] / 100

    def score(self):
        return 100 * np.mean(self.competence > 75)


class PlainChain:
    """The noisy chain by its definition, in numbers of its own instead of counts."""

    def __init__(self, chain, others):
        self.skill = [0.0] * chain
        self.others = others

    def probability(self, task):
        chain = len(self.skill)
        return self.skill[task] if task < chain else self.others[task - chain]

    def learn(self, task):
        if task < len(self.skill) and (task == 0 or self.skill[task - 1] > 0.5 + 1e-9):
            self.skill[task] = min(1.0, self.skill[task] + 0.01)


class TestHypercube:
    @pytest.mark.parametrize(("dimensions", "cubes", "useless"), [(2, 10, 0), (4, 3, 0), (2, 8, 3)])
    def test_plays_as_published(self, dimensions, cubes, useless):
        rng = np.random.default_rng(dimensions)
        ours = HypercubeStudent(dimensions, cubes, useless_dimensions=useless)
        published = PublishedHypercube(dimensions, cubes)
        tasks_a_cube = ours.num_tasks // cubes**dimensions
        for _ in range(10_000):
            # Low indices more often, so that much gets unlocked.
            index = (cubes * rng.random(dimensions) ** 2).astype(int)
            cube = int(np.ravel_multi_index(tuple(index), (cubes,) * dimensions))
            task = cube * tasks_a_cube + int(rng.integers(tasks_a_cube))
            score, _ = ours.play(task)
            assert score == published.episode((index + rng.random(dimensions)) / cubes)
        assert 100 * ours.mastered() / ours.goals == pytest.approx(published.score())
        assert published.competence.max() == 100
        assert 1 < ours.mastered() < ours.goals

    def test_is_mastered_in_76_episodes_a_cube_and_no_less(self):
        student = HypercubeStudent(2, 10)
        for cube in range(100):
            for _ in range(76):
                assert student.mastered() == cube
                student.play(cube)
        assert student.mastered() == student.goals == 100

    def test_unlocks_across_the_diagonal_and_not_around_an_edge(self):
        student = HypercubeStudent(2, 3)
        for _ in range(74):
            student.play(0)
        assert student.play(4) == (0.0, 100)
        assert student.play(0)[0] == 0.75
        unlocked = [task for task in range(9) if student.play(task)[0] > 0.0]
        assert unlocked == [0, 1, 3, 4]
        for _ in range(74):
            student.play(1)
        # Cube (0, 1) unlocks (0, 2), (1, 1) and (1, 2), but not (1, 0), which it comes after.
        for _ in range(75):
            student.play(2)
        # Cube (0, 2), at the edge, unlocks (1, 2) alone; (2, 0) has the next id but one.
        assert [student.play(task)[0] > 0.0 for task in (5, 6, 7, 8)] == [True, False, False, False]

    def test_useless_dimensions_make_more_tasks_of_the_same_cubes(self):
        assert HypercubeStudent(2, 4, useless_dimensions=1).num_tasks == 4**3
        student = HypercubeStudent(2, 10, useless_dimensions=10)
        assert (student.num_tasks, student.goals) == (1000, 100)
        for episode in range(75):
            assert student.play(episode % 10)[0] == (episode + 1) / 100
        assert student.play(19)[0] == 0.01
        assert student.play(29)[0] == 0.0

    def test_parameters_are_in_the_cube_of_the_task_and_anywhere_in_useless_dimensions(self):
        student = HypercubeStudent(2, 5, useless_dimensions=3, seed=1)
        assert student.parameters.shape == (250, 5)
        indices = (student.parameters[:, :2] * 5).astype(int)
        assert (np.ravel_multi_index(tuple(indices.T), (5, 5)) == np.arange(250) // 10).all()
        useless = student.parameters[:, 2:]
        assert 0.0 <= useless.min() < 0.05 < 0.95 < useless.max() <= 1.0

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"dimensions": 0}, r"dimensions is 0; it must be within \[1, 20\]"),
            ({"cubes": 0}, r"cubes is 0; it must be within"),
            ({"useless_dimensions": -1}, r"useless_dimensions is -1"),
            ({"dimensions": 7}, r"10000000 tasks, more than 1000000; take fewer cubes"),
        ],
    )
    def test_refuses_a_space_that_is_none(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            HypercubeStudent(**arguments)


class TestNoisyChain:
    def test_plays_as_defined(self):
        student = NoisyChainStudent(6, 2, 2, 2, coin_probability=0.3, seed=4)
        plain = PlainChain(6, [0.0, 0.0, 0.3, 0.3, 0.95, 0.95])
        rng = np.random.default_rng(0)
        excess = np.zeros(student.num_tasks)
        variance = np.zeros(student.num_tasks)
        played = np.zeros(student.num_tasks)
        for _ in range(3_000):
            task = int(rng.integers(student.num_tasks))
            chance = plain.probability(task)
            score, steps = student.play(task)
            plain.learn(task)
            assert score in (0.0, 1.0)
            assert steps == (50 if score else 100)
            excess[task] += score - chance
            variance[task] += chance * (1 - chance)
            played[task] += 1
        assert student.mastered() == sum(skill > 0.9 + 1e-9 for skill in plain.skill)
        assert 1 <= student.mastered() <= 5
        assert played.min() > 200
        # Five standard deviations of the sum of the coins that were tossed.
        assert np.all(np.abs(excess) <= 5 * np.sqrt(variance))

    def test_a_skill_is_learned_from_the_51st_episode_of_the_one_before(self):
        student = NoisyChainStudent(2, 0, 0, 0)
        for _ in range(50):
            student.play(0)
        # Locked: nothing is learned, so it never succeeds.
        assert {student.play(1)[0] for _ in range(200)} == {0.0}
        student.play(0)
        for _ in range(100):
            student.play(1)
        assert {student.play(1)[0] for _ in range(50)} == {1.0}

    def test_is_mastered_in_91_episodes_a_task_and_no_less(self):
        student = NoisyChainStudent(chain=100)
        for task in range(100):
            for _ in range(91):
                assert student.mastered() == task
                student.play(task)
        assert student.mastered() == student.goals == 100

    def test_kinds_come_in_order(self):
        student = NoisyChainStudent()
        assert student.num_tasks == 200
        kinds = {kind: student.kinds.count(kind) for kind in dict.fromkeys(student.kinds)}
        assert kinds == {"chain": 100, "impossible": 40, "coin": 40, "solved": 20}
        assert {student.play(task)[0] for task in range(100, 140) for _ in range(20)} == {0.0}

    def test_parameters_order_the_chain_and_tell_no_other_kind_from_it(self):
        student = NoisyChainStudent(seed=2)
        places = student.parameters[:, 0]
        assert student.parameters.shape == (200, 1)
        assert (np.diff(places[:100]) > 0.0).all()
        assert (places[0], places[99]) == (0.0, 0.99)
        for start, end in ((100, 140), (140, 180), (180, 200)):
            assert 0.25 < places[start:end].mean() < 0.75
            assert 0.0 <= places[start:end].min() < 0.2 < 0.8 < places[start:end].max() <= 1.0

    def test_rewards_are_scaled_shifted_and_noisy(self):
        student = NoisyChainStudent(
            1, 0, 1, 0, coin_probability=1.0, noise=0.5, scale=20.0, offset=-5.0, seed=1
        )
        scores = np.array([student.play(1)[0] for _ in range(10_000)])
        assert scores.mean() == pytest.approx(15.0, abs=5 * 10.0 / 100)
        assert scores.std() == pytest.approx(10.0, rel=0.04)
        assert student.success_threshold == 5.0

    def test_repeats_under_its_seed(self):
        def outcomes(seed):
            student = NoisyChainStudent(2, 1, 2, 1, noise=0.1, seed=seed)
            return [student.play(i % 6) for i in range(200)]

        assert outcomes(3) == outcomes(3)
        assert outcomes(3) != outcomes(4)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"chain": 0}, r"chain is 0; it must be within \[1, 1000000\]"),
            ({"impossible": -1}, r"impossible is -1"),
            ({"coins": 10**6}, r"1000160 tasks are more than 1000000; take fewer"),
            ({"coin_probability": 1.5}, r"coin_probability is 1.5; it must be within \[0, 1\]"),
            ({"solved_probability": math.nan}, r"solved_probability is nan; it must be a finite"),
            ({"noise": -0.1}, r"noise is -0.1; it must be within \[0, 10\]"),
            ({"scale": 0.0}, r"scale is 0.0; a success must score above a failure"),
            ({"offset": 1e9}, r"offset is 1000000000.0; it must be within"),
            ({"seed": -1}, r"seed is -1"),
        ],
    )
    def test_refuses_numbers_out_of_range(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            NoisyChainStudent(**arguments)


def test_a_failure_lasts_twice_as_long_as_a_success():
    assert [episode_steps(success) for success in (0.0, 0.5, 1.0)] == [100, 75, 50]
