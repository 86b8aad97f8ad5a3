"""Symmetric InfoNCE over the global batch (LOUPE eq. 1; CLIP)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from pretrain.objectives.distributed import gather_with_gradient, world
from pretrain.objectives.inputs import ObjectiveInputs
from pretrain.objectives.objective import Objective, ObjectiveOptions


def contrastive_loss(
    images: Float[Tensor, "B D"], texts: Float[Tensor, "B D"], logit_scale: Float[Tensor, "1"]
) -> dict[str, Tensor]:
    """Return the symmetric InfoNCE loss of this rank's pairs against the texts and images of all ranks.

    The loss is the mean over this rank's rows and over both directions. `images` and `texts` are unit length; row i of
    one belongs to row i of the other. `logit_scale` is the logarithm of the inverse temperature. Averaged over ranks,
    the loss and its gradients are those of the whole batch. Returns `contrastive_loss` and the metric
    `contrastive_accuracy` (share of rows whose own partner scores highest, mean of both directions).
    """
    rank, _ = world()
    scale = logit_scale.float().exp()
    all_images, all_texts = gather_with_gradient(images), gather_with_gradient(texts)
    per_image = scale * (images.float() @ all_texts.float().T)
    per_text = scale * (texts.float() @ all_images.float().T)
    partners = torch.arange(len(images), device=images.device) + rank * len(images)
    loss = (F.cross_entropy(per_image, partners) + F.cross_entropy(per_text, partners)) / 2
    with torch.no_grad():
        hits = (
            (per_image.argmax(1) == partners).float().mean() + (per_text.argmax(1) == partners).float().mean()
        ) / 2
    return {"contrastive_loss": loss, "contrastive_accuracy": hits}


def _loss(inputs: ObjectiveInputs, _options: ObjectiveOptions) -> dict[str, Tensor]:
    return contrastive_loss(inputs.features.images, inputs.features.texts, inputs.logit_scale)


CONTRASTIVE = Objective(_loss, ObjectiveOptions)
