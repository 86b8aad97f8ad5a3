"""Box ascent: a loss that moves boxes towards a higher value in the token game. Our own objective, not in the paper.

Shapes: K boxes, C cells, or pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self

import torch
from jaxtyping import Bool, Float
from pydantic import Field, model_validator
from torch import Tensor

from pipelines.common.config import one_of
from pretrain.objectives.inputs import ObjectiveInputs
from pretrain.objectives.objective import Objective, ObjectiveOptions
from pretrain.objectives.shared.means import mean_of_real
from pretrain.regions.pixel_masks import FILLINGS


class BoxValueOptions(ObjectiveOptions):
    """How many boxes are evaluated per step, which of them, by which value, and how a box's size divides it."""

    regions: int = Field(4, ge=1, description="boxes per step on each worker, each of a different image")
    size_exponent: float = Field(
        0.5, ge=0, le=2, description="a box's value is divided by its cells to this power"
    )
    others: Literal["random", "all"] = Field(
        "random", description="cells that are present outside the box: a random coalition, or all of them"
    )
    boxes: Literal["confident", "phrase"] = Field(
        "confident",
        description="which box of an image: one of its most confident regions, for the caption; or for a phrase the "
        "box of the cell that answers best to it (the value is then that of both ends, alone and last, in pixels)",
    )
    fill: Annotated[str, one_of(FILLINGS)] = Field(
        "median", description="boxes: phrase; what stands for missing pixels: median (color), blur"
    )
    text: Literal["embedding", "max_pooled"] = Field(
        "embedding",
        description="boxes: phrase; what images and phrases are embedded by, as in phrase_contrast",
    )
    longest: int = Field(12, ge=3, description="boxes: phrase; tokens of a phrase with [CLS] and [SEP]")

    @model_validator(mode="after")
    def check_used(self) -> Self:
        """Raise ValueError for an option that the chosen boxes have no use for."""
        unused = ("others",) if self.boxes == "phrase" else ("fill", "text", "longest")
        for name in unused:
            default = type(self).model_fields[name].default
            if getattr(self, name) != default:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, which boxes: {self.boxes} have no use for; leave it out"
                )
        return self

    @property
    def needs_phrases(self) -> bool:
        """Boxes of phrases take captions with phrases."""
        return self.boxes == "phrase"


@dataclass(frozen=True)
class BoxValues:
    """K boxes, one per image, and their values next to a coalition T of the other cells of the image."""

    soft_masks: Float[Tensor, "K C"]
    """How far each box covers each cell, or pixel, 0..1; differentiable."""
    values: Float[Tensor, " K"]
    """Without gradient. For captions v1(T ∪ box) - v1(T), with T outside the box and the whole caption present; for
    phrases the mean of the box's value alone and of what is lost without it (`pretrain.shapley.ends`)."""
    slopes: Float[Tensor, "K C"]
    """Derivative of the value with respect to the mask at each cell or pixel; without gradient."""
    real: Bool[Tensor, " K"] | None = None
    """Which boxes count; None: all."""
    cells: float = 1.0
    """The cells that an entry of a mask stands for: below 1 for pixels."""


def box_value_loss(box_values: BoxValues, *, size_exponent: float) -> dict[str, Tensor]:
    """Return minus the mean, over all ranks, of (value of a box / its size in cells ** `size_exponent`).

    The gradient reaches only the soft masks, through the value and through the size. `values` and `slopes` are
    constants, so the towers are not trained to raise the value. With exponent 0 boxes grow without limit; with 1 they
    shrink to their best cell. Returns `box_value_loss` and the metrics `box_value` (mean value) and `box_value_cells`
    (mean size in cells).
    """
    linear = (box_values.soft_masks.float() * box_values.slopes).sum(-1)
    value = box_values.values + (linear - linear.detach())  # equals `values`; its gradient is `slopes`
    cells = (box_values.soft_masks.float().sum(-1) * box_values.cells).clamp(min=1)
    real = torch.ones_like(value, dtype=torch.bool) if box_values.real is None else box_values.real
    return {
        "box_value_loss": -mean_of_real(value / cells**size_exponent, real),
        "box_value": mean_of_real(box_values.values, real),
        "box_value_cells": mean_of_real(cells.detach(), real),
    }


def _loss(inputs: ObjectiveInputs, options: BoxValueOptions) -> dict[str, Tensor]:
    box_values = inputs.targets_of("box_ascent", BoxValues)
    if box_values is None:
        return inputs.resting("box_value")
    return box_value_loss(box_values, size_exponent=options.size_exponent)


BOX_VALUE = Objective(_loss, BoxValueOptions, needs=("box_ascent",))
