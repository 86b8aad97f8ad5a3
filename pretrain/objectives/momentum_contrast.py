"""The contrastive loss against a momentum encoder's embeddings, with soft targets (ALBEF, arXiv:2107.07651, eq. 1-7).

Shapes: B pairs of this rank, K embeddings of all ranks and of the queue, E values of an embedding.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pretrain.objectives.shared.matching import partner_rows


def momentum_contrast_loss(
    images: Float[Tensor, "B E"],
    texts: Float[Tensor, "B E"],
    momentum: tuple[Float[Tensor, "B E"], Float[Tensor, "B E"]],
    others: tuple[Float[Tensor, "K E"], Float[Tensor, "K E"]],
    there: Bool[Tensor, " K"],
    logit_scale: Float[Tensor, "1"],
    soft: float,
) -> dict[str, Tensor]:
    """Return the mean over rows and both directions of the cross-entropy of finding each row's partner among `others`.

    All embeddings have norm 1. `momentum` are this rank's images and captions by the momentum encoder, `others` those
    of the global batch, in rank order, and behind them the queue's; `there` says which of them hold anything. Targets
    are (1 - soft) · the partner + soft · the softmax of the momentum encoder's own similarities. `logit_scale` is the
    logarithm of the inverse temperature. Gradients reach this rank's embeddings and the temperature. Returns
    `itc_loss` and the metric `itc_accuracy`.
    """
    scale = logit_scale.float().exp()
    partners = partner_rows(images)
    losses, hits = [], []
    for own, of_momentum, candidates in (
        (images, momentum[0], others[1]),
        (texts, momentum[1], others[0]),
    ):
        logits = (scale * (own.float() @ candidates.float().T)).masked_fill(~there, -torch.inf)
        with torch.no_grad():
            similar = (scale * (of_momentum.float() @ candidates.float().T)).masked_fill(~there, -torch.inf)
            targets = soft * similar.softmax(-1)
            targets[torch.arange(len(own), device=own.device), partners] += 1 - soft
            hits.append((logits.argmax(1) == partners).float().mean())
        log_shares = logits.log_softmax(-1).masked_fill(~there, 0)  # 0 · -inf is no number
        losses.append(-(targets * log_shares).sum(-1).mean())
    return {"itc_loss": (losses[0] + losses[1]) / 2, "itc_accuracy": (hits[0] + hits[1]) / 2}
