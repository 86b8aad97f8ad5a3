"""Box ascent: boxes move to where they are worth more in the token game. Not in the paper: an objective of our own.

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
    """Which boxes are evaluated, among which other cells, and how size counts."""

    regions: int = Field(4, ge=1, description="boxes per step on each worker, each of another image")
    size_exponent: float = Field(
        0.5, ge=0, le=2, description="a box's value is divided by its cells to this power"
    )
    others: Literal["random", "all"] = Field(
        "random", description="which cells outside the box are there: a random coalition, or all of them"
    )


@dataclass(frozen=True)
class BoxValues:
    """K boxes and what they are worth among random coalitions of their image."""

    soft_masks: Float[Tensor, "K C"]
    """Differentiable cover of the cells, 0..1."""
    values: Float[Tensor, " K"]
    """v1(T ∪ box) - v1(T), T outside the box, the whole caption present; without gradient."""
    slopes: Float[Tensor, "K C"]
    """Slope of the value in each cell of the mask; without gradient."""


def box_value_loss(found: BoxValues, *, size_exponent: float = 0.5) -> dict[str, Tensor]:
    """Minus the mean value of a box, divided by its size in cells to the power of `size_exponent`.

    The gradient reaches the boxes through their soft masks and through their size, and nothing else: the towers are not
    to make boxes worth more. Exponent 0 lets boxes grow without end, 1 shrinks them to their best cell. Returns
    `box_value_loss` and the metrics `box_value` (mean value) and `box_value_cells` (mean size in cells).
    """
    linear = (found.soft_masks.float() * found.slopes).sum(-1)
    value = found.values + (linear - linear.detach())  # the value itself, with its slope
    cells = found.soft_masks.float().sum(-1).clamp(min=1)
    return {
        "box_value_loss": -(value / cells**size_exponent).mean(),
        "box_value": found.values.mean(),
        "box_value_cells": cells.detach().mean(),
    }


def _loss(inputs: ObjectiveInputs, options: BoxValueOptions) -> dict[str, Tensor]:
    return box_value_loss(
        inputs.required_targets_of("box_ascent", BoxValues), size_exponent=options.size_exponent
    )


BOX_VALUE = Objective(_loss, BoxValueOptions, needs=("box_ascent",))
