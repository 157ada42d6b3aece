"""The plain trackers that benches compare with must be right to be worth a comparison."""

import numpy as np
import pytest

from benches.peers import throughput
from benches.peers.managed_dict import ManagedDictPeer
from benches.peers.shared_arrays import SharedArraysPeer
from curricle import Rules, Session

TASKS = 12


@pytest.fixture(params=[SharedArraysPeer, ManagedDictPeer])
def peer(request):
    peer = request.param(TASKS)
    yield peer
    peer.close()


def test_learning_progress_is_that_of_a_session_with_the_same_rules(peer):
    # Three tasks are never played; the last score of each history differs.
    rules = Rules(score_range=(0.0, 1.0), floor=0.1, min_samples=1, exploration=0.1)
    session = Session(TASKS, rules)
    session.create_many(np.arange(TASKS))
    rng = np.random.default_rng(0)
    for task in rng.integers(0, TASKS - 3, 200).tolist():
        score = float(rng.random())
        peer.update(task, score)
        session.update(task, score)
    ids, expected = session.probabilities()
    session.close()
    np.testing.assert_allclose(peer.probabilities()[ids], expected, rtol=1e-6)


def test_draws_follow_the_probabilities(peer):
    peer.warm_up()
    peer.update(3, 1.0)
    drawn = np.bincount([peer.draw() for _ in range(1000)], minlength=TASKS)
    expected = 1000 * peer.probabilities()
    # Chi-square with 11 degrees of freedom: 45 has a chance of 5e-6.
    assert ((drawn - expected) ** 2 / expected).sum() < 45


def test_workers_play_with_every_peer():
    rows = throughput.measure(sizes=(8,), workers=(2,), rounds=1, round_seconds=0.05)
    assert {row.workers for row in rows} == {2}
    assert {row.peer for row in rows} >= {"no curriculum", "Curricle", ManagedDictPeer.name}
    assert all(row.episodes.range[0] > 0 for row in rows)
