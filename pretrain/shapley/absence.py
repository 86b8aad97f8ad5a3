"""What a region takes with it when it alone leaves: its value to everybody else together.

Shapes: B games, R regions of each, P players.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pretrain.shapley.games import Game


def absence(game: Game, regions: Bool[Tensor, "B R P"], others: Bool[Tensor, "B P"]) -> Float[Tensor, "B R"]:
    """v(N) - v(N \\ R), N all of `others`: R + 1 coalition values a game, exact. Empty regions are 0.

    The last term of the merged player's Shapley value, in which the region joins after all others. What stands in for
    a part of an object is the rest of it: small coalitions pay for any part, this one for the whole alone.
    """
    everyone = others[:, None].expand(-1, 1, -1)
    values = game(torch.cat([everyone, everyone & ~regions], dim=1))
    return values[:, :1] - values[:, 1:]
