"""Scores of a classification. Shapes: B images, N classes."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor

from pretrain.evaluation.metrics.recall import TIE


def rank_of_class(scores: Float[Tensor, "B N"], labels: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
    """Number of wrong classes that score no less than the right one (less by at most `recall.TIE`)."""
    right = scores.gather(1, labels[:, None])
    return (scores >= right - TIE).sum(1) - 1


def mean_per_class(right: Bool[Tensor, " B"], labels: Int[Tensor, " B"]) -> float:
    """Mean over the classes that occur of the share of right answers among the class's images."""
    shares = [float(right[labels == label].double().mean()) for label in labels.unique()]
    return sum(shares) / len(shares)
