"""The ranks of a run: which one this is, how they wait for each other, and how they exchange tensors. Torch alone."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from data_filters.errors import InputError

Decision = TypeVar("Decision")


@contextmanager
def process_group(store: Path, rank: int, ranks: int, backend: str = "gloo") -> Iterator[None]:
    """Make this process rank `rank` of `ranks`, and destroy the group on every way out.

    The ranks of one machine meet through the file `store`, which must be new: no port is taken. LOCAL_RANK, RANK and
    WORLD_SIZE are set, as DeepSpeed reads them. What still holds the group (an engine) must be gone or closed before
    the context ends, or the group's threads live on until the process ends.
    """
    os.environ.update(LOCAL_RANK=str(rank), RANK=str(rank), WORLD_SIZE=str(ranks))
    dist.init_process_group(backend, init_method=f"file://{store}", rank=rank, world_size=ranks)
    try:
        yield
    finally:
        gc.collect()  # engines refer to themselves, and to the group
        if dist.is_initialized():
            dist.destroy_process_group()


def world() -> tuple[int, int]:
    """Return (rank, number of ranks); (0, 1) outside a process group."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def barrier() -> None:
    """Wait for all ranks; does nothing when there is only one."""
    if world()[1] > 1:
        dist.barrier()


def gather_with_gradient(rows: Tensor) -> Tensor:
    """Stack the rows [B, ...] of all ranks in rank order: [ranks × B, ...].

    Every rank must pass the same B. The backward pass sums, over all ranks, the gradients that they computed for a
    row. When each rank's loss is the mean over its own rows and the engine averages gradients over ranks, the result
    is exactly the gradient of the mean over the global batch (no factor of the number of ranks).
    """
    return rows if world()[1] == 1 else _Gather.apply(rows)


def longest_of_all_ranks(length: int, like: Tensor) -> int:
    """Return the largest `length` over all ranks; the exchange runs on the device of `like`."""
    if world()[1] == 1:
        return length
    longest = torch.tensor([length], device=like.device)
    dist.all_reduce(longest, op=dist.ReduceOp.MAX)
    return int(longest)


class _Gather(torch.autograd.Function):
    """All-gather whose backward pass sums the gradients of all ranks."""

    # Any: autograd's context object takes any attribute; torch gives it no type that allows this.
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        rank, ranks = world()
        ctx.rank, ctx.count = rank, rows.shape[0]
        parts = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(ranks)]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        # All-reduce, then slice: every backend has an all-reduce, but not every version of gloo a reduce-scatter.
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total[ctx.rank * ctx.count : (ctx.rank + 1) * ctx.count]


def decided_by_first_rank(decide: Callable[[], Decision]) -> Decision:
    """Return on every rank what `decide` returns on rank 0, where alone it runs; the value must be picklable.

    An InputError of rank 0 is raised on every rank.
    """
    rank, ranks = world()
    if ranks == 1:
        return decide()
    # Any: the value and a message, of which one is None.
    answer: list[Any] = [None, None]
    if rank == 0:
        try:
            answer[0] = decide()
        except InputError as error:
            answer[1] = str(error)
    dist.broadcast_object_list(answer)
    if answer[1] is not None:
        raise InputError(answer[1])
    decision: Decision = answer[0]
    return decision


def mean_over_ranks(value: Tensor) -> Tensor:
    """Return the mean of a number over all ranks, without gradient; on one rank `value` itself."""
    ranks = world()[1]
    if ranks == 1:
        return value
    total = value.detach().float()
    dist.all_reduce(total)
    return total / ranks
