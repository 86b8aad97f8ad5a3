"""What all ranks must know alike, in one small all-reduce a step that nobody waits for."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor


class Agreement:
    """Whether something was not finite on any rank, and whether rank 0 wishes a checkpoint.

    A rank that raised by itself would leave the others in a collective for ever, so flags are reduced first. The
    answer of a step is read during the next one, when it has long arrived: the host never waits for the device's
    newest work. `settle` before anything of a step is written down, so that nothing after the fault is kept.
    """

    def __init__(self) -> None:
        self._pending: tuple[int, list[str], Tensor, dist.Work | None, torch.cuda.Event | None] | None = None

    def propose(self, step: int, watched: Mapping[str, Tensor], wish: bool = False) -> None:
        """Start to reduce the flags of `step`: every rank with the same names, all scalars on one device."""
        device = next(iter(watched.values())).device
        broken = [~torch.isfinite(value.detach()).all() for value in watched.values()]
        flags = torch.stack([*broken, torch.tensor(wish, device=device)]).float()
        work, event = None, None
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            work = dist.all_reduce(flags, op=dist.ReduceOp.MAX, async_op=True)
        if flags.is_cuda:
            if work:
                work.wait()  # of the stream, not of the host
            flags = torch.empty(flags.shape, pin_memory=True).copy_(flags, non_blocking=True)
            work, event = None, torch.cuda.Event()
            event.record()
        self._pending = step, list(watched), flags, work, event

    def settle(self) -> bool:
        """The wish of the step last proposed (False when none is open).

        Raises FloatingPointError on every rank, naming step and value, when one was not finite on any.
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
