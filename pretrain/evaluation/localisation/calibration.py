"""Methods that make comparable scores of the cosines of boxes with class names.

Each takes (cosines [R, N], cosines of the image with nothing in it [1, N], temperature) and returns scores [R, N]
from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Calibration = Callable[[Tensor, Tensor, float], Tensor]


def by_cosine(cosines: Tensor, empty: Tensor, temperature: float) -> Tensor:
    """The cosine, moved from [-1, 1] to [0, 1]."""
    return (cosines + 1) / 2


def by_softmax(cosines: Tensor, empty: Tensor, temperature: float) -> Tensor:
    """The class's probability among all classes, at the temperature that the model was trained with."""
    return (cosines / temperature).softmax(-1)


def by_prior(cosines: Tensor, empty: Tensor, temperature: float) -> Tensor:
    """Softmax of the cosine minus that of the empty image; removes bias towards some names."""
    return ((cosines - empty) / temperature).softmax(-1)
