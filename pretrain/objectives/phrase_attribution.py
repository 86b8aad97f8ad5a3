"""Distils regions and alignment from phrase attributions. Our own objective, not in the paper.

The teacher computes, for some images of the batch, how much each cell adds to the image's similarity with each phrase
(`pretrain.shapley.attribution`). The student has two parts: the region generator learns boxes and confidences from the
teacher, without any box label; the patch tokens learn which phrase they belong to.

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
from pretrain.objectives.shared.means import mean_of_real, mean_per_item
from pretrain.regions.boxes import overlap, to_corners
from pretrain.regions.soft_mask import home_cell

LONGEST_PHRASE = 12  # tokens of a phrase encoded as a text of its own, with [CLS] and [SEP]


class PhraseAttributionOptions(ObjectiveOptions):
    """How much the teacher evaluates, how its objects are outlined, and how the student's losses are weighted."""

    images: int = Field(2, ge=1, description="images per step on each worker that the teacher evaluates")
    evaluations: int = Field(
        48, ge=4, description="coalitions of each of those images, for all its phrases together"
    )
    ridge: float = Field(
        0.05, ge=0, description="ridge penalty of the attributions, as a share of the mean diagonal"
    )
    level: float = Field(
        0.25,
        gt=0,
        le=1,
        description="share of the greatest cell's value from which a cell belongs to the object",
    )
    deviations: float = Field(
        1.73, gt=0, description="half side of a box in standard deviations of its cells"
    )
    trust: float = Field(
        2.0, ge=0, description="standard errors by which a phrase's greatest cell must exceed 0"
    )
    first_step: int = Field(
        0,
        ge=0,
        description="first step in which the teacher is used, counted with start.step; earlier ones are noise",
    )
    longest: int = Field(
        LONGEST_PHRASE, ge=3, description="longest phrase encoded by itself, tokens with [CLS] and [SEP]"
    )
    box_weight: float = Field(1.0, ge=0, description="factor of the box loss")
    alignment_weight: float = Field(1.0, ge=0, description="factor of the alignment loss")
    temperature: float = Field(0.1, gt=0, description="softmax temperature of the alignment loss")
    shape: Literal["attribution", "saliency"] = Field(
        "attribution",
        description="what outlines an object: its attributions, or the salient part that holds most of them",
    )
    positives: Literal["cells", "centre"] = Field(
        "cells",
        description="cells that learn a box: all cells of the object, or the one that holds the box's centre",
    )


@dataclass(frozen=True)
class Distillation:
    """The teacher's targets for S images, and the student's outputs for the same images."""

    cells: Bool[Tensor, "S N C"]
    """Cells of each phrase's object."""
    attributions: Float[Tensor, "S N C"]
    """What each cell adds to the image's similarity with each phrase."""
    boxes: Float[Tensor, "S N 4"]
    """(centre x, centre y, width, height) of each phrase's object, fractions of the image."""
    trusted: Bool[Tensor, "S N"]
    """True at real phrases (not padding) whose attribution exceeds its error (see the option `trust`)."""
    student_boxes: Float[Tensor, "S C 4"]
    """The region generator's box at each cell, in the same form as `boxes`."""
    student_logits: Float[Tensor, "S C"]
    """The region generator's confidence at each cell, before the sigmoid."""
    patches: Float[Tensor, "S C D"]
    phrases: Float[Tensor, "S N D"]
    """Unit-length embeddings of the phrases, in the context of their captions."""
    grid: tuple[int, int]
    """Rows and columns of the C cells."""


