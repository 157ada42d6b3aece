"""The exchange between machines through ``torch.distributed``."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist


def all_gather(message: bytes, process_group: Any = None) -> list[bytes]:
    """The bytes of all ranks of a group, of any lengths, in the order of the ranks.

    Args:
        message: this rank's.
        process_group: a group for tensors on the CPU (gloo); ``None``: the default one.

    Raises:
        ValueError: there is no such group here, or it has no CPU tensors.
    """
    if not dist.is_available() or not dist.is_initialized():
        raise ValueError(
            'torch.distributed has no process group here: call init_process_group("gloo") first'
        )
    world = dist.get_world_size(process_group)
    if dist.get_rank(process_group) < 0:
        raise ValueError("this process is not in the group: let one process of each node sync")
    backends = str(dist.get_backend_config(process_group))
    if "cpu:" not in backends:
        raise ValueError(
            f"the group has the backends {backends!r} and none for CPU tensors: sync over "
            'torch.distributed.new_group(backend="gloo")'
        )
    length = torch.tensor([len(message)], dtype=torch.int64)
    lengths = [torch.empty_like(length) for _ in range(world)]
    dist.all_gather(lengths, length, group=process_group)
    sizes = [int(size) for size in lengths]
    if max(sizes) * world > 2 * sum(sizes):
        return _broadcast_each(message, sizes, process_group)
    padded = torch.zeros(max(sizes), dtype=torch.uint8)
    padded[: len(message)] = _tensor(message)
    received = [torch.empty_like(padded) for _ in range(world)]
    dist.all_gather(received, padded, group=process_group)
    return [_bytes(it[:size]) for it, size in zip(received, sizes, strict=True)]


def _broadcast_each(message: bytes, sizes: list[int], process_group: Any) -> list[bytes]:
    """One after the other, where a few are much longer than the rest."""
    rank = dist.get_rank(process_group)
    messages = []
    for sender, size in enumerate(sizes):
        content = _tensor(message) if sender == rank else torch.empty(size, dtype=torch.uint8)
        if size > 0:
            dist.broadcast(content, _global(sender, process_group), group=process_group)
        messages.append(_bytes(content))
    return messages


def _global(rank: int, process_group: Any) -> int:
    return rank if process_group is None else dist.get_global_rank(process_group, rank)


def _tensor(message: bytes) -> torch.Tensor:
    # A copy: PyTorch warns of memory that it may not write.
    return torch.frombuffer(bytearray(message), dtype=torch.uint8) if message else _EMPTY


def _bytes(content: torch.Tensor) -> bytes:
    content_bytes: bytes = content.numpy().tobytes()
    return content_bytes


_EMPTY = torch.empty(0, dtype=torch.uint8)
