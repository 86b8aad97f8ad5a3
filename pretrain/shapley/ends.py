"""The mean of the first and the last term of a region's Shapley value: alone, and after all others.

Where v is an inner product of the image's embedding with a text's, one set of forwards serves all texts.

Shapes: B games, R regions of each, P players, D width.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pretrain.shapley.games import Embed, Game


def ends(game: Game, regions: Bool[Tensor, "B R P"], others: Bool[Tensor, "B P"]) -> Float[Tensor, "B R"]:
    """1/2 [v(R) - v(∅) + v(N) - v(N \\ R)], N all of `others`: 2 R + 2 coalition values per game, exact.

    The terms of the merged player's Shapley value in which the region joins nobody, and everybody else. Alone a part
    of an object is worth nearly as much as the whole, missing it is worth little; a box with room to spare is worth no
    more. So the mean of the two, divided by a small power of the area, is highest at the outline.
    """
    whole = others[:, None].expand(-1, 1, -1)
    members = regions & whole
    values = game(torch.cat([torch.zeros_like(whole), whole, members, whole & ~members], dim=1))
    alone, without = values[:, 2:].chunk(2, dim=1)
    return (alone - values[:, :1] + values[:, 1:2] - without) / 2


def embedding_ends(embed: Embed, masks: Float[Tensor, "B R ..."]) -> Float[Tensor, "B R D"]:
    """1/2 [e(R) - e(∅) + e(N) - e(N \\ R)] of the image's embedding; its product with a text's is the value `ends`.

    2 R + 2 image forwards per game serve the caption and every phrase. Not unit length.
    """
    nothing = torch.zeros_like(masks[:, :1])
    embedded = embed(torch.cat([nothing, 1 - nothing, masks, 1 - masks], dim=1))
    alone, without = embedded[:, 2:].chunk(2, dim=1)
    return (alone - embedded[:, :1] + embedded[:, 1:2] - without) / 2
