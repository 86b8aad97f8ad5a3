"""Defines `Task`: the `nn.Module` that an engine wraps; it holds the model and computes the losses."""

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
    """A dataclass whose fields are tensors [B, ...] or lists of length B: one entry per pair."""

    __dataclass_fields__: ClassVar[dict[str, Any]]  # Any: the type that `dataclasses` itself gives it


RowsOf = TypeVar("RowsOf", bound=Rows)
"""Type of the features of a task."""


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters with the same AdamW settings."""

    parameters: list[nn.Parameter]
    weight_decay: float
    rate: float
    """Factor that multiplies the schedule's learning rate."""
    from_step: int = 0
    """First step that changes the parameters; before it they get no gradient."""


class Task(nn.Module, ABC, Generic[RowsOf]):
    """One kind of training: the only interface that the loop, the engines and gradient accumulation use.

    A step has two halves, `encode` and `losses`, so that micro-batches can be encoded one after another and the losses
    computed over all of them together.
    """

    config_class: ClassVar[type[PretrainConfig]]
    """Class of this task's recipe."""
    required_parts: ClassVar[tuple[str, ...]] = ()
    """Parts (see `part_of`) that a checkpoint must hold when a run starts from its weights."""

    @classmethod
    @abstractmethod
    def build(cls, config: PretrainConfig, vocabulary_size: int) -> Task[RowsOf]:
        """Build the module that a recipe (a `config_class`) describes, for a tokenizer of `vocabulary_size` pieces."""

    @abstractmethod
    def encode(self, batch: Batch) -> RowsOf:
        """Return the features of a batch; `losses` reaches the towers through their floating-point tensors.

        With accumulation a micro-batch is encoded twice. Torch's own generator is seeded before each encoding, with the
        same seed per micro-batch, so random draws in `encode` may come from it (as those of dropout do).
        """

    @abstractmethod
    def losses(self, features: RowsOf, batch: Batch, step: StepContext) -> dict[str, Tensor]:
        """Return `loss` (the weighted sum), each objective's `NAME_loss`, and plain metrics; all are scalars."""

    @abstractmethod
    def parameter_groups(self, weight_decay: float, head_rate: float = 1.0) -> list[ParameterGroup]:
        """Group the parameters that learn for AdamW; `head_rate` multiplies the rate of the heads beside the towers."""

    def begin(self, step: StepContext) -> None:
        """Set what depends on the number of the step, such as which parts are locked; `forward` calls it first."""

    def parameter_limits(self) -> dict[str, float]:
        """Return parameter's name → upper limit of its entries; the loop clamps them after each step."""
        return {}

    @classmethod
    def part_of(cls, name: str) -> str:
        """Return the part of the module that the tensor `name` belongs to: by default, its first component.

        A run that starts from the weights of another run loads them part by part: a part whole, or not at all.
        """
        return name.partition(".")[0]

    def forward(
        self,
        batch: Batch,
        step: StepContext,
        *,
        features: RowsOf | None = None,
        only_encode: bool = False,
        gradients: Mapping[str, Tensor] | None = None,
    ) -> RowsOf | dict[str, Tensor]:
        """Return the losses of a batch.

        With `only_encode` it returns the features of the batch. With `features` it computes the losses from them and
        does not encode. With `gradients` (name of a feature → its gradient) it returns only `loss`, a scalar whose
        backward pass propagates these gradients into the towers. The hooks of an engine run only on `forward`, so every
        use of the parameters goes through it.
        """
        self.begin(step)
        if only_encode:
            return self.encode(batch)
        if gradients is not None:
            return {"loss": inner_product(self.encode(batch), gradients)}
        return self.losses(self.encode(batch) if features is None else features, batch, step)


def inner_product(features: RowsOf, gradients: Mapping[str, Tensor]) -> Float[Tensor, ""]:
    """Return Σ⟨feature, gradient⟩ over the named fields.

    By the chain rule, its backward pass gives the towers the gradients that belong to these feature gradients.
    """
    return torch.stack(
        [(getattr(features, name).float() * gradient).sum() for name, gradient in gradients.items()]
    ).sum()
