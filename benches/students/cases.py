"""The students that the algorithms are run on, and for how long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from benches.students.frozen_lake import FrozenLakeStudent
from curricle.simulate import Simulation, simulate
from curricle.simulation_config import make_config
from curricle.students import HypercubeStudent, NoisyChainStudent, Student


@dataclass(frozen=True)
class Case:
    """A student and a number of episodes.

    Attributes:
        title: what it is, in a few words.
        make: makes the student of a seed.
        episodes: number of episodes.
    """

    title: str
    make: Callable[[int], Student]
    episodes: int


# As many episodes for each skill as the authors of the hypercube have on 2D x 10.
_PER_CUBE = 200

CASES = {
    "hypercube-12k": Case("Hypercube 2D x 10", lambda seed: HypercubeStudent(2, 10), 12_000),
    "hypercube": Case("Hypercube 2D x 10", lambda seed: HypercubeStudent(2, 10), 20_000),
    "hypercube-4d": Case("Hypercube 4D x 4", lambda seed: HypercubeStudent(4, 4), _PER_CUBE * 4**4),
    "hypercube-fine": Case(
        "Hypercube 2D x 20", lambda seed: HypercubeStudent(2, 20), _PER_CUBE * 20**2
    ),
    "hypercube-useless": Case(
        "Hypercube 2D x 10, 10 useless dimensions",
        lambda seed: HypercubeStudent(2, 10, useless_dimensions=10, seed=seed),
        20_000,
    ),
    "chain": Case("Noisy chain", lambda seed: NoisyChainStudent(seed=seed), 40_000),
    "chain-rare": Case(
        "Noisy chain, coins of 0.1",
        lambda seed: NoisyChainStudent(coin_probability=0.1, seed=seed),
        40_000,
    ),
    "chain-frequent": Case(
        "Noisy chain, coins of 0.9",
        lambda seed: NoisyChainStudent(coin_probability=0.9, seed=seed),
        40_000,
    ),
    "chain-gaussian": Case(
        "Noisy chain, rewards with noise of 0.3",
        lambda seed: NoisyChainStudent(noise=0.3, seed=seed),
        40_000,
    ),
    "chain-scaled": Case(
        "Noisy chain, rewards of -50 and 150",
        lambda seed: NoisyChainStudent(scale=200.0, offset=-50.0, seed=seed),
        40_000,
    ),
    "frozen-lake": Case("Frozen lakes", FrozenLakeStudent, 10_000),
}


def run_case(
    case: str, algorithm: str, fields: Mapping[str, object], seeds: Iterable[int]
) -> list[Simulation]:
    """Simulations of a case with an algorithm and its settings, one a seed."""
    simulations = []
    for seed in seeds:
        student = CASES[case].make(seed)
        config = make_config(algorithm, student, CASES[case].episodes, fields)
        simulations.append(simulate(student, config, CASES[case].episodes, seed=seed))
    return simulations
