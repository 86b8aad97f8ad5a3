"""Running statistics: kept in checkpoints, in fp32 whatever the model's precision, and equal on all ranks."""

from collections.abc import Callable

import torch
import torch.distributed as dist
from jaxtyping import Bool, Float
from torch import Tensor, nn

from pretrain.ranks import world


class RunningState(nn.Module):
    """A module whose floating buffers stay fp32 when the model that contains it is cast to bf16 or fp16.

    In bf16 an average with momentum 0.99 no longer changes, since neighbouring numbers differ by 0.8%.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        originals = dict(self.named_buffers(recurse=False))
        super()._apply(fn, recurse)
        for name, original in originals.items():
            applied = self._buffers[name]
            if applied is not None and applied.dtype != original.dtype:
                self._buffers[name] = original.to(applied.device)
        return self


class InteractionScale(RunningState):
    """Root mean square of the past interactions, exponentially weighted: the unit of UNSIL's predictions.

    Interactions are differences of cosines: about 0.001 at the start of training, larger later, and different for
    the token game and the semantic game. The paper gives no scale; eq. 12 needs one, since its optimum σ = error/√β
    must lie inside (0, 1) for the rule u > σ (see `pretrain.objectives.unsil`). Targets are divided by this scale and
    not centred, so that a zero interaction stays zero and signs stay.

    Sums run over all ranks, so every rank has the same scale; every rank must call `update` equally often.
    """

    mean_square: Tensor
    weight: Tensor

    def __init__(self, momentum: float = 0.99) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean_square", torch.zeros(()))
        self.register_buffer("weight", torch.zeros(()))  # below 1 after few updates: Adam's bias correction

    @torch.no_grad()
    def update(self, interactions: Float[Tensor, "..."], real: Bool[Tensor, "..."]) -> None:
        """Update with the `real` interactions of one step, in the game's units.

        Nothing changes when no rank has a real one.
        """
        sums = torch.stack([interactions.float().masked_fill(~real, 0).square().sum(), real.float().sum()])
        if world()[1] > 1:
            dist.all_reduce(sums)
        share = torch.where(sums[1] > 0, 1 - self.momentum, 0.0)
        self.mean_square.lerp_(sums[0] / sums[1].clamp(min=1), share)
        self.weight.lerp_(torch.ones_like(self.weight), share)

    def forward(self) -> Float[Tensor, ""]:
        """The scale, in the game's units; 1 before the first interaction."""
        mean_square = self.mean_square / self.weight.clamp(min=1e-12)
        # At least 1e-8: all interactions are exactly 0 where an encoder ignores its input.
        return torch.where(self.weight > 0, mean_square.sqrt().clamp(min=1e-8), torch.ones_like(mean_square))
