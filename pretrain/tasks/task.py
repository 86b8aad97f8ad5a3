"""What a task is: the `nn.Module` that an engine wraps, model and losses together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pretrain.config import PretrainConfig
from pretrain.data.samples.batch import Batch
from pretrain.step_context import StepContext


class Rows(Protocol):
    """A dataclass whose fields are tensors [B, ...] or lists of B: one entry per pair."""

    __dataclass_fields__: ClassVar[dict[str, Any]]  # Any: as dataclasses itself types it


RowsOf = TypeVar("RowsOf", bound=Rows)
"""The features of a task."""


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that AdamW treats alike."""

    parameters: list[nn.Parameter]
    weight_decay: float
    rate: float
    """Factor of the schedule's learning rate."""


class Task(nn.Module, ABC, Generic[RowsOf]):
    """One kind of training. The loop, both engines and gradient accumulation know this contract and nothing else.

    `encode` and `losses` are the two halves of a step, so that micro-batches can be encoded one after another and their
    losses computed over all of them together.
    """

    config_class: ClassVar[type[PretrainConfig]]
    """The recipe of this task."""

    @classmethod
    @abstractmethod
    def build(cls, config: PretrainConfig, vocabulary_size: int) -> Task[RowsOf]:
        """The module that a recipe (a `config_class`) describes, for a tokenizer of `vocabulary_size` pieces."""

    @abstractmethod
    def encode(self, batch: Batch) -> RowsOf:
        """The features of a batch; their floating tensors carry the gradients of `losses` back to the towers."""

    @abstractmethod
    def losses(self, features: RowsOf, batch: Batch, step: StepContext) -> dict[str, Tensor]:
        """`loss`, the weighted sum; each objective's `NAME_loss`; plain metrics. All are scalars."""

    @abstractmethod
    def parameter_groups(self, weight_decay: float, head_rate: float = 1.0) -> list[ParameterGroup]:
        """All parameters, grouped for AdamW; `head_rate` multiplies the learning rate of heads beside the towers."""

    def parameter_limits(self) -> dict[str, float]:
        """Parameter's name → the value that the loop holds its entries at or below after each step."""
        return {}

    def forward(
        self,
        batch: Batch,
        step: StepContext,
        *,
        features: RowsOf | None = None,
        only_encode: bool = False,
        gradients: Mapping[str, Tensor] | None = None,
    ) -> RowsOf | dict[str, Tensor]:
        """Losses of a batch; with `only_encode` its features; with `features` the losses that follow from them.

        With `gradients` of the features by name, `loss` is the scalar whose backward pass carries them into the towers.
        An engine's hooks see only `forward`, so every use of the parameters goes through it.
        """
        if only_encode:
            return self.encode(batch)
        if gradients is not None:
            return {"loss": inner_product(self.encode(batch), gradients)}
        return self.losses(self.encode(batch) if features is None else features, batch, step)


def inner_product(features: RowsOf, gradients: Mapping[str, Tensor]) -> Float[Tensor, ""]:
    """Σ⟨feature, gradient⟩ over the named fields: its gradient is what the chain rule carries on into the towers."""
    return torch.stack([(getattr(features, name).float() * g).sum() for name, g in gradients.items()]).sum()
