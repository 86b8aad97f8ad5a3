"""Random coalitions: their sizes and their players.

All estimates from them are unbiased for every game: given its size, each coalition is uniform among those of that size,
because no choice depends on which player is which. Only the dependence between coalitions is designed.

Shapes: I items, K coalitions of an item, P players.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Pairs:
    """K pairs of a coalition and its complement per item, with the weights of their average."""

    coalition: Bool[Tensor, "I K P"]
    complement: Bool[Tensor, "I K P"]
    weight: Float[Tensor, "I K"]  # of the pair's mean; sums to one over an item's pairs, 0: no pair here
    stratum: Int[Tensor, "I K"]

    def mean(self, values: Float[Tensor, "*G I K"]) -> Float[Tensor, "*G I"]:
        """Estimate of the expectation over coalitions, from the mean value of each pair."""
        return (values * self.weight).sum(-1)

    def error(self, values: Float[Tensor, "I K"]) -> Float[Tensor, " I"]:
        """Standard error of `mean` from within-stratum variances, with the draws in a stratum taken as independent.

        Spread draws are negatively correlated, so that in expectation the true error is smaller. The variance of a
        stratum with a single random draw is unknown, and the error infinite.
        """
        strata = int(self.stratum.max().item()) + 1 if self.stratum.numel() else 1
        drawn = self.weight > 0
        stratum = self.stratum
        zeros = values.new_zeros(values.shape[0], strata)
        count = zeros.scatter_add(1, stratum, drawn.to(values.dtype))
        mean = zeros.scatter_add(1, stratum, values * drawn) / count.clamp(min=1)
        residual = (values - mean.gather(1, stratum)) * drawn
        spread = zeros.scatter_add(1, stratum, residual.square()) / (count - 1).clamp(min=1)
        weight = zeros.scatter_add(1, stratum, self.weight.to(values.dtype))
        variance = weight.square() * spread / count.clamp(min=1)
        single = (count == 1) & (weight > 0)
        single[:, 0] = False  # stratum 0: the empty and the whole coalition, which are not random
        return variance.sum(1).sqrt().masked_fill(single.any(1), float("inf"))


def uniform_size_pairs(
    eligible: Bool[Tensor, "I P"],
    count: Int[Tensor, " I"],
    generator: torch.Generator,
    candidates: int = 8,
    *,
    ends: Bool[Tensor, " I"] | None = None,
) -> Pairs:
    """Draw `count` complementary pairs per item, with sizes uniform on 0..n for n eligible players, and stratified.

    This is the distribution of a Shapley value (LOUPE eq. 3 and 7). A pair has a size c of the lower half and n - c.
    Sizes are cut into strata of equal probability with two draws or more each. The empty coalition and its complement
    are taken once, with their exact weight, as soon as at least one would be drawn on average; where `ends` is False
    they are drawn like any other, and an even `count` gives all pairs the same weight.
    """
    device = eligible.device
    players = eligible.sum(-1)
    most = int(count.max().item()) if count.numel() else 0
    index = torch.arange(most, device=device)[None].expand(len(count), most)
    used = index < count[:, None]
    end_weight = (2.0 / (players + 1).double()).clamp(max=1.0)
    has_end = (2 * count >= players + 1) & ((count > 2) | (players < 2))
    if ends is not None:
        has_end = has_end & ends
    inner = count - has_end.long()
    strata = (inner // 2).clamp(min=1)
    position = index - has_end.long()[:, None]
    stratum = (
        (position * strata[:, None]).div(inner.clamp(min=1)[:, None], rounding_mode="floor").clamp(min=0)
    )
    chance = uniform_draws((len(count), most), generator, device)
    quantile = (stratum + chance) / strata[:, None]
    first = has_end.long()[:, None]  # inner sizes start at 1 where size 0 is not drawn
    sizes = first + (quantile / 2 * (players[:, None] + 1 - 2 * first)).floor().long()
    sizes = torch.minimum(sizes, players[:, None] // 2).clamp(min=0)
    is_end = has_end[:, None] & (index == 0)
    sizes = sizes.masked_fill(is_end, 0)
    # Equal weights within a stratum; each stratum has the same share of the weight that the ends leave.
    per_stratum = torch.zeros(len(count), most + 1, device=device).scatter_add(
        1, stratum, (used & ~is_end).float()
    )
    share = (1 - end_weight * has_end) / strata
    weight = share[:, None] / per_stratum.gather(1, stratum).clamp(min=1).double()
    weight = torch.where(is_end, end_weight[:, None], weight).masked_fill(~used, 0)
    coalition = spread_coalitions(sizes, eligible, generator, candidates) & used[..., None]
    complement = eligible[:, None] & ~coalition & used[..., None]
    return Pairs(coalition, complement, weight, torch.where(is_end, 0, stratum + 1).masked_fill(~used, 0))


def spread_coalitions(
    sizes: Int[Tensor, "I K"],
    eligible: Bool[Tensor, "I P"],
    generator: torch.Generator,
    candidates: int = 8,
) -> Bool[Tensor, "I K P"]:
    """Draw coalitions of the given sizes among eligible players, each little correlated with those before it.

    Of `candidates` uniform draws the one with the least squared correlation to the coalitions already chosen is
    kept (1: independent draws). Complements cancel a game's terms of odd order; of the others, the pairs of players are
    the largest, and uncorrelated coalitions hold every pair of players about equally often, as the rows of a
    Hadamard matrix do exactly.

    The choice is unbiased because it does not depend on the numbers of the players: renumbering them renumbers the
    result. That must hold in floating point too. Overlaps are small whole numbers, hence exact; in a correlation summed
    over players, rounding would break ties in favour of certain players, a bias of several standard errors.
    """
    items, draws = sizes.shape
    device = eligible.device
    total = eligible.sum(-1).float()[:, None, None]
    chosen = torch.zeros(items, draws, eligible.shape[1], dtype=torch.bool, device=device)
    numbers = sizes.float()
    for draw in range(draws):
        count = candidates if draw else 1
        size = sizes[:, draw, None].expand(items, count)
        options = uniform_coalitions(size, eligible[:, None], generator)
        if count > 1:
            earlier = chosen[:, :draw].float()
            overlap = options.float() @ earlier.transpose(1, 2)
            this_size, earlier_sizes = numbers[:, draw, None, None], numbers[:, None, :draw]
            covariance = overlap * total - this_size * earlier_sizes
            scale = this_size * (total - this_size) * earlier_sizes * (total - earlier_sizes)
            correlation = (covariance.square() / scale.clamp(min=1)).sum(-1)  # squared
            best = correlation.argmin(1)
            chosen[:, draw] = options[torch.arange(items, device=device), best]
        else:
            chosen[:, draw] = options[:, 0]
    return chosen


def uniform_coalitions(
    sizes: Int[Tensor, "*S"], eligible: Bool[Tensor, "*#S P"], generator: torch.Generator
) -> Bool[Tensor, "*S P"]:
    """Draw a uniform coalition of each size (at most the number of eligible players)."""
    return random_ranks(sizes.shape, eligible, generator) < sizes[..., None]


def random_ranks(
    shape: tuple[int, ...], eligible: Bool[Tensor, "*#S P"], generator: torch.Generator
) -> Int[Tensor, "*S P"]:
    """Draw a random order of the eligible players, as ranks 0, 1, ...; all other players come after them."""
    score = uniform_draws((*shape, eligible.shape[-1]), generator, eligible.device)
    order = score.masked_fill(~eligible, 2.0).argsort(-1)
    ranks = torch.empty_like(order)
    return ranks.scatter_(-1, order, torch.arange(order.shape[-1], device=order.device).expand_as(order))


def uniform_draws(shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
    """Draw numbers from the uniform distribution on [0, 1) on the generator's device; return them on `device`."""
    return torch.rand(shape, generator=generator, device=generator.device).to(device)
