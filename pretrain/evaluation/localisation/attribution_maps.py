"""Shapley values of the cells for the similarity of an image with a text, from the dual encoder alone.

No trained head and no annotated box is needed: one set of masked copies of the image serves all texts.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pretrain.evaluation.token_encoder import TokenEncoder
from pretrain.shapley.attribution import phrase_attributions
from pretrain.shapley.games import TokenGame


def attribution_maps(
    encoder: TokenEncoder,
    pixels: Float[Tensor, "1 3 H W"],
    texts: Float[Tensor, "N D"],
    *,
    evaluations: int = 256,
    ridge: float = 0.05,
    chunk: int = 256,
    seed: int = 0,
) -> Float[Tensor, "N C"]:
    """Shapley value of each cell for the cosine with each text, from `evaluations` masked copies per image.

    Coalitions depend on `seed` and the grid only: they are the same for every image.
    """
    no_words = torch.zeros(1, 2, dtype=torch.int64, device=pixels.device)  # texts come as embeddings
    game = TokenGame(
        encoder.dual, pixels, no_words, torch.ones_like(no_words), context="full_text", chunk=chunk
    )
    generator = torch.Generator().manual_seed(seed)
    attributions = phrase_attributions(game, texts[None], evaluations, generator, ridge=ridge)
    return attributions.values[0].float()
