"""Defines `Engine`: the interface that the loop, gradient accumulation and checkpoints use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from pretrain.config import OptimizerConfig
from pretrain.data.samples.batch import Batch
from pretrain.step_context import StepContext
from pretrain.tasks.task import ParameterGroup, Rows, Task


class Engine(Protocol):
    """A task's module and its optimiser on this rank."""

    device: torch.device
    dtype: torch.dtype
    """Type to which floating-point inputs are cast."""
    rank: int
    ranks: int
    """Number of ranks."""

    # Any: each task has features of its own type. `Task.forward` explains the keywords.
    def forward(
        self,
        batch: Batch,
        step: StepContext,
        *,
        features: Rows | None = None,
        only_encode: bool = False,
        gradients: Mapping[str, Tensor] | None = None,
    ) -> Any:
        """Return the module's losses and metrics on a batch of this rank, or its features."""
        ...

    def backward(self, loss: Tensor, last: bool = True) -> None:
        """Add the gradients of a loss; `last` is True for the last backward pass before the optimiser step."""
        ...

    def loss_scale(self) -> float:
        """Return the factor that multiplies a loss before its gradients are computed; 1 except in fp16."""
        ...

    def step(self, learning_rate: float, momentum: float, done: int = 0) -> Tensor:
        """Do one optimiser step at this learning rate and first moment; return the gradient norm before clipping.

        `done` is the number of steps before this one: parameters whose group's `from_step` is above it do not change.
        """
        ...

    def clamp_parameter(self, name: str, highest: float) -> None:
        """Clamp every entry of a parameter to at most `highest`."""
        ...

    def parameter_limits(self) -> dict[str, float]:
        """Return the task's limits: parameter's name → upper limit of its entries."""
        ...

    def save(self, folder: Path) -> None:
        """Write the state of module and optimiser into `folder`. Every rank must call it."""
        ...

    def load(self, folder: Path, ranks: int) -> None:
        """Restore what `save` wrote on `ranks` ranks. Every rank must call it."""
        ...

    def weights(self) -> dict[str, Tensor]:
        """Return the whole module in fp32 on rank 0's CPU (empty on other ranks). Every rank must call it."""
        ...


COMPUTE_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""The recipe's `engine.precision` → the type in which towers compute."""


# Any: the engine does not know the type of the task's features.
def build_optimizer(
    module: Task[Any], config: OptimizerConfig, fused: bool | None = None
) -> torch.optim.AdamW:
    """Build AdamW over the task's parameter groups; `fused` as in torch, None leaves the choice to torch."""
    groups = module.parameter_groups(config.weight_decay, config.head_rate)
    return torch.optim.AdamW(
        optimizer_groups(groups), lr=config.learning_rate, betas=config.betas, fused=fused
    )


# Any: torch's own type of parameter groups, here and below.
def optimizer_groups(groups: list[ParameterGroup]) -> list[dict[str, Any]]:
    """Convert parameter groups to the form of torch's optimisers; `rate` and `from_step` are kept as extra entries."""
    return [
        {
            "params": group.parameters,
            "weight_decay": group.weight_decay,
            "rate": group.rate,
            "from_step": group.from_step,
        }
        for group in groups
    ]


def set_schedule(groups: list[dict[str, Any]], learning_rate: float, momentum: float, done: int = 0) -> None:
    """Set the learning rate (times each group's `rate`) and the first moment of an optimiser's groups.

    The rate of a group that is locked after `done` steps is 0.
    """
    for group in groups:
        group["lr"] = 0.0 if is_locked(group, done) else learning_rate * group["rate"]
        group["betas"] = (momentum, group["betas"][1])


def is_locked(group: dict[str, Any], done: int) -> bool:
    """Return whether a group's parameters stay as they are in the step after `done` steps."""
    return bool(group.get("from_step", 0) > done)  # checkpoints of earlier versions have no such entry
