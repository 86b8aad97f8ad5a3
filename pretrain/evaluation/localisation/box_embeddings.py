"""Embeddings of boxes, to be compared with texts."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from data_filters.errors import InputError
from pretrain.evaluation.localisation import EMBEDDINGS
from pretrain.evaluation.localisation.judge import PLAIN, Judge
from pretrain.evaluation.token_encoder import TokenEncoder


def embed_boxes(
    encoder: TokenEncoder,
    pixels: Float[Tensor, "1 3 H W"],
    boxes: Float[Tensor, "R 4"],
    judge: Judge = PLAIN,
    chunk: int = 256,
) -> Float[Tensor, "R D"]:
    """An embedding per box (centre x, centre y, width, height; fractions), made as the judge's
    `EMBEDDINGS[embedding]` says.

    Boxes that have the same cells are embedded once. Raises InputError on an unknown embedding.
    """
    how = judge.embedding
    if how not in EMBEDDINGS:
        raise InputError(f"embedding is {how!r}; allowed are {', '.join(EMBEDDINGS)}")
    if judge.cover == "pixels":  # equal boxes have equal masks, which are far larger
        boxes, back = torch.unique(boxes, dim=0, return_inverse=True)
        masks = judge.masks(encoder, pixels, boxes)
    else:
        masks, back = torch.unique(judge.masks(encoder, pixels, boxes), dim=0, return_inverse=True)
    return EMBEDDINGS[how](encoder, pixels, masks, judge, chunk)[back]
