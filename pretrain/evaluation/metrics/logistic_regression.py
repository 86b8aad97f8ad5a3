"""Multinomial logistic regression by L-BFGS, and the search for its regularisation (CLIP, section 3.2).

Shapes: B images, D features, N classes. Everything is computed in fp64.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

COARSE = (-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0)  # log10 of the inverse regularisation


@dataclass(frozen=True)
class LinearClassifier:
    """A linear classifier, fp64."""

    weights: Float[Tensor, "D N"]
    bias: Float[Tensor, " N"]

    def __call__(self, features: Float[Tensor, "B D"]) -> Float[Tensor, "B N"]:
        """Logits."""
        return features.double() @ self.weights + self.bias


def fit(
    features: Float[Tensor, "B D"],
    labels: Int[Tensor, " B"],
    classes: int,
    strength: float,
    *,
    start: LinearClassifier | None = None,
    max_iterations: int = 1000,
) -> LinearClassifier:
    """Minimise strength × Σ cross-entropy + |weights|²/2 by L-BFGS; the bias is free. `strength` is CLIP's C.

    The objective is divided by the number of images and by C, which leaves the minimum where it is and lets tolerances
    mean the same at every strength.
    """
    x = features.double()
    if start is None:
        weights = torch.zeros(x.shape[1], classes, dtype=torch.float64)
        bias = torch.zeros(classes, dtype=torch.float64)
    else:
        weights, bias = start.weights.clone(), start.bias.clone()
    weights.requires_grad_()
    bias.requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weights, bias],
        max_iter=max_iterations,
        history_size=10,
        tolerance_grad=1e-6,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def loss() -> float:
        optimizer.zero_grad()
        value = F.cross_entropy(x @ weights + bias, labels)
        value = value + weights.square().sum() / (2 * strength * len(x))
        value.backward()
        return value.item()

    optimizer.step(loss)
    return LinearClassifier(weights.detach(), bias.detach())


def sweep(
    train: tuple[Float[Tensor, "B D"], Int[Tensor, " B"]],
    validation: tuple[Float[Tensor, "V D"], Int[Tensor, " V"]],
    classes: int,
    refinements: int = 4,
    max_iterations: int = 1000,
) -> tuple[float, float]:
    """(the best C on the validation images, its accuracy there); ties: the smallest C.

    Tried are powers of ten two apart (`COARSE`), then `refinements` times half the step to both sides of the best.
    """
    accuracies: dict[float, float] = {}

    def try_power(power: float, start: LinearClassifier | None) -> LinearClassifier:
        classifier = fit(*train, classes, 10**power, start=start, max_iterations=max_iterations)
        right = classifier(validation[0]).argmax(1) == validation[1]
        accuracies[power] = float(right.double().mean())
        return classifier

    def best() -> float:
        return min(accuracies, key=lambda power: (-accuracies[power], power))

    classifier = None
    for power in COARSE:
        classifier = try_power(power, classifier)
    step = (COARSE[1] - COARSE[0]) / 2
    for _ in range(refinements):
        centre = best()
        for power in (centre - step, centre + step):
            if power not in accuracies and COARSE[0] <= power <= COARSE[-1]:
                try_power(power, None)
        step /= 2
    return 10 ** best(), accuracies[best()]
