"""Means over the real entries of each item, and over those of the whole batch."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from pretrain.ranks import mean_over_ranks, world


def mean_per_item(values: Float[Tensor, "B ..."], real: Bool[Tensor, "B ..."]) -> Float[Tensor, ""]:
    """Return the mean over each item's real entries, then over all items; an item without real entries counts as 0."""
    values, real = values.flatten(1), real.flatten(1)
    return (values.masked_fill(~real, 0).sum(1) / real.sum(1).clamp(min=1)).mean()


def mean_of_real(values: Float[Tensor, "..."], real: Bool[Tensor, "..."]) -> Float[Tensor, ""]:
    """Return this rank's share of the mean over the real entries of all ranks; 0 when no rank has any.

    The share is the sum of this rank's real entries over the mean number of real entries per rank: the engine averages
    gradients over ranks, and the mean of the shares is the mean over the whole batch, also where ranks have different
    numbers of real entries. Every rank must call it.
    """
    return values.masked_fill(~real, 0).sum() / mean_over_ranks(real.sum()).clamp(min=1 / world()[1])
