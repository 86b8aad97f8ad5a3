"""Means over the real entries of each item."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor


def mean_per_item(values: Float[Tensor, "B ..."], real: Bool[Tensor, "B ..."]) -> Float[Tensor, ""]:
    """Return the mean over each item's real entries, then over all items; an item without real entries counts as 0."""
    values, real = values.flatten(1), real.flatten(1)
    return (values.masked_fill(~real, 0).sum(1) / real.sum(1).clamp(min=1)).mean()
