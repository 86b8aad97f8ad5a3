"""What a region takes with it when it alone leaves: its value to everybody else together.

Shapes: B games, R regions of each, P players, C cells, D width.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pretrain.shapley.games import Game, TokenGame


def absence(game: Game, regions: Bool[Tensor, "B R P"], others: Bool[Tensor, "B P"]) -> Float[Tensor, "B R"]:
    """v(N) - v(N \\ R), N all of `others`: R + 1 coalition values a game, exact. Empty regions are 0.

    The last term of the merged player's Shapley value, in which the region joins after all others. What stands in for
    a part of an object is the rest of it: small coalitions pay for any part, this one for the whole alone.
    """
    everyone = others[:, None].expand(-1, 1, -1)
    values = game(torch.cat([everyone, everyone & ~regions], dim=1))
    return values[:, :1] - values[:, 1:]


def embedding_lost(game: TokenGame, regions: Bool[Tensor, "B R C"]) -> Float[Tensor, "B R D"]:
    r"""e(N) - e(N \ R): what the image's embedding loses. Its product with any text is the region's absence there.

    One set of R + 1 image forwards a game serves the caption and every phrase. Not unit length.
    """
    everyone = torch.ones_like(regions[:, :1])
    found = game.image_embeddings(torch.cat([everyone, ~regions], dim=1))
    return found[:, :1] - found[:, 1:]
