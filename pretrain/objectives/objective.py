"""Defines `Objective`: a loss on an `ObjectiveInputs`, its typed options, and what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import Field
from torch import Tensor

from pipelines.common.config import Section
from pretrain.objectives.inputs import ObjectiveInputs


class ObjectiveOptions(Section):
    """Options that every objective has."""

    weight: float = Field(1.0, ge=0, description="factor of the objective's loss in the sum")

    @property
    def needs_phrases(self) -> bool:
        """Whether the objective is undefined on captions without phrases because of its options."""
        return False

    @property
    def also_needs(self) -> tuple[str, ...]:
        """Suppliers that the objective reads because of its options, beside those that it always reads."""
        return ()


Options = TypeVar("Options", bound=ObjectiveOptions)


@dataclass(frozen=True)
class Objective(Generic[Options]):
    """One entry of `OBJECTIVES`: a loss, the class of its options, and what it needs.

    `loss(inputs, options)` returns `{"NAME_loss": scalar}` and plain metrics. `needs` names the suppliers
    (`pretrain.supervision.SUPPLIERS`) whose targets the loss reads, and `LOGIT_BIAS` where it needs the task's learned
    bias. `phrases` is True when the objective is undefined on captions without phrases.
    """

    loss: Callable[[ObjectiveInputs, Options], dict[str, Tensor]]
    options: type[Options]
    needs: tuple[str, ...] = ()
    phrases: bool = False

    def needs_with(self, options: Options) -> tuple[str, ...]:
        """Return what the objective needs with these options."""
        return (*self.needs, *options.also_needs)


LOGIT_BIAS = "logit_bias"
"""Entry of `needs` that asks for a learned bias of the logits, a parameter of the task."""
