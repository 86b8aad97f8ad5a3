"""L_FSA: trains the alignment of regions with phrases on semantic Shapley interactions (LOUPE eq. 11)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from pretrain.objectives.inputs import ObjectiveInputs, ShapleyTargets
from pretrain.objectives.objective import Objective, ObjectiveOptions
from pretrain.objectives.shared.means import mean_per_item
from pretrain.regions.soft_mask import pool


class FineGrainedOptions(ObjectiveOptions):
    """Temperature and directions of the alignment loss, and whether its gradient moves boxes."""

    scale: float = Field(
        1.0, gt=0, description="inverse temperature of the alignment's softmax; the paper: 1"
    )
    moves_boxes: bool = Field(
        True, description="whether the gradient reaches the boxes through their masks; the paper: yes"
    )
    both_ways: bool = Field(
        False,
        description="add the softmax of phrases over regions; the paper: only that of regions over phrases",
    )


def fine_grained_loss(
    alignment: Float[Tensor, "B M N"],
    targets: Float[Tensor, "B M N"],
    region_mask: Bool[Tensor, "B M"],
    phrase_mask: Bool[Tensor, "B N"],
    *,
    phrase_targets: Float[Tensor, "B M N"] | None = None,
    scale: float | Float[Tensor, "1"],
) -> dict[str, Tensor]:
    """Return -1/M Σ_i Σ_j t_ij log softmax_j(scale · A_ij), averaged over the B images.

    `alignment` A holds the inner products of regions and phrases; the softmax of each row runs over real phrases.
    `targets` t are the normalised interactions: each row sums to one over the real phrases, and no gradient flows into
    them. A region without a target is False in `region_mask`. The columns of `phrase_targets` sum to one over regions;
    when they are given, the same loss from phrases to regions (softmax over real regions) is computed too, and the
    result is the mean of both. The paper has only the first. `scale` multiplies the alignment before the softmax; the
    paper has 1. At 1 the exponentials of the cosines differ by a factor of at most e², so the softmax cannot become
    sharp; a larger scale lets the loss come closer to sharp targets. An image without phrases (or regions) counts as 0.
    Returns `fine_grained_loss` and the metric `fine_grained_divergence`: the loss minus the entropy of the targets.
    """
    logits = alignment.float() * scale
    loss, entropy = _directed(logits, targets, region_mask, phrase_mask)
    if phrase_targets is not None:
        phrase_loss, phrase_entropy = _directed(logits.mT, phrase_targets.mT, phrase_mask, region_mask)
        loss, entropy = (loss + phrase_loss) / 2, (entropy + phrase_entropy) / 2
    return {"fine_grained_loss": loss, "fine_grained_divergence": loss.detach() - entropy}


def _directed(
    logits: Float[Tensor, "B R C"],
    targets: Float[Tensor, "B R C"],
    row_mask: Bool[Tensor, "B R"],
    column_mask: Bool[Tensor, "B C"],
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return (cross-entropy, entropy of the targets); a mask is True at real rows or columns."""
    real = row_mask[:, :, None] & column_mask[:, None, :]
    targets = targets.detach().float().masked_fill(~real, 0)
    # A finite floor, not -inf: -inf would give NaN in the backward pass of a row that is all padding.
    logs = F.log_softmax(logits.masked_fill(~real, torch.finfo(torch.float32).min), dim=-1).masked_fill(
        ~real, 0
    )
    rows = real.any(-1)
    with torch.no_grad():
        entropy = mean_per_item(-torch.xlogy(targets, targets).sum(-1), rows)
    return mean_per_item(-(targets * logs).sum(-1), rows), entropy


def _loss(inputs: ObjectiveInputs, options: FineGrainedOptions) -> dict[str, Tensor]:
    targets = inputs.targets_of("shapley", ShapleyTargets)
    if targets is None:
        return inputs.resting("fine_grained")
    semantic = targets.semantic
    assert semantic is not None
    alignment = semantic.alignment
    if not options.moves_boxes:
        # One cell often aligns better with a phrase than the whole object does, so boxes that this loss may move
        # would shrink to that cell.
        regions = pool(inputs.features.patches, targets.regions.soft_masks.detach())
        alignment = regions.float() @ semantic.phrases.float().transpose(1, 2)
    return fine_grained_loss(
        alignment,
        semantic.by_region,
        semantic.known,
        semantic.phrase_mask,
        phrase_targets=semantic.by_phrase if options.both_ways else None,
        scale=options.scale,
    )


FINE_GRAINED = Objective(_loss, FineGrainedOptions, needs=("shapley",), phrases=True)
