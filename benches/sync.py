"""What a sync between nodes costs: bytes, and milliseconds.

``python -m benches.sync`` syncs 2, 4 and 8 nodes of one machine after 1,000 and 100,000 episodes
each, over 1,000 tasks, with scores that are random floats (the longest to send). It prints, as
medians of several syncs: the bytes that a node sends and hears; the processor time of one node, and
that by the episodes of all; the time until the last node is done through ``torch.distributed`` with
gloo, a process each, which share the processors of this machine; and whether all digests are equal.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benches.markdown import markdown_table
from curricle import LocalMemoryBackend, Rules, TaskTracker
from curricle._core import Exchange

TASKS = 1000
SYNCS = 5
RULES = Rules(progress="noise-aware", score_range=(0.0, 1.0))


def node(episodes: int) -> TaskTracker:
    tracker = TaskTracker(
        backend=LocalMemoryBackend(TASKS, rules=RULES, sync_episodes=2 * episodes)
    )
    tracker.track_many(np.arange(TASKS))
    return tracker


def play(tracker: TaskTracker, episodes: int, rng: np.random.Generator) -> None:
    steps = rng.integers(1, 500, episodes)
    tracker.update_batch(rng.integers(0, TASKS, episodes), rng.random(episodes), steps)


def alone(nodes: int, episodes: int) -> tuple[float, int, int, bool]:
    """Seconds of processor time of one node; bytes that it sent and heard; whether tables agree."""
    trackers = [node(episodes) for _ in range(nodes)]
    exchanges = [Exchange() for _ in trackers]
    rng = np.random.default_rng(0)
    pairs = [
        (exchange, tracker.backend.session)
        for exchange, tracker in zip(exchanges, trackers, strict=True)
    ]
    seconds = []
    for _ in range(1 + SYNCS):
        for tracker in trackers:
            play(tracker, episodes, rng)
        spent = [0.0] * nodes
        said: list[Any] = [b""] * nodes
        heard: list[bytes] | None = None
        while said[0] is not None:
            for rank, (exchange, session) in enumerate(pairs):
                start = time.process_time()
                said[rank] = (
                    exchange.begin(session) if heard is None else exchange.hear(session, heard)
                )
                spent[rank] += time.process_time() - start
            heard = list(said)
        seconds.append(statistics.median(spent))
    facts = exchanges[0].synced()
    equal = len({tracker.digest() for tracker in trackers}) == 1
    # The first sync hands out the state.
    return statistics.median(seconds[1:]), facts["sent_bytes"], facts["heard_bytes"], equal


def over_gloo(store: str, rank: int, nodes: int, episodes: int, answers: Any) -> None:
    """One node; answers the times of its syncs and its digest."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=nodes)
    tracker, rng = node(episodes), np.random.default_rng(rank)
    seconds = []
    for _ in range(1 + SYNCS):
        play(tracker, episodes, rng)
        dist.barrier()
        start = time.perf_counter()
        tracker.sync()
        dist.barrier()
        seconds.append(time.perf_counter() - start)
    answers.put((statistics.median(seconds[1:]), tracker.digest()))
    dist.destroy_process_group()


def together(nodes: int, episodes: int) -> tuple[float, bool]:
    """Seconds until the last of several processes is done; whether all tables are equal."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch.distributed", "curricle"])
    answers = context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder, "store"))
        processes = [
            context.Process(target=over_gloo, args=(store, rank, nodes, episodes, answers))
            for rank in range(nodes)
        ]
        for process in processes:
            process.start()
        results = [answers.get(timeout=300) for _ in processes]
        for process in processes:
            process.join()
    return max(seconds for seconds, _ in results), len({digest for _, digest in results}) == 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--episodes", type=int, nargs="+", default=[1000, 100_000])
    arguments = parser.parse_args()
    rows = []
    for episodes in arguments.episodes:
        for nodes in arguments.nodes:
            seconds, sent, heard, equal = alone(nodes, episodes)
            wall, equal_too = together(nodes, episodes)
            rows.append(
                [
                    f"{episodes:,}",
                    str(nodes),
                    f"{sent:,}",
                    f"{heard:,}",
                    f"{seconds * 1e3:.1f}",
                    f"{seconds * 1e9 / (episodes * nodes):.0f}",
                    f"{wall * 1e3:.1f}",
                    "equal" if equal and equal_too else "DIFFER",
                ]
            )
    head = [
        "episodes a node",
        "nodes",
        "bytes sent",
        "bytes heard",
        "processor, ms",
        "ns an episode",
        "gloo, ms",
        "digests",
    ]
    print(markdown_table(head, rows))


if __name__ == "__main__":
    main()
