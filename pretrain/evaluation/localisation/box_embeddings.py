"""Embeddings of boxes, to be compared with texts."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from data_filters.errors import InputError
from pretrain.evaluation.localisation import EMBEDDINGS
from pretrain.evaluation.token_encoder import TokenEncoder
from pretrain.regions.soft_mask import hard_mask


def embed_boxes(
    encoder: TokenEncoder,
    pixels: Float[Tensor, "1 3 H W"],
    boxes: Float[Tensor, "R 4"],
    how: str = "alone",
    chunk: int = 256,
) -> Float[Tensor, "R D"]:
    """An embedding per box (centre x, centre y, width, height; fractions), made as `EMBEDDINGS[how]` says.

    Boxes that cover the same cells are embedded once. Raises InputError on an unknown `how`.
    """
    if how not in EMBEDDINGS:
        raise InputError(f"embedding is {how!r}; allowed are {', '.join(EMBEDDINGS)}")
    masks, back = torch.unique(hard_mask(boxes, encoder.grid), dim=0, return_inverse=True)
    embedded = EMBEDDINGS[how](encoder, pixels, masks.to(pixels.dtype), chunk)
    return embedded[back]
