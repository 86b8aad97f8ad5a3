"""Box ascent: a loss that moves boxes towards a higher value in the token game. Our own objective, not in the paper.

Shapes: K boxes, C cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from pretrain.objectives.inputs import ObjectiveInputs
from pretrain.objectives.objective import Objective, ObjectiveOptions


class BoxValueOptions(ObjectiveOptions):
    """How many boxes are evaluated per step, which other cells are present, and how a box's size divides its value."""

    regions: int = Field(4, ge=1, description="boxes per step on each worker, each of a different image")
    size_exponent: float = Field(
        0.5, ge=0, le=2, description="a box's value is divided by its cells to this power"
    )
    others: Literal["random", "all"] = Field(
        "random", description="cells that are present outside the box: a random coalition, or all of them"
    )


@dataclass(frozen=True)
class BoxValues:
    """K boxes, one per image, and their values next to a coalition T of the other cells of the image."""

    soft_masks: Float[Tensor, "K C"]
    """How far each box covers each cell, 0..1; differentiable."""
    values: Float[Tensor, " K"]
    """v1(T ∪ box) - v1(T), with T outside the box and the whole caption present; without gradient."""
    slopes: Float[Tensor, "K C"]
    """Derivative of the value with respect to the mask at each cell; without gradient."""


def box_value_loss(box_values: BoxValues, *, size_exponent: float) -> dict[str, Tensor]:
    """Return minus the mean of (value of a box / its size in cells ** `size_exponent`).

    The gradient reaches only the soft masks, through the value and through the size. `values` and `slopes` are
    constants, so the towers are not trained to raise the value. With exponent 0 boxes grow without limit; with 1 they
    shrink to their best cell. Returns `box_value_loss` and the metrics `box_value` (mean value) and `box_value_cells`
    (mean size in cells).
    """
    linear = (box_values.soft_masks.float() * box_values.slopes).sum(-1)
    value = box_values.values + (linear - linear.detach())  # equals `values`; its gradient is `slopes`
    cells = box_values.soft_masks.float().sum(-1).clamp(min=1)
    return {
        "box_value_loss": -(value / cells**size_exponent).mean(),
        "box_value": box_values.values.mean(),
        "box_value_cells": cells.detach().mean(),
    }


def _loss(inputs: ObjectiveInputs, options: BoxValueOptions) -> dict[str, Tensor]:
    return box_value_loss(
        inputs.required_targets_of("box_ascent", BoxValues), size_exponent=options.size_exponent
    )


BOX_VALUE = Objective(_loss, BoxValueOptions, needs=("box_ascent",))
