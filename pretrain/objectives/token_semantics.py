"""L_TSA: trains region confidences on token-level Shapley interactions (LOUPE eq. 8)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from pretrain.objectives.inputs import ObjectiveInputs, ShapleyTargets
from pretrain.objectives.objective import Objective, ObjectiveOptions
from pretrain.objectives.shared.means import mean_per_item


def token_semantics_loss(
    confidence_logits: Float[Tensor, "B M"],
    labels: Float[Tensor, "B M"],
    supervised: Bool[Tensor, "B M"],
) -> dict[str, Tensor]:
    """Return -1/M Σ_m [y_m log c_m + (1 - y_m) log(1 - c_m)], averaged over images.

    `confidence_logits` come from the region generator, before the sigmoid; c are the confidences after it. `labels` y
    are the normalised interactions in 0..1; no gradient flows into them. `supervised` is True at regions that have a
    label in this step. The mean is taken per image over its supervised regions, then over all B images; an image
    without supervised regions counts as 0, so the mean over ranks and micro-batches of equal size is the mean over the
    whole batch. Returns `token_semantics_loss` and the metric `token_semantics_divergence`: the loss minus the entropy
    of the labels, which is the lowest value that the loss can take with soft labels.
    """
    labels = labels.detach().float().masked_fill(~supervised, 0)
    logits = confidence_logits.float().masked_fill(~supervised, 0)
    loss = mean_per_item(F.binary_cross_entropy_with_logits(logits, labels, reduction="none"), supervised)
    with torch.no_grad():
        entropy = -(torch.xlogy(labels, labels) + torch.xlogy(1 - labels, 1 - labels))
        divergence = loss - mean_per_item(entropy, supervised)
    return {"token_semantics_loss": loss, "token_semantics_divergence": divergence}


def _loss(inputs: ObjectiveInputs, _options: ObjectiveOptions) -> dict[str, Tensor]:
    targets = inputs.targets_of("shapley", ShapleyTargets)
    if targets is None:
        return inputs.resting("token_semantics")
    return token_semantics_loss(targets.regions.confidence_logits, targets.token_labels, targets.supervised)


TOKEN_SEMANTICS = Objective(_loss, ObjectiveOptions, needs=("shapley",))
