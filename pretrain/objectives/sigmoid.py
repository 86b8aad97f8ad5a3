"""Pairwise sigmoid loss over the global batch (SigLIP, arXiv 2303.15343, algorithm 1)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from pipelines.common.config import NO_EFFECT_ON_OUTPUT
from pretrain.objectives.inputs import ObjectiveInputs
from pretrain.objectives.objective import LOGIT_BIAS, Objective, ObjectiveOptions
from pretrain.objectives.shared.matching import partner_rows
from pretrain.ranks import gather_with_gradient


class SigmoidOptions(ObjectiveOptions):
    """Options of the pairwise sigmoid loss: how much memory its logits take."""

    chunk: int = Field(
        4096, ge=1, description="texts whose logits exist at once", json_schema_extra=NO_EFFECT_ON_OUTPUT
    )


def sigmoid_loss(
    images: Float[Tensor, "B D"],
    texts: Float[Tensor, "B D"],
    logit_scale: Float[Tensor, "1"],
    logit_bias: Float[Tensor, "1"],
    *,
    chunk: int,
) -> dict[str, Tensor]:
    """Return -1/B Σ_i Σ_j log σ(z_ij (t x_i·y_j + b)), where z_ij is 1 for a pair and -1 for other images and texts.

    `images` and `texts` are unit length; t = exp(`logit_scale`), b = `logit_bias` (the paper starts `logit_scale` at
    log 10 and the bias at -10). i runs over this rank's images, j over the texts of all ranks; averaged over ranks the
    loss and its gradients are those of the whole batch. At most B × `chunk` logits exist at once: the backward pass
    computes each chunk again. Returns `sigmoid_loss` and the metric `sigmoid_accuracy` (share of images whose own text
    scores highest).
    """
    all_texts = gather_with_gradient(texts).float()
    partners = partner_rows(images)
    total = images.new_zeros((), dtype=torch.float32)
    best = images.new_full((len(images),), -torch.inf, dtype=torch.float32)
    best_texts = torch.zeros_like(partners)
    for start in range(0, len(all_texts), chunk):
        part = all_texts[start : start + chunk]
        share, logits_max, argmax = checkpoint(
            _chunk_loss,
            images.float(),
            part,
            partners - start,
            logit_scale,
            logit_bias,
            use_reentrant=False,
            preserve_rng_state=False,
        )
        total = total + share
        best_texts = torch.where(logits_max > best, argmax + start, best_texts)
        best = torch.maximum(best, logits_max)
    return {"sigmoid_loss": total / len(images), "sigmoid_accuracy": (best_texts == partners).float().mean()}


def _chunk_loss(
    images: Tensor, texts: Tensor, partners: Tensor, logit_scale: Tensor, logit_bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sum of -log σ over one chunk of texts, and each image's highest logit with the index of its text.

    `partners` is the index of each image's own text in the chunk, out of range when that text is in another chunk.
    """
    logits = logit_scale.float().exp() * (images @ texts.T) + logit_bias.float()
    positive = partners[:, None] == torch.arange(len(texts), device=texts.device)
    loss = -F.logsigmoid(torch.where(positive, logits, -logits)).sum()
    top = logits.detach().max(1)
    return loss, top.values, top.indices


def _loss(inputs: ObjectiveInputs, options: SigmoidOptions) -> dict[str, Tensor]:
    assert inputs.logit_bias is not None
    features = inputs.features
    return sigmoid_loss(
        features.images, features.texts, inputs.logit_scale, inputs.logit_bias, chunk=options.chunk
    )


SIGMOID = Objective(_loss, SigmoidOptions, needs=(LOGIT_BIAS,))
