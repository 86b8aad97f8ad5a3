"""Connected parts of an image whose colour lies far from that of the background."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy import ndimage
from torch import Tensor

from pretrain.evaluation.localisation.candidates import Candidates, shared_by_texts
from pretrain.evaluation.localisation.proposal_options import ProposalOptions
from pretrain.evaluation.token_encoder import TokenEncoder

TOUCHING = np.ones((3, 3))
"""Pixels touch by sides or corners."""


def part_boxes(
    image: Float[np.ndarray, "H W 3"], contrast: float, gap: int, least_area: float, most: int
) -> Int[np.ndarray, "P 4"]:
    """Tight boxes (left, top, right, bottom) in px of at most `most` parts, the part with the most pixels first.

    A part is the pixels that touch one another, or have at most `gap` pixels between them (an icon of two halves), and
    whose colour is more than `contrast` away from the median of each channel: the background's colour, as in
    `median_filling`. Distances are Euclidean, `image` has values from 0 to 1. Parts that have less than `least_area` of
    the image's pixels are dropped.
    """
    background = np.median(image.reshape(-1, 3), axis=0)
    differs = np.linalg.norm(image - background, axis=-1) > contrast
    # Grown by this square, pixels touch where at most `gap` pixels lay between them.
    grown = ndimage.binary_dilation(differs, np.ones((gap + 1, gap + 1)))
    numbers = ndimage.label(grown, TOUCHING)[0] * differs
    areas = np.bincount(numbers.ravel())[1:]
    order = np.argsort(-areas, kind="stable")
    large = order[areas[order] >= least_area * differs.size][:most]
    spans = ndimage.find_objects(numbers)
    boxes = [(across.start, down.start, across.stop, down.stop) for down, across in (spans[n] for n in large)]
    return np.array(boxes, dtype=int).reshape(-1, 4)


def propose_parts(
    encoder: TokenEncoder, pixels: Tensor, texts: Tensor, options: ProposalOptions, count: int
) -> Candidates:
    """A box for each connected part whose colour differs from the image's median, the same for every text.

    The whole image where there is no such part.
    """
    image = encoder.rgb(pixels)[0].permute(1, 2, 0).cpu().numpy()
    boxes = part_boxes(image, options.contrast, options.gap, options.least_area, options.regions)
    return shared_by_texts(boxes, pixels)
