"""The matching of images with texts: where each row's partner is in the global batch, and the loss of finding it.

Shapes: B pairs of this rank, G pairs of all ranks.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from pretrain.ranks import world


def partner_rows(rows: Float[Tensor, "B ..."]) -> Int[Tensor, " B"]:
    """Return the row in the gathered batch of all ranks that belongs to each of this rank's rows, on their device."""
    rank, _ = world()
    return torch.arange(len(rows), device=rows.device) + rank * len(rows)


def symmetric_cross_entropy(
    per_image: Float[Tensor, "B G"], per_text: Float[Tensor, "B G"], partners: Int[Tensor, " B"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return (loss, accuracy) of finding each row's partner among the columns, both means of the two directions.

    `per_image` and `per_text` are logits, and `partners` holds the column of each row's partner. The loss is the
    softmax cross-entropy, averaged over rows. The accuracy is the share of rows whose partner scores highest; it has
    no gradient.
    """
    loss = (F.cross_entropy(per_image, partners) + F.cross_entropy(per_text, partners)) / 2
    with torch.no_grad():
        hits = (
            (per_image.argmax(1) == partners).float().mean() + (per_text.argmax(1) == partners).float().mean()
        ) / 2
    return loss, hits
