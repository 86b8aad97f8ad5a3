"""The absence value of a region: what is lost when it alone is removed from the whole set of players.

Shapes: B games, R regions of each, P players, C cells, D width.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pretrain.shapley.games import Embed, Game


def absence(game: Game, regions: Bool[Tensor, "B R P"], others: Bool[Tensor, "B P"]) -> Float[Tensor, "B R"]:
    """v(N) - v(N \\ R), N all of `others`: R + 1 coalition values per game, exact. Empty regions are 0.

    It is the last term of the merged player's Shapley value, in which the region joins after all others. A part of an
    object can be replaced by the rest of it: in small coalitions any part has a high value, here only the whole object.
    """
    whole = others[:, None].expand(-1, 1, -1)
    values = game(torch.cat([whole, whole & ~regions], dim=1))
    return values[:, :1] - values[:, 1:]


def embedding_lost(embed: Embed, masks: Float[Tensor, "B R ..."]) -> Float[Tensor, "B R D"]:
    r"""e(N) - e(N \ R), the change of the image's embedding; its product with a text's embedding is the absence value.

    One set of R + 1 image forwards per game serves the caption and every phrase. Not unit length.
    """
    whole = torch.ones_like(masks[:, :1])
    embeddings = embed(torch.cat([whole, 1 - masks], dim=1))
    return embeddings[:, :1] - embeddings[:, 1:]
