"""TorchRL's prioritized sampler over as many items as there are tasks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torchrl.data.replay_buffers import LazyTensorStorage, PrioritizedSampler

from benches.peers.base import BATCH, Peer


class TorchRLPeer(Peer):
    """Priorities are scores; the learner's process alone has the sampler.

    It keeps no statistics: what is compared is an update of a priority and a weighted draw.
    """

    name = "TorchRL PrioritizedSampler"
    shared = False

    def __init__(self, tasks: int) -> None:
        super().__init__(tasks)
        logging.getLogger("torchrl").setLevel(logging.WARNING)
        # Threads would cost more than they do for batches of this size.
        torch.set_num_threads(1)
        self._storage = LazyTensorStorage(tasks)
        self._storage.set(range(tasks), torch.arange(tasks))
        self._sampler = PrioritizedSampler(tasks, alpha=1.0, beta=1.0)
        self._sampler.extend(torch.arange(tasks))

    def draw(self) -> int:
        index, _ = self._sampler.sample(self._storage, 1)
        return int(index[0])

    def report(self, drawn: int, score: float) -> None:
        self.update(drawn, score)

    def update(self, task: int, score: float) -> None:
        self._sampler.update_priority(task, score)

    def warm_up(self) -> None:
        """One score a task, in one batch, as that is how it takes them."""
        rng = np.random.default_rng(0)
        self._sampler.update_priority(
            torch.arange(self.tasks), torch.from_numpy(rng.random(self.tasks, np.float32))
        )

    def operations(self) -> dict[str, tuple[Callable[[], Any], int]]:
        rng = np.random.default_rng(1)
        ids = torch.from_numpy(rng.integers(0, self.tasks, BATCH))
        scores = torch.from_numpy(rng.random(BATCH, np.float32))
        operations = super().operations() | {
            f"draw {BATCH:,} at once": (lambda: self._sampler.sample(self._storage, BATCH), BATCH),
            f"update {BATCH:,} at once": (
                lambda: self._sampler.update_priority(ids, scores),
                BATCH,
            ),
        }
        # It draws by its tree of sums and gives no distribution.
        del operations["score all tasks"]
        return operations
