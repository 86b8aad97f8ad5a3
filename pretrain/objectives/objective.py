"""What an objective is: a loss on an `ObjectiveInputs`, its typed options, and what it needs."""

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


Options = TypeVar("Options", bound=ObjectiveOptions)


@dataclass(frozen=True)
class Objective(Generic[Options]):
    """A loss by name, as `OBJECTIVES` lists it.

    `loss(inputs, options)` returns `{"NAME_loss": scalar}` and plain metrics. `needs` names suppliers
    (`pretrain.supervision.SUPPLIERS`) whose targets it reads, or `LOGIT_BIAS` for the task's learned bias. `phrases` is
    True where the objective is undefined on captions without phrases.
    """

    loss: Callable[[ObjectiveInputs, Options], dict[str, Tensor]]
    options: type[Options]
    needs: tuple[str, ...] = ()
    phrases: bool = False


LOGIT_BIAS = "logit_bias"
"""The need for a learned bias of the logits, which the task holds as a parameter."""
