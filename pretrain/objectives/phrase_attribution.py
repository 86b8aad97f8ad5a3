"""Regions and alignment distilled from phrase attributions. Not in the paper: an objective of our own.

The teacher knows, for some images of the batch, which cells make the image more like each of its phrases
(`pretrain.shapley.attribution`). The student is the region generator, which learns a box and a confidence from it
without ever seeing a box label, and the patch tokens, which learn whose phrase they belong to.

Shapes: S images, N phrases, C cells, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from pretrain.objectives.inputs import ObjectiveInputs
from pretrain.objectives.objective import Objective, ObjectiveOptions
from pretrain.objectives.token_semantics import mean_per_item
from pretrain.regions.boxes import overlap, to_corners
from pretrain.regions.soft_mask import home_cell


class PhraseAttributionOptions(ObjectiveOptions):
    """What the teacher evaluates and what the student learns from it."""

    images: int = Field(2, ge=1, description="images per step on each worker that the teacher evaluates")
    evaluations: int = Field(
        48, ge=4, description="coalitions of each of those images, for all its phrases together"
    )
    ridge: float = Field(0.05, ge=0, description="shrinkage of the attributions, of the mean diagonal")
    level: float = Field(
        0.25, gt=0, le=1, description="share of the greatest cell from which cells belong to it"
    )
    deviations: float = Field(
        1.73, gt=0, description="half side of a box in standard deviations of its cells"
    )
    trust: float = Field(
        2.0, ge=0, description="standard errors that a phrase's greatest cell must stand out by"
    )
    first_step: int = Field(
        0, ge=0, description="step from which on the teacher is asked; it must know something"
    )
    longest: int = Field(12, ge=3, description="tokens of a phrase by itself, with [CLS] and [SEP]")
    box_weight: float = Field(1.0, ge=0, description="factor of the box loss")
    alignment_weight: float = Field(1.0, ge=0, description="factor of the alignment loss")
    temperature: float = Field(0.1, gt=0, description="softmax temperature of the alignment loss")
    shape: Literal["attribution", "saliency"] = Field(
        "attribution",
        description="what outlines an object: its own attributions, or the part that stands out where most of them lie",
    )
    positives: Literal["cells", "centre"] = Field(
        "cells",
        description="who learns a box: all cells of the object, or the one that holds the box's centre",
    )


@dataclass(frozen=True)
class Distillation:
    """What the teacher says of S images, and what the student says of the same."""

    cells: Bool[Tensor, "S N C"]
    """Cells of each phrase's object."""
    attributions: Float[Tensor, "S N C"]
    boxes: Float[Tensor, "S N 4"]
    """(centre x, centre y, width, height) of each phrase's object, fractions of the image."""
    trusted: Bool[Tensor, "S N"]
    """Phrases that are there and whose attribution stands out of its error."""
    student_boxes: Float[Tensor, "S C 4"]
    student_logits: Float[Tensor, "S C"]
    patches: Float[Tensor, "S C D"]
    phrases: Float[Tensor, "S N D"]
    """Unit-length embeddings of the phrases, in the context of their captions."""
    grid: tuple[int, int]
    """Rows and columns of the C cells."""


def phrase_attribution_loss(
    told: Distillation,
    *,
    box_weight: float = 1.0,
    alignment_weight: float = 1.0,
    temperature: float = 0.1,
    positives: Literal["cells", "centre"] = "cells",
) -> dict[str, Tensor]:
    """Confidence, box and alignment losses of the student, and their weighted sum `phrase_attribution_loss`.

    - confidence: binary cross-entropy of every cell's logit against "in some trusted phrase's object";
    - box: L1 + (1 - generalised IoU) at those cells, against the box of the phrase that claims the cell most;
    - alignment: each trusted phrase's object, the attribution-weighted mean of its patch tokens, against all trusted
      phrases of the S images (and the phrase against all objects): symmetric InfoNCE at `temperature`.
    With `positives` "centre", as in YOLO, the one cell that holds a box's centre stands for it in confidence and box;
    the other cells of the object say nothing: a cell's box has its centre inside it, so they could not reach it.
    Images without a trusted phrase count as 0.
    """
    claimed = told.cells & told.trusted[..., None]
    known = told.trusted.any(1, keepdim=True).expand(-1, claimed.shape[-1])
    answering = claimed
    if positives == "centre":
        answering = home_cell(told.boxes, told.grid) & told.trusted[..., None]
        known = known & (answering.any(1) | ~claimed.any(1))
    positive = answering.any(1)
    confidence = mean_per_item(
        F.binary_cross_entropy_with_logits(told.student_logits.float(), positive.float(), reduction="none"),
        known,
    )
    owner = told.attributions.masked_fill(~answering, float("-inf")).argmax(1)
    target = told.boxes.gather(1, owner[..., None].expand(-1, -1, 4)).to(told.student_boxes.dtype)
    apart = (told.student_boxes - target).abs().sum(-1) + 1 - generalised_iou(told.student_boxes, target)
    box = mean_per_item(apart, positive)
    alignment = _alignment(told, claimed, temperature)
    total = confidence + box_weight * box + alignment_weight * alignment
    with torch.no_grad():
        iou = overlap(told.student_boxes.unsqueeze(2), target.unsqueeze(2)).flatten(2).squeeze(-1)
        agreement = mean_per_item(iou, positive)
    return {
        "phrase_attribution_loss": total,
        "attribution_confidence_loss": confidence,
        "attribution_box_loss": box,
        "attribution_alignment_loss": alignment,
        "attribution_box_iou": agreement,
        "attribution_trusted": told.trusted.float().sum(1).mean(),
    }


def generalised_iou(a: Float[Tensor, "... 4"], b: Float[Tensor, "... 4"]) -> Float[Tensor, "..."]:
    """Generalised IoU of boxes pairwise (Rezatofighi et al. 2019, eq. 3), -1..1; has a gradient even apart."""
    a, b = to_corners(a, clip=False), to_corners(b, clip=False)
    shared = (
        (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    )
    around = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - shared
    return shared / union.clamp(min=1e-12) - (around - union) / around.clamp(min=1e-12)


def _alignment(told: Distillation, claimed: Bool[Tensor, "S N C"], temperature: float) -> Tensor:
    """Objects against phrases over all trusted phrases of the S images."""
    weights = told.attributions.clamp(min=0).masked_fill(~claimed, 0).to(told.patches.dtype)
    objects = F.normalize(weights @ told.patches, dim=-1).flatten(0, 1)
    phrases = told.phrases.flatten(0, 1)
    real = told.trusted.flatten()
    logits = (objects.float() @ phrases.float().T / temperature).masked_fill(~real[None], -1e4)
    back = (phrases.float() @ objects.float().T / temperature).masked_fill(~real[None], -1e4)
    own = torch.arange(len(real), device=real.device)
    both = -(logits.log_softmax(-1)[own, own] + back.log_softmax(-1)[own, own]) / 2
    return both.masked_fill(~real, 0).sum() / real.sum().clamp(min=1)


def _loss(inputs: ObjectiveInputs, options: PhraseAttributionOptions) -> dict[str, Tensor]:
    distillation = inputs.targets_of("attribution_teacher", Distillation)
    if distillation is None:  # before the teacher's first step
        return {"phrase_attribution_loss": inputs.logit_scale.new_zeros(())}
    return phrase_attribution_loss(
        distillation,
        box_weight=options.box_weight,
        alignment_weight=options.alignment_weight,
        temperature=options.temperature,
        positives=options.positives,
    )


PHRASE_ATTRIBUTION = Objective(_loss, PhraseAttributionOptions, needs=("attribution_teacher",), phrases=True)
