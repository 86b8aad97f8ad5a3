"""Methods that make comparable scores of the cosines of boxes with class names.

Each takes (cosines [R, N], cosines of the image with nothing in it [1, N], temperature) and returns scores [R, N]
from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
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


def by_evidence(
    cosines: Float[Tensor, "R N"], added: Float[Tensor, "R N T"], temperature: float
) -> Float[Tensor, "R N"]:
    """The class's probability in what the box shows, times what the box adds to the image for the class.

    `cosines` are of the box alone, `added` the values `ends` (`occlusion.embed_ends`) for each of a class's T prompts,
    of which the highest counts. The first factor tells classes apart, the second an object from a part of it and from
    the background.
    """
    return by_softmax(cosines, cosines, temperature) * added.amax(-1).clamp(min=0)
