"""Hinge losses over the global batch: the sum or the maximum of hinges (VSE++, arXiv 1707.05612, eq. 5-6)."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from pretrain.objectives.inputs import ObjectiveInputs
from pretrain.objectives.objective import Objective, ObjectiveOptions
from pretrain.objectives.shared.matching import partner_rows
from pretrain.ranks import gather_with_gradient


class HardNegativeOptions(ObjectiveOptions):
    """Margin of the hinges and choice of negatives."""

    margin: float = Field(0.2, ge=0, description="cosine by which a pair must exceed its negatives")
    negatives: Literal["max", "sum"] = Field(
        "max", description="hardest negative of the batch, or all of them"
    )


def hard_negative_loss(
    images: Float[Tensor, "B D"],
    texts: Float[Tensor, "B D"],
    *,
    margin: float,
    negatives: Literal["max", "sum"],
) -> dict[str, Tensor]:
    """Return the mean over this rank's pairs i of the hinges [margin - s(i, i) + s(i, j)]+ of both directions.

    `max` takes the hardest negative j of the global batch (VSE++); `sum` adds up all negatives (VSE0). The two
    directions (image to texts, text to images) are added. `images` and `texts` are unit length; s is their inner
    product. The papers take the sum over the batch; here it is the mean, so that the weight in a recipe does not depend
    on the batch size. Averaged over ranks, the loss and its gradients are those of the whole batch. A batch of one pair
    has no negative: its loss is 0. Returns `hard_negative_loss` and the metric `hard_negative_active` (share of the
    hinges that are above 0).
    """
    partners = partner_rows(images)
    pair_scores = (images.float() * texts.float()).sum(1, keepdim=True)
    all_images, all_texts = gather_with_gradient(images).float(), gather_with_gradient(texts).float()
    is_partner = partners[:, None] == torch.arange(len(all_texts), device=partners.device)
    towards_texts = _hinges(images.float() @ all_texts.T, pair_scores, is_partner, margin, negatives)
    towards_images = _hinges(texts.float() @ all_images.T, pair_scores, is_partner, margin, negatives)
    hinges = torch.stack([towards_texts, towards_images])
    hinges_per_row = 1 if negatives == "max" else len(all_texts) - 1
    return {
        "hard_negative_loss": hinges.sum((0, 2)).mean(),
        "hard_negative_active": (hinges.detach() > 0).sum()
        / max(1, hinges[..., :1].numel() * hinges_per_row),
    }


def _hinges(
    scores: Float[Tensor, "B G"],
    pair_scores: Float[Tensor, "B 1"],
    is_partner: Bool[Tensor, "B G"],
    margin: float,
    negatives: Literal["max", "sum"],
) -> Float[Tensor, "B N"]:
    """Return the hinges of one direction: the largest of each row (`max`), or all (`sum`; 0 for the pair itself)."""
    hinges = (margin - pair_scores + scores).clamp(min=0).masked_fill(is_partner, 0)
    return hinges.amax(1, keepdim=True) if negatives == "max" else hinges


def _loss(inputs: ObjectiveInputs, options: HardNegativeOptions) -> dict[str, Tensor]:
    features = inputs.features
    return hard_negative_loss(
        features.images, features.texts, margin=options.margin, negatives=options.negatives
    )


HARD_NEGATIVE = Objective(_loss, HardNegativeOptions)
