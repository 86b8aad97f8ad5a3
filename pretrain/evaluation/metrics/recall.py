"""Recall at K of a retrieval, computed in chunks of queries: the whole similarity matrix is never in memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Scores nearer than this count as tied: sums in fp32 differ by about as much between two batch shapes.
TIE = 1e-6


def ranks(
    queries: Float[Tensor, "Q D"],
    gallery: Float[Tensor, "G D"],
    query_owner: Int[Tensor, " Q"],
    gallery_owner: Int[Tensor, " G"],
    chunk: int = 1024,
) -> Int[Tensor, " Q"]:
    """Rank, from 0, of each query's best right answer among the wrong ones.

    A gallery entry is right for a query when both have the same owner. Ties count against the model: a wrong entry
    whose score is not below the best right one's by more than `TIE` stands before it. So the order of the data has no
    effect, and a model that gives everything the same embedding recalls nothing.
    """
    ranks_of_queries = []
    for start in range(0, len(queries), chunk):
        part = slice(start, start + chunk)
        scores = queries[part] @ gallery.T
        right = query_owner[part, None] == gallery_owner[None, :]
        best = scores.masked_fill(~right, -torch.inf).amax(dim=1, keepdim=True)
        ranks_of_queries.append(((scores >= best - TIE) & ~right).sum(dim=1))
    return torch.cat(ranks_of_queries)


def recall(places: Int[Tensor, " Q"], levels: Sequence[int] = (1, 5, 10)) -> dict[str, float]:
    """{"R@1": share of queries whose right answer is among the first 1, ...}."""
    return {f"R@{level}": float((places < level).double().mean()) for level in levels}
