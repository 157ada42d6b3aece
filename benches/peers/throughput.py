"""Episodes a second of worker processes that only reset, step once and report.

``python -m benches.peers.throughput`` prints them, peer by peer.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

import gymnasium as gym

from benches.idle_env import Idle
from benches.interrupts import held_interrupts
from benches.peers.base import Peer
from benches.peers.catalogue import installed, noted
from benches.progress import progress
from benches.timing import Figures

SIZES = (100, 10_000)
WORKERS = (1, 2, 4)
ROUNDS = 7
ROUND_SECONDS = 1.2
NO_CURRICULUM = "no curriculum"

# What users of Gymnasium's vector environments get on Linux; imports are not made again.
_CONTEXT = multiprocessing.get_context("fork")
_PATIENCE = 120.0


@dataclass(frozen=True)
class Throughput:
    """Episodes a second of all workers together."""

    peer: str
    tasks: int
    workers: int
    episodes: Figures


def measure(
    sizes: Sequence[int] = SIZES,
    workers: Sequence[int] = WORKERS,
    rounds: int = ROUNDS,
    round_seconds: float = ROUND_SECONDS,
    failed: dict[str, str] | None = None,
) -> list[Throughput]:
    """Peers take turns in each round, so that a busy minute does not fall on one of them.

    By default it takes about six minutes.

    Args:
        sizes: numbers of tasks.
        workers: numbers of worker processes.
        rounds: of each combination.
        round_seconds: how long workers play.
        failed: gets the error of each library that fails, which is left out.
    """
    kinds = [(kind, tasks) for tasks in sizes for kind in installed() if kind.shared]
    episodes: dict[tuple[str, int, int], list[float]] = {}
    for _ in progress(range(rounds), "workers"):
        for count in workers:
            alone = _episodes_a_second(None, count, round_seconds)
            episodes.setdefault((NO_CURRICULUM, 0, count), []).append(alone)
            for kind, tasks in kinds:
                with noted(kind, tasks, failed):
                    took = _episodes_a_second(kind(tasks), count, round_seconds)
                    episodes.setdefault((kind.name, tasks, count), []).append(took)
    measured = [Throughput(*key, Figures(found)) for key, found in episodes.items()]
    # A peer that failed once has too few rounds.
    return [row for row in measured if len(row.episodes.rounds) == rounds]


def _episodes_a_second(peer: Peer | None, workers: int, seconds: float) -> float:
    """The workers' rates in the same span of time, summed; ends the peer."""
    start = _CONTEXT.Barrier(workers)
    receiver, sender = _CONTEXT.Pipe(duplex=False)
    processes = [
        _CONTEXT.Process(target=_play, args=(peer, start, seconds, sender)) for _ in range(workers)
    ]
    try:
        with held_interrupts():
            if peer is not None:
                peer.share()
            for process in processes:
                process.start()
        rates = [_next_rate(receiver) for _ in processes]
        for process in processes:
            while process.is_alive():
                # A queue that nobody empties keeps its process from ending.
                if peer is not None:
                    peer.log()
                process.join(0.05)
        return sum(rates)
    finally:
        # Of a run that was stopped: its workers would wait for each other, or for a task.
        for process in processes:
            if process.pid is not None:
                process.kill()
                process.join()
        if peer is not None:
            peer.close()


def _next_rate(receiver: Connection) -> float:
    if not receiver.poll(_PATIENCE):
        raise TimeoutError(f"a worker gave no rate within {_PATIENCE:.0f} s")
    rate: float = receiver.recv()
    return rate


def _play(peer: Peer | None, start: Barrier, seconds: float, sender: Connection) -> None:
    env: gym.Env[Any, Any] = Idle(length=1)
    if peer is not None:
        env = peer.wrap(env)
    _episodes_until(env, time.perf_counter() + seconds / 10)
    start.wait(_PATIENCE)
    began = time.perf_counter()
    episodes = _episodes_until(env, began + seconds)
    sender.send(episodes / (time.perf_counter() - began))


def _episodes_until(env: gym.Env[Any, Any], end: float) -> int:
    episodes = 0
    while time.perf_counter() < end:
        env.reset()
        env.step(0)
        episodes += 1
    return episodes


if __name__ == "__main__":
    for row in measure():
        least, most = row.episodes.range
        print(
            f"{row.peer:31} {row.tasks:6,} tasks, {row.workers} workers: "
            f"{row.episodes.median:10,.0f} episodes a second ({least:,.0f} to {most:,.0f})"
        )
