"""Processes killed at random instants lose nothing and leave nobody stuck; see `kill_harness`."""

import pytest

from kills.harness import Harness


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_processes_killed_at_random_lose_nothing(seed):
    figures = Harness(seed).run(kills=1000, seconds=4.0)
    assert figures.torn == 0
    assert figures.reads > 0
    assert sum(figures.operations.values()) > 0
    assert figures.recoveries == figures.totals["recoveries"]
    assert figures.kills.total() > 0
