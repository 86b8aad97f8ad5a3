"""Embeddings of parts of an image: of a part alone, of what its absence changes, of its patch tokens.

Each takes (encoder, pixels [1, 3, H, W], parts as masks over the cells [R, C], masked copies per forward pass) and
returns an embedding per part [R, D].
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from pretrain.evaluation.token_encoder import TokenEncoder

PartEmbedding = Callable[[TokenEncoder, Tensor, Tensor, int], Tensor]


def embed_alone(
    encoder: TokenEncoder, pixels: Float[Tensor, "1 3 H W"], keep: Float[Tensor, "R C"], chunk: int
) -> Float[Tensor, "R D"]:
    """Unit-length embeddings of the image with only the part present."""
    return encoder.masked(pixels, keep, chunk)


def embed_dropped(
    encoder: TokenEncoder, pixels: Float[Tensor, "1 3 H W"], keep: Float[Tensor, "R C"], chunk: int
) -> Float[Tensor, "R D"]:
    """What the image's embedding loses without the part (Zeiler and Fergus, 2014); not unit length.

    Removing a box keeps the input closer to the training images than keeping only the box.
    """
    whole = encoder.masked(pixels, torch.ones_like(keep[:1]), chunk)
    return whole - encoder.masked(pixels, 1 - keep, chunk)


def embed_patches(
    encoder: TokenEncoder, pixels: Float[Tensor, "1 3 H W"], keep: Float[Tensor, "R C"], chunk: int
) -> Float[Tensor, "R D"]:
    """Unit-length mean of the part's patch tokens in the whole image."""
    return F.normalize(keep @ encoder.patches(pixels)[0], dim=-1)
