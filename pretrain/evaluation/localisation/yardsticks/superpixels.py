"""Superpixels joined by selective search: the classical proposals of objects, which need no training.

LOUPE (NeurIPS 2022) compares itself with a CLIP that chooses among boxes of this kind, by the name of AdaptCLIP.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from data_filters.errors import InputError
from pretrain.evaluation.localisation.candidates import Candidates, shared_by_texts
from pretrain.evaluation.localisation.proposal_options import ProposalOptions
from pretrain.evaluation.localisation.yardsticks.selective_search import group
from pretrain.evaluation.token_encoder import TokenEncoder

BLUR = 0.8
"""Standard deviation in px of the blur before superpixels are made: that of their authors."""


def superpixels(image: Float[np.ndarray, "H W 3"], scale: float, least_area: float) -> Int[np.ndarray, "H W"]:
    """The number of each pixel's superpixel, by Felzenszwalb and Huttenlocher (2004, IJCV 59); from 0 on.

    `image` has values from 0 to 1. A larger `scale` (their k) gives larger superpixels; those below `least_area` of the
    image are joined to a neighbour. Raises InputError where scikit-image is not installed.
    """
    try:
        from skimage.segmentation import felzenszwalb
    except ImportError as error:
        raise InputError(
            "proposals is 'superpixels', whose package scikit-image is not installed; "
            'pip install "loupe[yardsticks]", or use parts'
        ) from error
    least = max(1, round(least_area * image.shape[0] * image.shape[1]))
    segments: Int[np.ndarray, "H W"] = felzenszwalb(image, scale=scale, sigma=BLUR, min_size=least)
    return segments


def propose_superpixels(
    encoder: TokenEncoder, pixels: Tensor, texts: Tensor, options: ProposalOptions, count: int
) -> Candidates:
    """Boxes of superpixels and of their unions by selective search, the same for every text.

    The last unions come first, as in selective search; boxes that are equal are one. Raises InputError where
    scikit-image is not installed.
    """
    image = encoder.rgb(pixels)[0].permute(1, 2, 0).cpu().numpy()
    segments = superpixels(image, options.superpixel_scale, options.least_area)
    boxes = group(image, segments)[::-1]
    _, first = np.unique(boxes, axis=0, return_index=True)
    return shared_by_texts(boxes[np.sort(first)][: options.regions], pixels)
