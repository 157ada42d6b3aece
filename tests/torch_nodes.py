"""What a node does in `integrations/test_torch_sync.py`: a session, workers, and syncs by gloo."""

from __future__ import annotations

import multiprocessing
import os
import signal
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist

from curricle import Curriculum, NoiseAwareConfig

EPISODES = 300
WORKERS = 2


@contextmanager
def group(store, rank, world):
    """The default process group, as long as it is needed."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    try:
        yield
    finally:
        dist.destroy_process_group()


def curriculum(name: str, **options: Any) -> Curriculum:
    config = NoiseAwareConfig(score_range=(0.0, 1.0), sync_episodes=10_000, **options)
    return Curriculum({f"task {n}": n for n in range(20)}, config, session=name)


def play(node: Curriculum, episodes: int) -> None:
    for episode in range(episodes):
        task = node.draw()
        node.report(task.ticket, (episode + task.task_id) % 5 / 4.0, env_steps=2)


def outcome(node: Curriculum, synced: Any) -> dict[str, Any]:
    node.verify()
    totals = node.tracker.totals()
    return {
        "synced": synced,
        "digest": node.tracker.digest(),
        "completions": totals["completions"],
        "env_steps": totals["env_steps"],
    }


def node_with_workers(store, rank, world, answers):
    """Syncs while its workers report, and once when they are done."""
    node = curriculum(f"test-torch-{os.path.basename(store)}-{rank}")
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=play, args=(node, EPISODES)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    with group(store, rank, world):
        for _ in range(3):
            node.sync()
        for worker in workers:
            worker.join()
        synced = node.sync()
    answers.put((rank, outcome(node, synced)))
    node.close()


def node_of_several_groups(stores, numbers, rank, answers, checkpoint, load=False, die_after=None):
    """Takes part in one group after the other, with episodes before each sync.

    ``numbers`` are its rank and the size of each group. ``die_after`` syncs it saves, plays seven
    episodes that nobody hears of, and is killed.
    """
    node = curriculum(f"test-torch-groups-{os.path.basename(stores[0])}-{rank}-{load}")
    if load:
        node.load(checkpoint)
    synced = None
    for count, (store, (place, world)) in enumerate(zip(stores, numbers, strict=True)):
        with group(store, place, world):
            play(node, EPISODES)
            synced = node.sync()
        if count + 1 == die_after:
            node.save(checkpoint)
            play(node, 7)
            os.kill(os.getpid(), signal.SIGKILL)
    answers.put((rank, outcome(node, synced)))
    node.close()


def node_beside_one_that_dies(stores, rank, world, answers):
    """The last rank dies instead of syncing; the others go on in a group of their own."""
    node = curriculum(f"test-torch-death-{os.path.basename(stores[0])}-{rank}")
    error = None
    with group(stores[0], rank, world):
        node.sync()
        play(node, EPISODES)
        if rank == world - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            node.sync()
        except RuntimeError as raised:
            error = str(raised)
    with group(stores[1], rank, world - 1):
        play(node, EPISODES)
        # What the failed sync offered comes first, and what came after it with the next.
        node.sync()
        synced = node.sync()
    answers.put((rank, outcome(node, synced) | {"error": error}))
    node.close()


def node_of_other_settings(store, rank, world, answers):
    node = curriculum(
        f"test-torch-other-{os.path.basename(store)}-{rank}", ema_timescale=0.1 + rank / 10
    )
    with group(store, rank, world):
        try:
            node.sync()
        except OSError as error:
            answers.put((rank, str(error)))
    node.close()


def node_in_parts(store, rank, world, answers):
    """Only the even ranks sync, over a group of theirs, and sessions are of two ranks each."""
    node = curriculum(f"test-torch-parts-{os.path.basename(store)}-{rank // 2}")
    with group(store, rank, world):
        nodes = dist.new_group(list(range(0, world, 2)))
        play(node, EPISODES)
        dist.barrier()
        if rank % 2 == 0:
            answers.put((rank, outcome(node, node.sync(nodes))))
        else:
            try:
                node.sync(nodes)
            except ValueError as error:
                answers.put((rank, str(error)))
        dist.barrier()
    node.close()
