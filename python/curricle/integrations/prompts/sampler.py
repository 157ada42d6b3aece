"""A sampler of PyTorch that draws prompts by a curriculum."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sized
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import Sampler

from curricle import checks
from curricle.curriculum import Curriculum
from curricle.integrations.prompts import states
from curricle.integrations.prompts.groups import checked_rewards
from curricle.integrations.prompts.prompts import Prompts


class PromptSampler(Sampler[int]):  # type: ignore[misc]
    """Draws indices of prompts, by which a ``DataLoader`` reads them.

    Under ``torch.distributed`` rank 0 has the curriculum: it draws and all ranks get its draws, so
    that each iterates the whole sampler (Accelerate then gives each its part), and it reports what
    all ranks observe. A draw and `observe` are collective calls. Make the sampler after the
    process group.

    Args:
        data_source: the prompts; what matters is their number, that of the curriculum's tasks.
        curriculum: on rank 0; other ranks may give ``None``, and theirs is not used.
        batch_size: number of prompts that are drawn at once, >= 1. Take that of all ranks
            together: the next ones are drawn when these have been handed out.
        replacement: whether a prompt may come more than once among those drawn at once.

    Raises:
        ValueError: another number of prompts than of tasks, a ``batch_size`` that is more than
            the number of prompts, or no curriculum on rank 0.
    """

    def __init__(
        self,
        data_source: Sized,
        curriculum: Curriculum | None,
        batch_size: int = 1,
        *,
        replacement: bool = False,
    ) -> None:
        size = len(data_source)
        self.batch_size = checks.integer(batch_size, "batch_size", 1, checks.MAX_ID)
        if batch_size > size:
            raise ValueError(f"batch_size={batch_size} is more than the {size} prompts; take fewer")
        self.replacement = replacement
        self._batches = size // batch_size
        self.prompts: Prompts | None = None
        if _ranks() == 1 or dist.get_rank() == 0:
            if curriculum is None:
                raise ValueError("rank 0 has no curriculum; give it one, as it draws for all")
            if curriculum.pool_size != size:
                raise ValueError(
                    f"{size} prompts, but the curriculum has {curriculum.pool_size} tasks; make "
                    "one task for each prompt"
                )
            self.prompts = Prompts(curriculum)
        self._size = size
        self._batches_left = 0
        self._queue: list[int] = []
        self._goes_on = False

    def __len__(self) -> int:
        """Draws of one iteration: as many as there are prompts, in whole batches."""
        return self._batches * self.batch_size

    def __iter__(self) -> Iterator[int]:
        """Draws, batch by batch; after `load_state_dict`, first what an iteration had left."""
        if not (self._goes_on and (self._queue or self._batches_left)):
            self._batches_left, self._queue = self._batches, []
        self._goes_on = False
        while self._queue or self._batches_left:
            if not self._queue:
                self._queue = self._draw()
                self._batches_left -= 1
            yield self._queue.pop(0)

    def observe(self, prompt_ids: ArrayLike, rewards: ArrayLike) -> None:
        """Reports rewards, as `Prompts.observe`; each rank gives what it has, or nothing.

        Args:
            prompt_ids: shape (n,), integers; a tensor, on whatever device, does as well.
            rewards: shape (n,) or (n, k), the same on all ranks that have any. In the first,
                those that ranks have of one prompt are one draw.

        Raises:
            ValueError, TypeError: as `Prompts.observe`, on all ranks whichever has the fault, and
                nothing is written.
        """
        here = _arrays(prompt_ids, rewards)
        everywhere: list[Any] = [here]
        if _ranks() > 1:
            everywhere = [None] * _ranks()
            dist.all_gather_object(everywhere, here)
        self._on_rank_0(lambda prompts: _observe_all(prompts, everywhere))

    def state_dict(self) -> dict[str, Any]:
        """`Prompts.state_dict` on rank 0, and on all what is left of the iteration."""
        state = {} if self.prompts is None else self.prompts.state_dict()
        return state | {"batches_left": self._batches_left, "queue": list(self._queue)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on after the last index that was handed out; each rank loads rank 0's state.

        Raises:
            CheckpointError, CapacityError: as `Prompts.load_state_dict`; nothing is changed.
        """
        left = states.integer(states.entry(state, "batches_left"), "batches_left", self._size)
        queue = states.integers(state, "queue", self._size - 1)
        if self.prompts is not None:
            self.prompts.load_state_dict(state)
        # Of smaller batches more may have been left.
        self._batches_left, self._queue = min(left, self._batches), queue
        self._goes_on = True

    def _draw(self) -> list[int]:
        """The next batch, the same on all ranks."""
        batch: list[int] = self._on_rank_0(self._next_batch)
        return batch

    def _on_rank_0(self, call: Callable[[Prompts], Any]) -> Any:
        """What a call returns on rank 0, on all ranks; so is what it raises there."""
        outcome: list[Any] = [None, None]
        if self.prompts is not None:
            try:
                outcome[0] = call(self.prompts)
            except Exception as error:
                outcome[1] = error
        if _ranks() > 1:
            dist.broadcast_object_list(outcome, src=0)
        returned, fault = outcome
        if fault is not None:
            raise fault
        return returned

    def _next_batch(self, prompts: Prompts) -> list[int]:
        batch: list[int] = prompts.draw(self.batch_size, replace=self.replacement).tolist()
        return batch


def _ranks() -> int:
    return int(dist.get_world_size()) if dist.is_available() and dist.is_initialized() else 1


def _observe_all(prompts: Prompts, everywhere: list[Any]) -> None:
    """Observes what all ranks have: of each its arrays, or why there are none."""
    backend = prompts.curriculum.tracker.backend
    parts = {}
    for rank, arrays in enumerate(everywhere):
        try:
            if isinstance(arrays, Exception):
                raise arrays
            part = checked_rewards(arrays[0], arrays[1], backend)
        except (TypeError, ValueError) as error:
            raise type(error)(f"rank {rank}: {error}" if _ranks() > 1 else str(error)) from None
        if len(part[0]) > 0:
            parts[rank] = part
    shapes = {rewards.shape[1:]: (rank, rewards.shape) for rank, (_, rewards) in parts.items()}
    if len(shapes) > 1:
        said = ", ".join(f"rank {rank} has {shape}" for rank, shape in shapes.values())
        raise ValueError(
            f"the shapes of rewards do not belong together: {said}; give (n,) on all ranks, or "
            "(n, k) with the same k"
        )
    if parts:
        ids, all_rewards = zip(*parts.values(), strict=True)
        prompts.observe(np.concatenate(ids), np.concatenate(all_rewards))


def _arrays(prompt_ids: Any, rewards: Any) -> Any:
    """Both as arrays, or the error that says why not, for rank 0 to raise on all ranks."""
    try:
        return _array(prompt_ids), _array(rewards)
    except (TypeError, ValueError) as error:
        return error


def _array(values: Any) -> NDArray[Any]:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        # NumPy has no bfloat16.
        values = values.double() if values.is_floating_point() else values
    return np.asarray(values)