def phrase_attribution_loss(
    distillation: Distillation,
    *,
    box_weight: float,
    alignment_weight: float,
    temperature: float,
    positives: Literal["cells", "centre"],
) -> dict[str, Tensor]:
    """Return the student's confidence, box and alignment losses, and their weighted sum `phrase_attribution_loss`.

    - confidence: binary cross-entropy of each cell's logit; the label is 1 in the object of any trusted phrase, else 0;
    - box: L1 + (1 - generalised IoU) at the cells with label 1, against the box of the phrase whose attribution is
      highest at the cell;
    - alignment: symmetric InfoNCE at `temperature` between the objects and the phrases of all trusted phrases of the S
      images. An object is the attribution-weighted mean of its patch tokens.
    With `positives` "centre", as in YOLO, only the cell that holds a box's centre has label 1 and learns the box. The
    other cells of the object take no part in either loss: the box that a cell predicts has its centre inside that cell,
    so they could not predict this box. Confidence and box losses are means per image, then over the S images; an image
    without a trusted phrase counts as 0. Metrics: `attribution_box_iou` (mean IoU of the student's boxes with their
    targets) and `attribution_trusted` (trusted phrases per image).
    """
    claimed = distillation.cells & distillation.trusted[..., None]
    known = distillation.trusted.any(1, keepdim=True).expand(-1, claimed.shape[-1])
    owners = claimed
    if positives == "centre":
        owners = home_cell(distillation.boxes, distillation.grid) & distillation.trusted[..., None]
        known = known & (owners.any(1) | ~claimed.any(1))
    positive = owners.any(1)
    confidence = mean_per_item(
        F.binary_cross_entropy_with_logits(
            distillation.student_logits.float(), positive.float(), reduction="none"
        ),
        known,
    )
    phrase_of_cell = distillation.attributions.masked_fill(~owners, float("-inf")).argmax(1)
    target = distillation.boxes.gather(1, phrase_of_cell[..., None].expand(-1, -1, 4)).to(
        distillation.student_boxes.dtype
    )
    box_errors = (
        (distillation.student_boxes - target).abs().sum(-1)
        + 1
        - generalised_iou(distillation.student_boxes, target)
    )
    box = mean_per_item(box_errors, positive)
    alignment = _alignment(distillation, claimed, temperature)
    total = confidence + box_weight * box + alignment_weight * alignment
    with torch.no_grad():
        iou = overlap(distillation.student_boxes.unsqueeze(2), target.unsqueeze(2)).flatten(2).squeeze(-1)
        mean_iou = mean_per_item(iou, positive)
    return {
        "phrase_attribution_loss": total,
        "attribution_confidence_loss": confidence,
        "attribution_box_loss": box,
        "attribution_alignment_loss": alignment,
        "attribution_box_iou": mean_iou,
        "attribution_trusted": distillation.trusted.float().sum(1).mean(),
    }


def generalised_iou(a: Float[Tensor, "... 4"], b: Float[Tensor, "... 4"]) -> Float[Tensor, "..."]:
    """Return the generalised IoU of each pair of boxes, -1..1 (Rezatofighi et al. 2019, eq. 3).

    Unlike IoU it has a gradient for boxes that do not overlap.
    """
    a, b = to_corners(a, clip=False), to_corners(b, clip=False)
    shared = (
        (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    )
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - shared
    return shared / union.clamp(min=1e-12) - (hull - union) / hull.clamp(min=1e-12)


def _alignment(distillation: Distillation, claimed: Bool[Tensor, "S N C"], temperature: float) -> Tensor:
    """Return the symmetric InfoNCE loss of objects and phrases among all trusted phrases of the S images.

    It is this rank's share of the mean over the trusted phrases of all ranks (see `mean_of_real`).
    """
    weights = distillation.attributions.clamp(min=0).masked_fill(~claimed, 0).to(distillation.patches.dtype)
    objects = F.normalize(weights @ distillation.patches, dim=-1).flatten(0, 1)
    phrases = distillation.phrases.flatten(0, 1)
    real = distillation.trusted.flatten()
    logits_per_object = (objects.float() @ phrases.float().T / temperature).masked_fill(~real[None], -1e4)
    logits_per_phrase = (phrases.float() @ objects.float().T / temperature).masked_fill(~real[None], -1e4)
    matches = torch.arange(len(real), device=real.device)
    losses = (
        -(
            logits_per_object.log_softmax(-1)[matches, matches]
            + logits_per_phrase.log_softmax(-1)[matches, matches]
        )
        / 2
    )
    return mean_of_real(losses, real)


def _loss(inputs: ObjectiveInputs, options: PhraseAttributionOptions) -> dict[str, Tensor]:
    distillation = inputs.targets_of("attribution_teacher", Distillation)
    if distillation is None:  # before the teacher's first step
        return inputs.resting("phrase_attribution")
    return phrase_attribution_loss(
        distillation,
        box_weight=options.box_weight,
        alignment_weight=options.alignment_weight,
        temperature=options.temperature,
        positives=options.positives,
    )


PHRASE_ATTRIBUTION = Objective(_loss, PhraseAttributionOptions, needs=("attribution_teacher",), phrases=True)
