"""The uncertainty-aware loss of UNSIL, the predictor of interactions (LOUPE eq. 12)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from pretrain.objectives.inputs import ObjectiveInputs, ShapleyTargets
from pretrain.objectives.objective import Objective, ObjectiveOptions
from pretrain.objectives.shared.means import mean_per_item


class UnsilOptions(ObjectiveOptions):
    """Balance between squared error and uncertainty."""

    beta: float = Field(1.0, gt=0, description="factor β of the uncertainty (paper, eq. 12)")


def unsil_loss(
    predicted: Float[Tensor, "B ..."],
    uncertainty: Float[Tensor, "B ..."],
    targets: Float[Tensor, "B ..."],
    sampled: Bool[Tensor, "B ..."],
    *,
    beta: float,
) -> dict[str, Tensor]:
    """Return (1/σ) (Î - I)² + β σ, averaged over the sampled regions of each image, then over all B images.

    `predicted` Î and `targets` I have the same units; `uncertainty` σ lies in (0, 1); `sampled` is True where the
    target was computed in this step. For a fixed error the loss is smallest at σ = |Î - I| / √β, so the units decide
    what σ means. In raw units interactions are about 0.001: σ would settle near 0 and the rule u > σ would hardly ever
    sample again. Pass both in units of the running scale (`pretrain.models.running_statistics`, `InteractionScale`):
    then, with β = 1, σ is the error relative to a typical interaction.

    The head keeps σ above a minimum (`pretrain.models.unsil.SIGMA_MIN`), so 1/σ needs no guard here. An image without
    sampled regions counts as 0, so the mean over ranks and micro-batches of equal size is that of the whole batch.
    Returns `unsil_loss`, and the metrics `unsil_squared_error` and `unsil_uncertainty`.
    """
    targets = targets.detach().float().masked_fill(~sampled, 0)
    error = (predicted.float().masked_fill(~sampled, 0) - targets) ** 2
    sigma = uncertainty.float().masked_fill(~sampled, 1)
    return {
        "unsil_loss": mean_per_item(error / sigma + beta * sigma, sampled),
        "unsil_squared_error": mean_per_item(error.detach(), sampled),
        "unsil_uncertainty": mean_per_item(sigma.detach(), sampled),
    }


def _loss(inputs: ObjectiveInputs, options: UnsilOptions) -> dict[str, Tensor]:
    targets = inputs.targets_of("shapley", ShapleyTargets)
    if targets is None:
        return inputs.resting("unsil")
    prediction, wanted, sampled = targets.prediction, targets.token_targets, targets.sampled
    predicted, sigma = prediction.relative, prediction.uncertainty
    if prediction.added is not None:
        assert targets.added is not None
        assert targets.added_targets is not None
        # The error for the caption, and that for another text, which says what the caption does not ask for.
        other = targets.added.texts.roll(1, 0)[..., None]
        predicted = torch.stack([predicted, (prediction.added @ other)[..., 0]], -1)
        wanted = torch.stack([wanted, (targets.added_targets @ other)[..., 0]], -1)
        sigma, sampled = (of[..., None].expand_as(wanted) for of in (sigma, sampled))
    return unsil_loss(predicted, sigma, wanted, sampled, beta=options.beta)


UNSIL = Objective(_loss, UnsilOptions, needs=("shapley",))
