"""Hinge losses over the global batch: sum of hinges, max of hinges (VSE++, arXiv 1707.05612, eq. 5-6)."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from pretrain.objectives.distributed import gather_with_gradient, world
from pretrain.objectives.inputs import ObjectiveInputs
from pretrain.objectives.objective import Objective, ObjectiveOptions


class HardNegativeOptions(ObjectiveOptions):
    """Margin and choice of negatives of the hinge losses."""

    margin: float = Field(0.2, ge=0, description="cosine by which the pair must win")
    negatives: Literal["max", "sum"] = Field(
        "max", description="hardest negative of the batch, or all of them"
    )


def hard_negative_loss(
    images: Float[Tensor, "B D"],
    texts: Float[Tensor, "B D"],
    *,
    margin: float = 0.2,
    negatives: Literal["max", "sum"] = "max",
) -> dict[str, Tensor]:
    """Mean over this rank's pairs i of both directions of [margin - s(i, i) + s(i, j)]+.

    `max` takes the hardest negative j of the global batch (VSE++), `sum` adds up all of them (VSE0). `images`
    and `texts` are unit length, s is their inner product. The papers add over the batch where this takes the
    mean, so that the weight in a recipe does not depend on the batch size. Averaged over ranks, the loss and
    its gradients are those of the whole batch. A batch of one pair has no negative: its loss is 0. Returns
    `hard_negative_loss` and the metric `hard_negative_active` (share of the hinges that still push).
    """
    rank, _ = world()
    own = torch.arange(len(images), device=images.device) + rank * len(images)
    matched = (images.float() * texts.float()).sum(1, keepdim=True)
    all_images, all_texts = gather_with_gradient(images).float(), gather_with_gradient(texts).float()
    itself = own[:, None] == torch.arange(len(all_texts), device=own.device)
    towards_texts = _hinges(images.float() @ all_texts.T, matched, itself, margin, negatives)
    towards_images = _hinges(texts.float() @ all_images.T, matched, itself, margin, negatives)
    both = torch.stack([towards_texts, towards_images])
    each = 1 if negatives == "max" else len(all_texts) - 1
    return {
        "hard_negative_loss": both.sum((0, 2)).mean(),
        "hard_negative_active": (both.detach() > 0).sum() / max(1, both[..., :1].numel() * each),
    }


def _hinges(
    scores: Float[Tensor, "B G"],
    matched: Float[Tensor, "B 1"],
    itself: Bool[Tensor, "B G"],
    margin: float,
    negatives: Literal["max", "sum"],
) -> Float[Tensor, "B N"]:
    """The hinges that count in one direction: one a row (`max`), or all (`sum`; the pair itself is 0)."""
    hinges = (margin - matched + scores).clamp(min=0).masked_fill(itself, 0)
    return hinges.amax(1, keepdim=True) if negatives == "max" else hinges


def _loss(inputs: ObjectiveInputs, options: HardNegativeOptions) -> dict[str, Tensor]:
    features = inputs.features
    return hard_negative_loss(
        features.images, features.texts, margin=options.margin, negatives=options.negatives
    )


HARD_NEGATIVE = Objective(_loss, HardNegativeOptions)
