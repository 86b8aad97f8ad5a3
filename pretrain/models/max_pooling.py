"""The channel-wise maximum of tokens as an embedding (MAC: Tolias et al., 2016, eq. 1)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F


def max_pooled(
    tokens: Float[Tensor, "B N D"], real: Bool[Tensor, "B N"] | None = None
) -> Float[Tensor, "B D"]:
    """Return the channel-wise maximum of each item's tokens, unit length, fp32.

    `real` is True at tokens that count; None: all do. An item without any has the maximum of all its tokens.
    """
    values = tokens.float()
    if real is not None:
        real = real | ~real.any(1, keepdim=True)
        values = values.masked_fill(~real[..., None], torch.finfo(torch.float32).min)
    return F.normalize(values.amax(1), dim=-1)
