"""L_FSA: the alignment of regions with phrases learns the semantic Shapley interactions (LOUPE eq. 11)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from pretrain.objectives.inputs import ObjectiveInputs, ShapleyTargets
from pretrain.objectives.objective import Objective, ObjectiveOptions
from pretrain.objectives.token_semantics import mean_per_item
from pretrain.regions.soft_mask import pool


class FineGrainedOptions(ObjectiveOptions):
    """Softmax and direction of the alignment loss, and whether it moves boxes."""

    scale: float = Field(
        1.0, gt=0, description="inverse temperature of the alignment's softmax; the paper: 1"
    )
    moves_boxes: bool = Field(
        True, description="whether the loss reaches the boxes through their masks; the paper: yes"
    )
    both_ways: bool = Field(
        False,
        description="whether phrases choose among regions as well; the paper: regions among phrases alone",
    )


def fine_grained_loss(
    alignment: Float[Tensor, "B M N"],
    targets: Float[Tensor, "B M N"],
    region_mask: Bool[Tensor, "B M"],
    phrase_mask: Bool[Tensor, "B N"],
    *,
    phrase_targets: Float[Tensor, "B M N"] | None = None,
    scale: float | Float[Tensor, "1"] = 1.0,
) -> dict[str, Tensor]:
    """-1/M Σ_i Σ_j t_ij log softmax_j(scale · A_ij), the mean over images.

    `alignment` A holds the inner products of regions and phrases; the row-softmax runs over real phrases.
    `targets` t are the normalised interactions, each row summing to one over the real phrases, without
    gradient; a region without a target has a False in `region_mask`. `phrase_targets`, whose columns sum to
    one over regions, adds the same loss from phrases to regions (softmax over real regions), and the two are
    averaged: the paper has only the first. `scale` multiplies the alignment before the softmax: 1 as in the
    paper; cosines then stay within a factor e² of each other, so a larger one lets the loss come nearer to
    sharp targets. An image without phrases (or regions) counts as 0 in the mean over all B images. Returns
    `fine_grained_loss` and the metric `fine_grained_divergence`: the loss less the targets' own entropy.
    """
    logits = alignment.float() * scale
    loss, entropy = _directed(logits, targets, region_mask, phrase_mask)
    if phrase_targets is not None:
        other = _directed(logits.mT, phrase_targets.mT, phrase_mask, region_mask)
        loss, entropy = (loss + other[0]) / 2, (entropy + other[1]) / 2
    return {"fine_grained_loss": loss, "fine_grained_divergence": loss.detach() - entropy}


def _directed(
    logits: Float[Tensor, "B R C"],
    targets: Float[Tensor, "B R C"],
    row_mask: Bool[Tensor, "B R"],
    column_mask: Bool[Tensor, "B C"],
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """(cross-entropy, entropy of the targets), rows and columns real where their masks are True."""
    real = row_mask[:, :, None] & column_mask[:, None, :]
    targets = targets.detach().float().masked_fill(~real, 0)
    # A finite floor, not -inf: a row of padding has to stay free of NaN in the backward pass as well.
    logs = F.log_softmax(logits.masked_fill(~real, torch.finfo(torch.float32).min), dim=-1).masked_fill(
        ~real, 0
    )
    rows = real.any(-1)
    with torch.no_grad():
        entropy = mean_per_item(-torch.xlogy(targets, targets).sum(-1), rows)
    return mean_per_item(-(targets * logs).sum(-1), rows), entropy


def _loss(inputs: ObjectiveInputs, options: FineGrainedOptions) -> dict[str, Tensor]:
    targets = inputs.required_targets_of("shapley", ShapleyTargets)
    alignment = targets.alignment
    if not options.moves_boxes:
        # The single cell nearest to a phrase aligns better than the whole object: free boxes would shrink to it.
        regions = pool(inputs.features.patches, targets.regions.soft_masks.detach())
        alignment = regions.float() @ targets.phrases.float().transpose(1, 2)
    return fine_grained_loss(
        alignment,
        targets.semantic_targets,
        targets.known,
        targets.phrase_mask,
        phrase_targets=targets.phrase_targets if options.both_ways else None,
        scale=options.scale,
    )


FINE_GRAINED = Objective(_loss, FineGrainedOptions, needs=("shapley",), phrases=True)
