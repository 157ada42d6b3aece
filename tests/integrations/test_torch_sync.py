"""Syncs through ``torch.distributed`` with gloo: every node is processes with a session."""

from __future__ import annotations

import multiprocessing
import queue
import re
import signal

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from curricle import Curriculum, NoiseAwareConfig, list_sessions, remove_session  # noqa: E402
from example_runs import ROOT, run_python  # noqa: E402
from torch_nodes import (  # noqa: E402
    EPISODES,
    WORKERS,
    node_beside_one_that_dies,
    node_in_parts,
    node_of_other_settings,
    node_of_several_groups,
    node_with_workers,
)


@pytest.fixture(scope="module")
def context():
    context = multiprocessing.get_context("forkserver")
    # Imported once, for all nodes.
    context.set_forkserver_preload(["torch_nodes"])
    return context


class Nodes:
    """Processes, and what they answer."""

    def __init__(self, context):
        self.context, self.answers, self.processes = context, context.Queue(), []

    def start(self, target, *arguments, **options):
        process = self.context.Process(target=target, args=arguments, kwargs=options)
        process.start()
        self.processes.append(process)
        return process

    def results(self, n):
        """Those of ``n`` nodes, in the order of their numbers."""
        results = {}
        while len(results) < n:
            try:
                rank, result = self.answers.get(timeout=1.0)
                results[rank] = result
            except queue.Empty:
                failed = [p.exitcode for p in self.processes if p.exitcode not in (None, 0, -9)]
                assert not failed, failed
        for process in self.processes:
            process.join()
        return [results[rank] for rank in sorted(results)]


@pytest.fixture
def nodes(context):
    nodes = Nodes(context)
    yield nodes
    for process in nodes.processes:
        process.kill()
        process.join()
    for facts in list_sessions():
        if facts["live"] is False and facts["name"].startswith("test-torch"):
            remove_session(facts["name"])


def one_digest(results):
    digests = {result["digest"] for result in results}
    assert digests == {results[0]["synced"].digest}
    return digests


@pytest.mark.parametrize("world", [2, 4, 8])
def test_nodes_with_workers_end_in_equal_tables(nodes, tmp_path, world):
    store = str(tmp_path / f"store{world}")
    for rank in range(world):
        nodes.start(node_with_workers, store, rank, world, nodes.answers)
    results = nodes.results(world)
    one_digest(results)
    expected = world * WORKERS * EPISODES
    assert [result["completions"] for result in results] == [expected] * world
    assert [result["env_steps"] for result in results] == [2 * expected] * world
    assert [result["synced"].number for result in results] == [4] * world


def test_a_killed_node_comes_back_from_its_checkpoint_and_another_one_joins(nodes, tmp_path):
    stores = [str(tmp_path / name) for name in ("all", "two", "four")]
    checkpoint = str(tmp_path / "checkpoint")
    for rank in range(2):
        numbers = [(rank, 3), (rank, 2), (rank, 4)]
        nodes.start(node_of_several_groups, stores, numbers, rank, nodes.answers, checkpoint)
    killed = nodes.start(
        node_of_several_groups, stores[:1], [(2, 3)], 2, nodes.answers, checkpoint, die_after=1
    )
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    nodes.start(
        node_of_several_groups, stores[2:], [(2, 4)], 2, nodes.answers, checkpoint, load=True
    )
    nodes.start(node_of_several_groups, stores[2:], [(3, 4)], 3, nodes.answers, checkpoint)
    results = nodes.results(4)
    one_digest(results)
    # All but the seven episodes that were on the killed node alone.
    assert [result["completions"] for result in results] == [(3 + 2 + 4) * EPISODES] * 4
    assert results[0]["synced"].number == 3
    assert results[0]["synced"].joined == [2, 3]


def test_a_death_in_a_sync_ends_it_and_the_others_go_on_without_loss(nodes, tmp_path):
    stores = [str(tmp_path / name) for name in ("three", "two")]
    for rank in range(3):
        nodes.start(node_beside_one_that_dies, stores, rank, 3, nodes.answers)
    results = nodes.results(2)
    assert all(result["error"] for result in results)
    one_digest(results)
    assert [result["completions"] for result in results] == [2 * 2 * EPISODES] * 2


def test_nodes_of_other_settings_are_refused_on_every_rank(nodes, tmp_path):
    for rank in range(2):
        nodes.start(node_of_other_settings, str(tmp_path / "store"), rank, 2, nodes.answers)
    texts = nodes.results(2)
    assert texts[0] == texts[1]
    assert "ema_timescale = 0.1" in texts[0]
    assert "ema_timescale = 0.2" in texts[0]


def test_one_process_of_each_node_takes_part(nodes, tmp_path):
    for rank in range(4):
        nodes.start(node_in_parts, str(tmp_path / "store"), rank, 4, nodes.answers)
    results = nodes.results(4)
    one_digest(results[::2])
    assert {result["completions"] for result in results[::2]} == {4 * EPISODES}
    assert all("not in the group" in text for text in results[1::2])


def test_without_a_group_the_error_says_what_to_call():
    config = NoiseAwareConfig(sync_episodes=10, use_shared_memory=False)
    with pytest.raises(ValueError, match="init_process_group"):
        Curriculum(3, config).sync()


def test_the_example_trains_and_ends_in_equal_tables():
    script = ROOT / "examples" / "many_machines.py"
    out = run_python("-m", "torch.distributed.run", "--nproc-per-node", 2, script)
    # Lines of two processes may run into each other.
    digests = re.findall(r"table ([0-9a-f]{32})", out)
    assert len(digests) == 2
    assert len(set(digests)) == 1
    scores = [float(score) for score in re.findall(r"rank \d: ([\d.]+), \d+ episodes", out)]
    assert max(scores[-2:]) > 0.8 > scores[0]
