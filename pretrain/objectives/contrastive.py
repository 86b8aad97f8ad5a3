"""Symmetric InfoNCE over the global batch (LOUPE eq. 1; CLIP)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from pretrain.objectives.inputs import ObjectiveInputs
from pretrain.objectives.objective import Objective, ObjectiveOptions
from pretrain.objectives.shared.matching import partner_rows, symmetric_cross_entropy
from pretrain.ranks import gather_with_gradient


def contrastive_loss(
    images: Float[Tensor, "B D"], texts: Float[Tensor, "B D"], logit_scale: Float[Tensor, "1"]
) -> dict[str, Tensor]:
    """Return the symmetric InfoNCE loss of this rank's pairs against the texts and images of all ranks.

    The loss is the mean over this rank's rows and over both directions. `images` and `texts` are unit length; row i of
    one belongs to row i of the other. `logit_scale` is the logarithm of the inverse temperature. Averaged over ranks,
    the loss and its gradients are those of the whole batch. Returns `contrastive_loss` and the metric
    `contrastive_accuracy` (share of rows whose own partner scores highest, mean of both directions).
    """
    scale = logit_scale.float().exp()
    all_images, all_texts = gather_with_gradient(images), gather_with_gradient(texts)
    per_image = scale * (images.float() @ all_texts.float().T)
    per_text = scale * (texts.float() @ all_images.float().T)
    loss, accuracy = symmetric_cross_entropy(per_image, per_text, partner_rows(images))
    return {"contrastive_loss": loss, "contrastive_accuracy": accuracy}


def _loss(inputs: ObjectiveInputs, _options: ObjectiveOptions) -> dict[str, Tensor]:
    return contrastive_loss(inputs.features.images, inputs.features.texts, inputs.logit_scale)


CONTRASTIVE = Objective(_loss, ObjectiveOptions)
