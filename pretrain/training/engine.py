"""What the loop, gradient accumulation and checkpoints need of an engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from pretrain.data.samples.batch import Batch
from pretrain.step_context import StepContext
from pretrain.tasks.task import ParameterGroup, Rows


class Engine(Protocol):
    """A task's module and its optimiser on this rank."""

    device: torch.device
    dtype: torch.dtype
    """What floating inputs are cast to."""
    rank: int
    ranks: int

    # Any: a task's features are of its own type; see Task.forward for what the keywords ask.
    def forward(
        self,
        batch: Batch,
        step: StepContext,
        *,
        features: Rows | None = None,
        only_encode: bool = False,
        gradients: Mapping[str, Tensor] | None = None,
    ) -> Any:
        """The module's losses and metrics on a batch of this rank, or its features."""
        ...

    def backward(self, loss: Tensor, last: bool = True) -> None:
        """Add the gradients of a loss; `last` says that no more come before the optimiser step."""
        ...

    def loss_scale(self) -> float:
        """The factor by which a loss is multiplied before its gradients are computed (fp16)."""
        ...

    def step(self, learning_rate: float, momentum: float) -> Tensor:
        """One optimiser step at the given rate and first moment; returns the gradient norm before clipping."""
        ...

    def clamp_parameter(self, name: str, highest: float) -> None:
        """Hold every entry of a parameter at or below `highest`."""
        ...

    def parameter_limits(self) -> dict[str, float]:
        """Parameter's name → the value that its entries are held at or below, as the task says."""
        ...

    def save(self, folder: Path) -> None:
        """Write the state of module and optimiser into `folder`. Every rank must call it."""
        ...

    def load(self, folder: Path, ranks: int) -> None:
        """Restore what `save` wrote on `ranks` ranks. Every rank must call it."""
        ...

    def weights(self) -> dict[str, Tensor]:
        """The whole module in fp32 on rank 0's CPU (empty elsewhere). Every rank must call it."""
        ...


def optimizer_groups(groups: list[ParameterGroup]) -> list[dict[str, Any]]:
    """The parameter groups as torch's optimisers take them; `rate` is kept beside their own settings."""
    return [
        {"params": group.parameters, "weight_decay": group.weight_decay, "rate": group.rate}
        for group in groups
    ]


def set_schedule(groups: list[dict[str, Any]], learning_rate: float, momentum: float) -> None:
    """Give an optimiser's groups the learning rate (times each group's `rate`) and first moment of a step."""
    for group in groups:
        group["lr"] = learning_rate * group["rate"]
        group["betas"] = (momentum, group["betas"][1])
