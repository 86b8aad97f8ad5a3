"""Flags that all ranks agree on after a step, by one small all-reduce that the host does not wait for."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor

from pretrain.ranks import world


class StepFlags:
    """Tells all ranks whether a value was not finite on any rank, and whether rank 0 wants a checkpoint.

    A rank that raised an error by itself would leave the others waiting in a collective, so the flags are reduced over
    ranks first. The flags of a step are read during the next step, when they have arrived, so the host does not wait
    for the newest work of the device. Call `settle` before writing a log line or a checkpoint, so that nothing from
    after a fault is kept.
    """

    def __init__(self) -> None:
        self._pending: tuple[int, list[str], Tensor, dist.Work | None, torch.cuda.Event | None] | None = None

    def propose(self, step: int, watched: Mapping[str, Tensor], wish: bool = False) -> None:
        """Start the all-reduce of the flags of `step`.

        `watched` holds scalars on one device, with the same names on every rank; `wish` asks for a checkpoint.
        """
        device = next(iter(watched.values())).device
        broken = [~torch.isfinite(value.detach()).all() for value in watched.values()]
        flags = torch.stack([*broken, torch.tensor(wish, device=device)]).float()
        work, event = None, None
        if world()[1] > 1:
            work = dist.all_reduce(flags, op=dist.ReduceOp.MAX, async_op=True)
        if flags.is_cuda:
            if work:
                work.wait()  # the stream waits, not the host
            flags = torch.empty(flags.shape, pin_memory=True).copy_(flags, non_blocking=True)
            work, event = None, torch.cuda.Event()
            event.record()
        self._pending = step, list(watched), flags, work, event

    def settle(self) -> bool:
        """Return whether any rank wished for a checkpoint at the last proposed step; False when no step is open.

        Raises FloatingPointError on every rank, with the step and the names, when a value was not finite on any rank.
        """
        if self._pending is None:
            return False
        step, names, flags, work, event = self._pending
        self._pending = None
        if work:
            work.wait()
        if event:
            event.synchronize()
        *broken, wish = flags.tolist()
        if any(broken):
            which = " and ".join(name for name, flag in zip(names, broken, strict=True) if flag)
            raise FloatingPointError(
                f"{which} not finite at step {step}; lower optimizer.learning_rate, or set engine.precision=bf16"
            )
        return bool(wish)
