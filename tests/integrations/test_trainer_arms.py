"""The bench of trainers with the trainers: both arms train, and episodes of one are counted."""

import math

import pytest

from benches.trainers.catalogue import TRAINERS
from benches.trainers.pairs import measure


@pytest.mark.timeout(300)  # Ray starts ten processes that import PyTorch
@pytest.mark.parametrize("name", TRAINERS)
def test_a_trainer_trains_with_and_without(name):
    failed = {}
    found = measure(failed, [name], pairs=1, turn_seconds=0.05, lead_seconds=0.0)
    if found.missing:
        pytest.skip(str(found.missing))
    assert failed == {}
    (cost,) = found.costs
    assert cost.episodes >= 10
    for figures in (cost.on, cost.off, cost.on_by_work, cost.off_by_work):
        assert 0 < figures.rounds[0] < math.inf
