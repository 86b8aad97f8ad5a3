"""Embeddings of parts of an image: of a part alone, of what its absence changes, of its patch tokens.

Each takes (encoder, pixels [1, 3, H, W], masks of the parts (`Judge.masks`), judge, copies per forward pass) and
returns an embedding per part [R, D].
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from pretrain.evaluation.localisation.judge import Judge
from pretrain.evaluation.token_encoder import TokenEncoder

PartEmbedding = Callable[[TokenEncoder, Tensor, Tensor, Judge, int], Tensor]


def embed_alone(
    encoder: TokenEncoder, pixels: Float[Tensor, "1 3 H W"], masks: Tensor, judge: Judge, chunk: int
) -> Float[Tensor, "R D"]:
    """Unit-length embeddings of the image with only the part present."""
    return judge.embed_parts(encoder, pixels, masks, chunk)


def embed_dropped(
    encoder: TokenEncoder, pixels: Float[Tensor, "1 3 H W"], masks: Tensor, judge: Judge, chunk: int
) -> Float[Tensor, "R D"]:
    """What the image's embedding loses without the part (Zeiler and Fergus, 2014); not unit length.

    Removing a box keeps the input closer to the training images than keeping only the box.
    """
    whole = judge.embed_parts(encoder, pixels, torch.ones_like(masks[:1]), chunk)
    return whole - judge.embed_parts(encoder, pixels, 1 - masks, chunk)


def embed_ends(
    encoder: TokenEncoder, pixels: Float[Tensor, "1 3 H W"], masks: Tensor, judge: Judge, chunk: int
) -> Float[Tensor, "R D"]:
    """The mean of what the part adds to nothing and of what the image loses without it, by the part's size.

    1/2 [e(R) - e(∅) + e(N) - e(N ∖ R)] / cells ** `judge.size_exponent`: the target `ends` of the token game
    (`pretrain.shapley.ends`), which is highest at the outline of what a text names. Not unit length.
    """
    alone = judge.embed_parts(encoder, pixels, torch.cat([torch.zeros_like(masks[:1]), masks]), chunk)
    added = (alone[1:] - alone[:1] + embed_dropped(encoder, pixels, masks, judge, chunk)) / 2
    cells = judge.cells(encoder, masks).sum(-1, keepdim=True).clamp(min=1)
    return added / cells**judge.size_exponent


def embed_patches(
    encoder: TokenEncoder, pixels: Float[Tensor, "1 3 H W"], masks: Tensor, judge: Judge, chunk: int
) -> Float[Tensor, "R D"]:
    """Unit-length mean of the part's patch tokens in the whole image."""
    return F.normalize(judge.cells(encoder, masks) @ encoder.patches(pixels)[0], dim=-1)
